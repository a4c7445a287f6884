// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/socket.h"

struct dial {
	struct ev_loop *loop;
	ev_io io;
	struct address_port proxy;
	dial_done *done;
	void *user;
	struct buf request; /* what of it is still to be sent */
	size_t sent, got;
	char target[300];
	char head[DIAL_HEAD_MAX + 1]; /* of the answer, so far */
};

int dial_socket(const struct address_port *address, const struct config_tcp *tcp)
{
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(address, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	socket_prepare(fd, tcp);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static void dial_free(struct dial *dial)
{
	ev_io_stop(dial->loop, &dial->io);
	if (dial->io.fd >= 0)
		close(dial->io.fd);
	buf_free(&dial->request);
	free(dial);
}

void dial_cancel(struct dial *dial)
{
	if (dial)
		dial_free(dial);
}

static void dial_fail(struct dial *dial, int error, const char *what)
{
	struct why why;

	why_set(&why, error, "%s by the proxy %s: %s", dial->target,
		address_port_format(&dial->proxy).text, what);
	dial->done(dial->user, -error, &why);
	dial_free(dial);
}

/* The socket goes on, with nothing of the proxy's in it. */
static void dial_succeed(struct dial *dial)
{
	int fd = dial->io.fd;

	ev_io_stop(dial->loop, &dial->io);
	dial->io.fd = -1;
	dial->done(dial->user, fd, NULL);
	dial_free(dial);
}

/* The status of the answer's first line (RFC 9112 section 4); 0: it is none. */
static int status_of(const char *head)
{
	if ((strncmp(head, "HTTP/1.1 ", 9) != 0 && strncmp(head, "HTTP/1.0 ", 9) != 0) ||
		strspn(head + 9, "0123456789") != 3 || (head[12] != ' ' && head[12] != '\r'))
		return 0;
	return atoi(head + 9);
}

/* The final answer, whose head ends there. */
static void dial_judge(struct dial *dial, const char *end)
{
	int status = status_of(dial->head);
	char text[80];

	if (status < 200 || status > 299) {
		snprintf(text, sizeof(text), status ? "it answered %d" : "its answer is no HTTP",
			status);
		dial_fail(dial, ECONNREFUSED, text);
	} else if (end != dial->head + dial->got) {
		/* In TLS the client speaks first: whoever speaks here is not the origin. */
		dial_fail(dial, EPROTO, "it said more than that it is connected");
	} else {
		dial_succeed(dial);
	}
}

/* Past what is there of interim answers (RFC 9110 section 15.2); the end of the head that follows, or
 * NULL: it is not whole. */
static const char *dial_find_end(struct dial *dial)
{
	const char *end;

	while ((end = strstr(dial->head, "\r\n\r\n")) && status_of(dial->head) / 100 == 1) {
		dial->got -= (size_t)(end + 4 - dial->head);
		memmove(dial->head, end + 4, dial->got + 1);
	}
	return end ? end + 4 : NULL;
}

static void dial_receive(struct dial *dial)
{
	ssize_t got = recv(dial->io.fd, dial->head + dial->got, DIAL_HEAD_MAX - dial->got, 0);
	const char *end;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		dial_fail(dial, got ? errno : ECONNRESET, got ? strerror(errno) : "it closed");
		return;
	}
	dial->got += (size_t)got;
	dial->head[dial->got] = '\0';
	if (strlen(dial->head) != dial->got) {
		dial_fail(dial, EPROTO, "its answer is no HTTP");
		return;
	}
	end = dial_find_end(dial);
	if (end)
		dial_judge(dial, end);
	else if (dial->got == DIAL_HEAD_MAX)
		dial_fail(dial, EPROTO, "its answer is too long");
}

static void dial_send(struct dial *dial)
{
	struct slice left = slice_after(buf_slice(&dial->request), dial->sent);
	int error = 0;
	socklen_t len = sizeof(error);
	ssize_t sent;

	if (getsockopt(dial->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	sent = error ? -1 : send(dial->io.fd, left.data, left.len, MSG_NOSIGNAL);
	if (sent < 0) {
		if (error || (errno != EAGAIN && errno != EINTR))
			dial_fail(dial, error ? error : errno, strerror(error ? error : errno));
		return;
	}
	dial->sent += (size_t)sent;
	if (dial->sent < buf_len(&dial->request))
		return;
	ev_io_stop(dial->loop, &dial->io);
	ev_io_set(&dial->io, dial->io.fd, EV_READ);
	ev_io_start(dial->loop, &dial->io);
}

static void dial_moved(struct ev_loop *loop, ev_io *io, int events)
{
	struct dial *dial = io->data;

	(void)loop;
	if (events & EV_WRITE)
		dial_send(dial);
	else
		dial_receive(dial);
}

struct dial *dial_start(struct ev_loop *loop, const struct address_port *proxy,
	const struct config_tcp *tcp, const char *host, uint16_t port, dial_done *done, void *user,
	struct why *why)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	int fd;

	if (!dial) {
		why_set(why, ENOMEM, "%s: out of memory", host);
		return NULL;
	}
	dial->loop = loop;
	dial->proxy = *proxy;
	dial->done = done;
	dial->user = user;
	ev_io_init(&dial->io, dial_moved, -1, EV_WRITE);
	dial->io.data = dial;
	snprintf(dial->target, sizeof(dial->target), "%s:%u", host, port);
	if (buf_printf(&dial->request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", dial->target,
		    dial->target)) {
		why_set(why, ENOMEM, "%s: out of memory", host);
		dial_free(dial);
		return NULL;
	}
	fd = dial_socket(proxy, tcp);
	if (fd < 0) {
		why_set(why, -fd, "%s by the proxy %s: %s", dial->target,
			address_port_format(proxy).text, strerror(-fd));
		dial_free(dial);
		return NULL;
	}
	ev_io_set(&dial->io, fd, EV_WRITE);
	ev_io_start(loop, &dial->io);
	return dial;
}
