// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/roles.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/ring.h"
#include "kernel/heartbeat.h"

#define PEERS_MAX 64

/* ---- worker ---- */

struct test_worker {
	struct role_context *context;
	struct ring *ring;
	int wake_shipper;
	char names[256], key[256];
	int keeper;
	struct heartbeat *heartbeat;
	ev_timer beat;
	ev_io accept;
	struct list connections;
	bool draining;
};

struct test_connection {
	struct list node;
	struct test_worker *worker;
	ev_io input;
};

static void worker_may_exit(struct test_worker *w)
{
	if (w->draining && list_empty(&w->connections))
		role_exit(w->context);
}

static void connection_close(struct test_connection *c)
{
	ev_io_stop(c->worker->context->loop, &c->input);
	close(c->input.fd);
	list_remove(&c->node);
	free(c);
}

static void write_record(struct test_worker *w)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "record of %u\n", w->context->number);
	void *room = ring_reserve(w->ring, (size_t)n);

	if (!room)
		abort();
	memcpy(room, text, (size_t)n);
	ring_commit(w->ring, (size_t)n);
	eventfd_write(w->wake_shipper, 1);
}

/* The last that the keeper has told; waits for the first. */
static void hear_keeper(struct test_worker *w)
{
	struct pollfd readable = {.fd = w->keeper, .events = POLLIN};
	_Alignas(max_align_t) char memory[512];
	struct ipc_message m;

	while (poll(&readable, 1, w->key[0] ? 0 : 5000) > 0) {
		if (ipc_receive(w->keeper, memory, sizeof(memory), &m) <= 0)
			return;
		snprintf(w->key, sizeof(w->key), "%s", (const char *)m.body);
	}
}

static void obey(struct test_worker *w, char order, char *answer, size_t size)
{
	int fd;

	switch (order) {
	case 'i':
		snprintf(answer, size, "%u %u %d\n", w->context->index, w->context->number,
			(int)getpid());
		break;
	case 'n':
		snprintf(answer, size, "%s\n", w->names);
		break;
	case 'k':
		hear_keeper(w);
		snprintf(answer, size, "%s\n", w->key);
		break;
	case 'o':
		fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		snprintf(answer, size, "%d\n", fd < 0 ? errno : 0);
		break;
	case 'r':
		write_record(w);
		snprintf(answer, size, "ok\n");
		break;
	case 'u':
		syscall(SYS_getpgid, 0);
		break;
	case 'e':
		_exit(3);
	default:
		break;
	}
}

static void on_order(struct ev_loop *loop, ev_io *input, int events)
{
	struct test_connection *c = input->data;
	struct test_worker *w = c->worker;
	char order, answer[512] = "?\n";

	(void)loop;
	(void)events;
	if (recv(input->fd, &order, 1, 0) != 1) {
		connection_close(c);
		worker_may_exit(w);
		return;
	}
	obey(w, order, answer, sizeof(answer));
	if (send(input->fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
		return;
}

static void on_connection(struct ev_loop *loop, ev_io *accepting, int events)
{
	struct test_worker *w = accepting->data;
	int fd;

	(void)events;
	while ((fd = accept4(accepting->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct test_connection *c = calloc(1, sizeof(*c));

		c->worker = w;
		ev_io_init(&c->input, on_order, fd, EV_READ);
		c->input.data = c;
		ev_io_start(loop, &c->input);
		list_append(&w->connections, &c->node);
	}
}

static int take(struct test_worker *w, const char *name)
{
	int fd = role_fd(w->context, name);

	if (fd >= 0)
		strcat(strcat(w->names, w->names[0] ? " " : ""), name);
	return fd;
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	heartbeat_stamp(timer->data);
}

static int beat(struct test_worker *w, struct why *why)
{
	int fd = take(w, "heartbeats");
	int error = heartbeat_map(fd, w->context->index, &w->heartbeat, why);

	close(fd);
	if (error)
		return error;
	ev_timer_init(&w->beat, on_beat, 0., HEARTBEAT_INTERVAL_S);
	w->beat.data = w->heartbeat;
	ev_timer_start(w->context->loop, &w->beat);
	return 0;
}

static int worker_init(struct role_context *context, void **state, struct why *why)
{
	static const char *const unused[] = {"listener6", "ca_certificate", "tickets", "sources",
		"standing", "wake_worker", "signer", "ca_key"};
	struct test_worker *w = calloc(1, sizeof(*w));

	w->context = context;
	list_init(&w->connections);
	ev_io_init(&w->accept, on_connection, take(w, "listener4"), EV_READ);
	w->accept.data = w;
	ev_io_start(context->loop, &w->accept);
	w->ring = ring_map(take(w, "ring"), true, why);
	w->wake_shipper = take(w, "wake_shipper");
	w->keeper = take(w, "keeper");
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		take(w, unused[i]);
	if (!w->ring || beat(w, why)) {
		free(w);
		return -EINVAL;
	}
	*state = w;
	return 0;
}

static void no_message(void *state, struct ipc_message *message)
{
	(void)state;
	(void)message;
}

static void worker_message(void *state, struct ipc_message *message)
{
	struct test_worker *w = state;

	if (message->type != CONTROL_KEEPER || message->nfds != 1)
		return;
	close(w->keeper);
	w->keeper = message->fds[0];
	message->fds[0] = -1;
}

static void worker_drain(void *state, bool patient)
{
	struct test_worker *w = state;

	w->draining = true;
	ev_timer_stop(w->context->loop, &w->beat);
	if (ev_is_active(&w->accept)) {
		on_connection(w->context->loop, &w->accept, EV_READ);
		ev_io_stop(w->context->loop, &w->accept);
		close(w->accept.fd);
	}
	list_for_each_safe (node, &w->connections) {
		if (!patient)
			connection_close(list_entry(node, struct test_connection, node));
	}
	worker_may_exit(w);
}

static void worker_close(void *state)
{
	struct test_worker *w = state;

	list_for_each_safe (node, &w->connections)
		connection_close(list_entry(node, struct test_connection, node));
	ring_unmap(w->ring);
	heartbeat_unmap(w->heartbeat);
	free(w);
}

static const struct role test_worker = {
	"worker", worker_init, worker_message, worker_drain, worker_close};

/* ---- signer ---- */

static int signer_init(struct role_context *context, void **state, struct why *why)
{
	struct buf key = BUF_EMPTY;
	int error = file_read_fd(role_fd(context, "ca_key"), 64, &key, why);

	if (!error && slice_starts_with(buf_slice(&key), SLICE("bad")))
		error = why_set(why, EINVAL, "the key is bad");
	buf_free(&key);
	*state = context;
	return error;
}

static void drain_at_once(void *state, bool patient)
{
	(void)patient;
	role_exit(state);
}

static void close_nothing(void *state)
{
	(void)state;
}

static const struct role test_signer = {
	"signer", signer_init, no_message, drain_at_once, close_nothing};

/* ---- scout ---- */

static int scout_init(struct role_context *context, void **state, struct why *why)
{
	role_send(context, CONTROL_SCOUTED, NULL, 0, NULL, 0);
	(void)why;
	*state = context;
	return 0;
}

static const struct role test_scout = {
	"scout", scout_init, no_message, drain_at_once, close_nothing};

/* ---- keeper ---- */

/* Tells every worker what is in the first credential's file, or why there is none. */
struct test_keeper {
	struct role_context *context;
	char key[256];
	int peers[PEERS_MAX];
	size_t npeers;
};

static int keeper_init(struct role_context *context, void **state, struct why *why)
{
	struct test_keeper *k = calloc(1, sizeof(*k));

	(void)why;
	k->context = context;
	*state = k;
	return 0;
}

static void keeper_message(void *state, struct ipc_message *m)
{
	struct test_keeper *k = state;
	const struct control_file *file = m->body;
	size_t first = 0;

	if (m->type == CONTROL_PEER && m->nfds == 1 && k->npeers < PEERS_MAX) {
		first = k->npeers;
		k->peers[k->npeers++] = m->fds[0];
		m->fds[0] = -1;
	} else if (m->type == CONTROL_FILE && m->nfds == 1) {
		ssize_t n = read(m->fds[0], k->key, sizeof(k->key) - 1);

		k->key[n > 0 ? n : 0] = '\0';
	} else if (m->type == CONTROL_FILE) {
		snprintf(k->key, sizeof(k->key), "%s", file->why);
	} else {
		return;
	}
	for (size_t i = first; i < k->npeers && k->key[0]; i++)
		ipc_send(k->peers[i], 1, k->key, strlen(k->key) + 1, NULL, 0);
}

static void keeper_drain(void *state, bool patient)
{
	(void)patient;
	role_exit(((struct test_keeper *)state)->context);
}

static const struct role test_keeper = {
	"keeper", keeper_init, keeper_message, keeper_drain, free};

/* ---- shipper ---- */

struct test_peer {
	uint32_t number;
	struct ring *ring;
	ev_io wake;
	struct test_shipper *shipper;
};

struct test_shipper {
	struct role_context *context;
	int records;
	struct test_peer peers[PEERS_MAX];
	size_t npeers;
	bool draining;
};

static void spool(struct test_peer *p)
{
	struct ring_cursor cursor = ring_cursor(p->ring);
	struct slice record;

	while (ring_next(p->ring, &cursor, &record) == 1) {
		if (write(p->shipper->records, record.data, record.len) < 0)
			abort();
	}
	ring_release(p->ring, &cursor);
}

static void on_wake(struct ev_loop *loop, ev_io *wake, int events)
{
	eventfd_t n;

	(void)loop;
	(void)events;
	eventfd_read(wake->fd, &n);
	spool(wake->data);
}

static void shipper_may_exit(struct test_shipper *s)
{
	for (size_t i = 0; i < s->npeers; i++) {
		if (s->peers[i].ring)
			return;
	}
	if (s->draining)
		role_exit(s->context);
}

static void peer_gone(struct test_shipper *s, const struct control_peer *gone)
{
	for (size_t i = 0; i < s->npeers; i++) {
		struct test_peer *p = &s->peers[i];

		if (p->number != gone->number || !p->ring)
			continue;
		spool(p);
		ev_io_stop(s->context->loop, &p->wake);
		close(p->wake.fd);
		ring_unmap(p->ring);
		p->ring = NULL;
		role_send(s->context, CONTROL_PEER_GONE, gone, sizeof(*gone), NULL, 0);
	}
	shipper_may_exit(s);
}

static void shipper_message(void *state, struct ipc_message *m)
{
	struct test_shipper *s = state;
	const struct control_peer *peer = m->body;
	struct test_peer *p = &s->peers[s->npeers];
	struct why why;

	if (m->type == CONTROL_PEER_GONE)
		peer_gone(s, peer);
	if (m->type != CONTROL_PEER || m->nfds != 3 || s->npeers == PEERS_MAX)
		return;
	*p = (struct test_peer){.number = peer->number, .shipper = s};
	p->ring = ring_map(m->fds[0], false, &why);
	if (!p->ring)
		abort();
	ev_io_init(&p->wake, on_wake, m->fds[1], EV_READ);
	p->wake.data = p;
	m->fds[1] = -1;
	ev_io_start(s->context->loop, &p->wake);
	s->npeers++;
	spool(p);
}

static int shipper_init(struct role_context *context, void **state, struct why *why)
{
	struct test_shipper *s = calloc(1, sizeof(*s));

	s->context = context;
	s->records = openat(role_fd(context, "spool"), "records",
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (s->records < 0) {
		free(s);
		return why_set(why, errno, "spool: %m");
	}
	*state = s;
	return 0;
}

static void shipper_drain(void *state, bool patient)
{
	struct test_shipper *s = state;

	s->draining = true;
	for (size_t i = 0; i < s->npeers; i++) {
		if (s->peers[i].ring)
			spool(&s->peers[i]);
	}
	if (!patient)
		role_exit(s->context);
	shipper_may_exit(s);
}

static void shipper_close(void *state)
{
	struct test_shipper *s = state;

	for (size_t i = 0; i < s->npeers; i++) {
		if (s->peers[i].ring)
			ring_unmap(s->peers[i].ring);
	}
	free(s);
}

static const struct role test_shipper = {
	"shipper", shipper_init, shipper_message, shipper_drain, shipper_close};

const struct role_table test_roles = {{
	[ROLE_SIGNER] = &test_signer,
	[ROLE_WORKER] = &test_worker,
	[ROLE_SHIPPER] = &test_shipper,
	[ROLE_SCOUT] = &test_scout,
	[ROLE_KEEPER] = &test_keeper,
}};
