// SPDX-License-Identifier: GPL-2.0-or-later
/* An OpenAI-compatible origin for tests and benchmarks: what the service does on the wire, with
 * knobs (knob.h) and a journal of what it saw (journal.h). */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/address.h"
#include "connection.h"

#define LISTENERS_MAX 16
#define KEYS_MAX      16
#define PROCESSES_MAX 64

static const char usage[] =
	"usage: origin --certificates DIRECTORY --listen ADDRESS:PORT [--listen …]\n"
	"  --journal FILE      append what was seen, one JSON object per line\n"
	"  --body-kept BYTES   of a request body in the journal (65536)\n"
	"  --key KEY           accept this credential (repeat); without it any\n"
	"  --region NAME       of x-ms-region (Sweden Central)\n"
	"  --knobs FILE        \"[x-test-NAME=VALUE]…\" for every request, read again for each\n"
	"  --tls-max VERSION   1.0, 1.1, 1.2 or 1.3\n"
	"  --processes N       that share the addresses (1)\n"
	"Prints \"ready\" when it accepts connections.\n";

struct options {
	const char *certificates, *journal, *region, *knobs;
	struct address_port listen[LISTENERS_MAX];
	size_t nlisten;
	char *keys[KEYS_MAX];
	size_t nkeys;
	size_t body_kept;
	int tls_max;
	unsigned processes;
};

static int tls_version(const char *text)
{
	static const char *const names[] = {"1.0", "1.1", "1.2", "1.3"};

	for (int i = 0; i < 4; i++)
		if (strcmp(text, names[i]) == 0)
			return TLS1_VERSION + i;
	return -1;
}

static bool take_option(struct options *o, int option, char *value)
{
	switch (option) {
	case 'c':
		o->certificates = value;
		return true;
	case 'j':
		o->journal = value;
		return true;
	case 'r':
		o->region = value;
		return true;
	case 'n':
		o->knobs = value;
		return true;
	case 'l':
		return o->nlisten < LISTENERS_MAX &&
		       !address_port_parse(value, &o->listen[o->nlisten++]);
	case 'k':
		if (o->nkeys == KEYS_MAX)
			return false;
		o->keys[o->nkeys++] = value;
		return true;
	case 'b':
		o->body_kept = strtoul(value, NULL, 10);
		return true;
	case 't':
		o->tls_max = tls_version(value);
		return o->tls_max > 0;
	case 'p':
		o->processes = (unsigned)strtoul(value, NULL, 10);
		return o->processes >= 1 && o->processes <= PROCESSES_MAX;
	default:
		return false;
	}
}

static bool read_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{"certificates", required_argument, NULL, 'c'},
		{"journal", required_argument, NULL, 'j'},
		{"region", required_argument, NULL, 'r'},
		{"knobs", required_argument, NULL, 'n'},
		{"listen", required_argument, NULL, 'l'},
		{"key", required_argument, NULL, 'k'},
		{"body-kept", required_argument, NULL, 'b'},
		{"tls-max", required_argument, NULL, 't'},
		{"processes", required_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*o = (struct options){.region = "Sweden Central", .body_kept = 65536, .processes = 1};
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (!take_option(o, option, optarg))
			return false;
	return optind == argc && o->certificates && o->nlisten;
}

static int listen_on(const struct address_port *at)
{
	struct sockaddr_storage name;
	socklen_t len = address_port_to_sockaddr(at, &name);
	int on = 1, fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (void *)&name, len) || listen(fd, 4096)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	int fd;

	(void)loop;
	(void)events;
	while ((fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		connection_open(io->data, fd);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)signal;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int serve(const struct options *o, int ready)
{
	struct origin origin = {.loop = ev_default_loop(0), .body_kept = o->body_kept};
	ev_io listeners[LISTENERS_MAX];
	ev_signal stop[2];
	int error = journal_open(&origin.journal, o->journal);

	if (error) {
		fprintf(stderr, "origin: %s: %s\n", o->journal, strerror(-error));
		return 1;
	}
	origin.certificates = certificates_open(o->certificates, o->tls_max);
	if (!origin.certificates)
		return 1;
	origin.service.region = o->region;
	origin.service.knobs = o->knobs;
	origin.service.keys = (char **)(uintptr_t)o->keys;
	origin.service.nkeys = o->nkeys;
	for (size_t i = 0; i < o->nlisten; i++) {
		int fd = listen_on(&o->listen[i]);

		if (fd < 0) {
			fprintf(stderr, "origin: %s: %s\n", address_port_format(&o->listen[i]).text,
				strerror(-fd));
			return 1;
		}
		ev_io_init(&listeners[i], on_accept, fd, EV_READ);
		listeners[i].data = &origin;
		ev_io_start(origin.loop, &listeners[i]);
	}
	ev_signal_init(&stop[0], on_signal, SIGTERM);
	ev_signal_init(&stop[1], on_signal, SIGINT);
	ev_signal_start(origin.loop, &stop[0]);
	ev_signal_start(origin.loop, &stop[1]);
	if (write(ready, "r", 1) != 1)
		return 1;
	close(ready);
	ev_run(origin.loop, 0);
	certificates_close(origin.certificates);
	return 0;
}

/* Waits until each process accepts; false when one of them could not. */
static bool all_ready(int ready, unsigned processes)
{
	char byte;

	for (unsigned i = 0; i < processes; i++)
		if (read(ready, &byte, 1) != 1)
			return false;
	return true;
}

static volatile sig_atomic_t stopping;

static void note_stop(int number)
{
	stopping = number;
}

/* The children die with this process; one that ends early ends all. */
static int watch_children(const pid_t *children, unsigned n)
{
	struct sigaction action = {.sa_handler = note_stop};
	int status = 0;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (!stopping && wait(&status) < 0)
		status = 0;
	for (unsigned i = 0; i < n; i++)
		kill(children[i], SIGTERM);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return status ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o;
	pid_t children[PROCESSES_MAX];
	int ready[2];

	if (!read_options(argc, argv, &o)) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (pipe(ready))
		return 1;
	for (unsigned i = 0; i < o.processes; i++) {
		children[i] = fork();
		if (children[i] < 0)
			return 1;
		if (children[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(ready[0]);
			return serve(&o, ready[1]);
		}
	}
	close(ready[1]);
	if (all_ready(ready[0], o.processes)) {
		puts("ready");
		fflush(stdout);
	}
	return watch_children(children, o.processes);
}
