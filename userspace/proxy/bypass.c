// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/bypass.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/socket.h"

#define BYPASS_MAGIC	 0xb79a55u
#define BYPASS_PIPE_SIZE 65536
/* A splice of a busy connection must not keep the others waiting. */
#define BYPASS_ROUNDS 16

/* One direction: socket → pipe → socket, the bytes never enter this process. */
struct bypass_flow {
	struct bypass *bypass;
	int from, to;
	int pipe[2];
	size_t piped;	/* bytes in the pipe */
	bool ended;	/* from has no more */
	bool failed;	/* … because it was reset */
	bool shut;	/* to was told, or takes no more */
	ev_io readable, writable;
};

struct bypass {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	struct worker *worker;
	int client, origin;
	struct bypass_flow flows[2]; /* from the client, to the client */
	ev_timer deadline;	     /* of the connect */
	ev_io connecting;
};

static void bypass_free(struct garbage *garbage)
{
	free(list_entry(garbage, struct bypass, garbage));
}

static void bypass_close(struct bypass *b)
{
	struct worker *worker = b->worker;

	assert(b->magic == BYPASS_MAGIC);
	b->magic = 0;
	for (int i = 0; i < 2; i++) {
		ev_io_stop(worker->loop, &b->flows[i].readable);
		ev_io_stop(worker->loop, &b->flows[i].writable);
		for (int end = 0; end < 2; end++)
			if (b->flows[i].pipe[end] >= 0)
				close(b->flows[i].pipe[end]);
	}
	ev_timer_stop(worker->loop, &b->deadline);
	ev_io_stop(worker->loop, &b->connecting);
	close(b->client);
	if (b->origin >= 0)
		close(b->origin);
	list_remove(&b->node);
	turn_discard(&worker->turn, &b->garbage, bypass_free);
	worker_ended(worker);
}

/* Closes with a reset, as the failed peer would have done. */
static void bypass_reset(struct bypass *b)
{
	struct linger reset = {.l_onoff = 1};

	setsockopt(b->client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (b->origin >= 0)
		setsockopt(b->origin, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	bypass_close(b);
}

/* Fills the pipe from its socket; true: something moved. */
static bool bypass_fill(struct bypass_flow *f)
{
	ssize_t moved;

	if (f->ended || f->piped == BYPASS_PIPE_SIZE)
		return false;
	moved = splice(f->from, NULL, f->pipe[1], NULL, BYPASS_PIPE_SIZE - f->piped,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (moved < 0 && errno == EAGAIN)
		return false;
	f->failed = moved < 0;
	f->ended = moved <= 0;
	if (moved > 0)
		f->piped += (size_t)moved;
	return moved > 0;
}

/* Empties the pipe into the other socket; true: something moved. */
static bool bypass_empty(struct bypass_flow *f)
{
	ssize_t moved;

	if (!f->piped)
		return false;
	moved = splice(f->pipe[0], NULL, f->to, NULL, f->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (moved < 0 && errno == EAGAIN)
		return false;
	if (moved < 0) {
		/* It takes no more; what it has said before it went may still wait to be read. */
		f->ended = f->shut = true;
		f->piped = 0;
		return false;
	}
	f->piped -= (size_t)moved;
	return moved > 0;
}

static void bypass_step(struct bypass_flow *f)
{
	struct bypass *b = f->bypass;
	struct ev_loop *loop = b->worker->loop;
	bool moved = true;

	for (int round = 0; round < BYPASS_ROUNDS && moved; round++) {
		moved = bypass_fill(f);
		moved = bypass_empty(f) || moved;
	}
	if (f->failed && !f->piped) {
		bypass_reset(b);
		return;
	}
	if (f->ended && !f->piped && !f->shut) {
		f->shut = true;
		shutdown(f->to, SHUT_WR);
	}
	if (b->flows[0].shut && b->flows[1].shut) {
		bypass_close(b);
		return;
	}
	if (f->piped)
		ev_io_start(loop, &f->writable);
	else
		ev_io_stop(loop, &f->writable);
	if (f->ended || f->piped)
		ev_io_stop(loop, &f->readable);
	else
		ev_io_start(loop, &f->readable);
}

static void bypass_event(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	bypass_step(watcher->data);
}

static void bypass_failed_connect(struct bypass *b)
{
	counter_add(b->worker->counters, COUNTER_BYPASS_UNREACHABLE, 1);
	bypass_reset(b);
}

static void bypass_connected(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct bypass *b = watcher->data;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	ev_io_stop(loop, &b->connecting);
	ev_timer_stop(loop, &b->deadline);
	if (getsockopt(b->origin, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		bypass_failed_connect(b);
		return;
	}
	bypass_step(&b->flows[0]);
	if (b->magic == BYPASS_MAGIC)
		bypass_step(&b->flows[1]);
}

static void bypass_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	bypass_failed_connect(timer->data);
}

static int bypass_connect(struct bypass *b, const struct address_port *destination)
{
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(destination, &sa);

	b->origin = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (b->origin < 0)
		return -errno;
	socket_prepare(b->origin, &b->worker->config->tcp);
	if (connect(b->origin, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static void bypass_without_pipe(struct bypass *b, int error)
{
	uint64_t left_out;

	if (log_limit(&b->worker->bypass_log, &left_out))
		log_warning("bypass: cannot make a pipe: %s (%" PRIu64 " more were not logged)",
			strerror(error), left_out);
	bypass_failed_connect(b);
}

void bypass_new(struct worker *worker, int fd, const struct address_port *destination)
{
	struct bypass *b = calloc(1, sizeof(*b));
	int error;

	if (!b) {
		close(fd);
		return;
	}
	b->magic = BYPASS_MAGIC;
	b->worker = worker;
	b->client = fd;
	b->origin = -1;
	list_append(&worker->bypasses, &b->node);
	for (int i = 0; i < 2; i++)
		b->flows[i] = (struct bypass_flow){.bypass = b, .pipe = {-1, -1}};
	ev_init(&b->connecting, bypass_connected);
	ev_timer_init(&b->deadline, bypass_timed_out,
		(double)worker->config->origin.connect_ns / (double)NS_PER_S, 0);
	b->deadline.data = b->connecting.data = b;
	error = bypass_connect(b, destination);
	if (error) {
		bypass_failed_connect(b);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct bypass_flow *f = &b->flows[i];

		f->from = i ? b->origin : b->client;
		f->to = i ? b->client : b->origin;
		if (pipe2(f->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
			bypass_without_pipe(b, errno);
			return;
		}
		ev_io_init(&f->readable, bypass_event, f->from, EV_READ);
		ev_io_init(&f->writable, bypass_event, f->to, EV_WRITE);
		f->readable.data = f->writable.data = f;
	}
	ev_io_set(&b->connecting, b->origin, EV_WRITE);
	ev_io_start(worker->loop, &b->connecting);
	ev_timer_start(worker->loop, &b->deadline);
}

void bypass_close_all(struct worker *worker)
{
	list_for_each_safe (at, &worker->bypasses)
		bypass_reset(list_entry(at, struct bypass, node));
}
