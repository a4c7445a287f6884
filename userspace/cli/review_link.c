// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/buf.h"
#include "base/log.h"
#include "cli/cell.h"
#include "cli/command.h"
#include "cli/say.h"

#define LINK_SOCKET	"/run/sallyport-collector/review"
#define LINK_ANSWER_MAX 65536

static const char usage[] =
	"usage: sallyport review [--role reviewer|operator] [--socket PATH]\n"
	"\n"
	"Prints a link to the review page of the collector on this machine. It is good once, for two\n"
	"minutes, and opens a session of twelve hours.\n"
	"\n"
	"  --role ROLE        reviewer: sees what was said; operator: sees numbers; default: the\n"
	"                     most that you may\n"
	"  --socket PATH      of the collector; default " LINK_SOCKET "\n"
	"  -h, --help\n";

static int link_connect(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= (int)sizeof(sa.sun_path)) {
		say("%s: too long for the path of a socket", log_quote(slice_of_string(path)).text);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	say("%s: %s; does sallyport-collector run here, with --review 127.0.0.1:PORT?",
		log_quote(slice_of_string(path)).text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* All that the collector answers, until it closes. */
static int link_ask(int fd, const char *role, struct buf *answer)
{
	char request[256];
	int len = snprintf(request, sizeof(request),
		"POST /api/link%s%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
		"Connection: close\r\n\r\n",
		role ? "?role=" : "", role ? role : "");
	ssize_t n;

	if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		return -errno;
	do {
		char *room = buf_reserve(answer, 4096);

		if (!room || buf_len(answer) > LINK_ANSWER_MAX)
			return -ENOMEM;
		n = recv(fd, room, 4096, 0);
		if (n > 0)
			buf_commit(answer, (size_t)n);
	} while (n > 0);
	return n < 0 ? -errno : 0;
}

/* The link, or what keeps it from being given. */
static int link_print(struct slice answer)
{
	const char *body = memmem(answer.data, answer.len, "\r\n\r\n", 4);
	yyjson_doc *doc = body ? yyjson_read(body + 4,
					 answer.len - (size_t)(body + 4 - answer.data), 0)
			       : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc), *url = yyjson_obj_get(root, "url"),
		   *problem = yyjson_obj_get(root, "error");
	bool given = yyjson_is_str(url);

	if (given) {
		cell_text(stdout, slice_of(yyjson_get_str(url), yyjson_get_len(url)), 1024);
		putchar('\n');
	} else {
		say("%s", yyjson_is_str(problem)
				 ? log_quote(slice_of(yyjson_get_str(problem),
						     yyjson_get_len(problem)))
					   .text
				 : "the collector gives no answer");
	}
	yyjson_doc_free(doc);
	return given ? 0 : 1;
}

int cmd_review(int argc, char **argv)
{
	static const struct option options[] = {{"role", required_argument, NULL, 'r'},
		{"socket", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *role = NULL, *path = LINK_SOCKET;
	struct buf answer = BUF_EMPTY;
	int option, fd, status = 1, error;

	optind = 1;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			role = optarg;
			break;
		case 's':
			path = optarg;
			break;
		default:
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind != argc ||
		(role && strcmp(role, "reviewer") != 0 && strcmp(role, "operator") != 0)) {
		say(optind != argc ? "takes no arguments" : "--role: expected reviewer or operator");
		return 2;
	}
	fd = link_connect(path);
	if (fd < 0)
		return 1;
	error = link_ask(fd, role, &answer);
	if (error)
		say("%s: %s", log_quote(slice_of_string(path)).text, strerror(-error));
	else
		status = link_print(buf_slice(&answer));
	close(fd);
	buf_wipe(&answer);
	return status;
}
