// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/child.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "supervise/sandbox.h"

/* The parent sends the boot messages before the child runs: this is for a parent in trouble. */
#define BOOT_MS		 10000
#define BOOT_FDS_MAX	 4096
#define CONFIG_BYTES_MAX (16u << 20)
/* Messages taken in one turn of the loop. */
#define MESSAGES_AT_ONCE 64
#define NOFILE_WANTED	 1048576

struct child_fd {
	char *name;
	int fd;
};

/* Of the shipper: a worker that is alive as long as its end of a pipe is open. */
struct child_peer {
	struct list node;
	struct child *child;
	ev_io life;
	uint32_t number;
};

struct child {
	const struct role *role;
	struct role_context context;
	struct control_boot boot;
	void *state;
	struct config *config;
	struct child_fd *fds;
	size_t nfds;
	struct list peers;
	ev_io control;
	ev_timer deadline;
	bool overtime; /* the deadline came: the next one ends the loop */
	_Alignas(max_align_t) char memory[IPC_MESSAGE_MAX];
};

int role_fd(struct role_context *context, const char *name)
{
	struct child *child = context->child;

	for (size_t i = 0; i < child->nfds; i++) {
		int fd = child->fds[i].fd;

		if (fd < 0 || strcmp(child->fds[i].name, name) != 0)
			continue;
		child->fds[i].fd = -1;
		return fd;
	}
	return -1;
}

/* ---- boot ---- */

static int boot_receive(struct child *child, struct ipc_message *m, struct why *why)
{
	struct pollfd readable = {.fd = CHILD_CONTROL, .events = POLLIN};
	int result;

	while ((result = ipc_receive(CHILD_CONTROL, child->memory, sizeof(child->memory), m)) ==
		-EAGAIN) {
		if (poll(&readable, 1, BOOT_MS) == 0)
			return why_set(why, ETIMEDOUT, "boot: the parent says nothing");
	}
	if (result < 0)
		return why_set(why, -result, "boot: %s", strerror(-result));
	return result ? 0 : why_set(why, EPIPE, "boot: the parent is gone");
}

static int boot_take_fds(struct child *child, struct ipc_message *m)
{
	struct child_fd *fds = realloc(child->fds, (child->nfds + m->nfds) * sizeof(*fds));
	const char *name = m->body, *end = name + m->len;

	if (!fds)
		return -ENOMEM;
	child->fds = fds;
	for (size_t i = 0; i < m->nfds; i++) {
		size_t len = name < end ? strnlen(name, (size_t)(end - name)) : 0;

		if (name + len >= end)
			return -EBADMSG;
		fds[child->nfds].name = strdup(name);
		if (!fds[child->nfds].name)
			return -ENOMEM;
		fds[child->nfds++].fd = m->fds[i];
		m->fds[i] = -1;
		name += len + 1;
	}
	return 0;
}

static int boot(struct child *child, struct why *why)
{
	struct ipc_message m;
	int error = boot_receive(child, &m, why);

	if (error)
		return error;
	if (m.type != CONTROL_BOOT || m.len != sizeof(child->boot)) {
		ipc_close_fds(&m);
		return why_set(why, EBADMSG, "boot: not a boot message");
	}
	memcpy(&child->boot, m.body, sizeof(child->boot));
	ipc_close_fds(&m);
	if (child->boot.nfds > BOOT_FDS_MAX)
		return why_set(why, EBADMSG, "boot: %u descriptors", child->boot.nfds);
	while (child->nfds < child->boot.nfds) {
		error = boot_receive(child, &m, why);
		if (error)
			return error;
		error = m.type == CONTROL_BOOT_FDS && m.nfds ? boot_take_fds(child, &m) : -EBADMSG;
		ipc_close_fds(&m);
		if (error)
			return why_set(why, -error, "boot: descriptors: %s", strerror(-error));
	}
	return 0;
}

static int read_config(struct child *child, struct why *why)
{
	struct buf text = BUF_EMPTY;
	int fd = role_fd(&child->context, "config");
	int error;

	if (fd < 0)
		return why_set(why, EBADMSG, "boot: no configuration");
	error = file_read_fd(fd, CONFIG_BYTES_MAX, &text, why);
	close(fd);
	if (!error)
		error = config_parse(
			child->boot.config_path, buf_slice(&text), &child->config, why);
	buf_free(&text);
	child->context.config = child->config;
	return error;
}

static int map_counters(struct child *child, struct why *why)
{
	static const unsigned slots[ROLE_KINDS] = {
		[ROLE_SIGNER] = COUNTER_SLOT_SIGNER,
		[ROLE_WORKER] = COUNTER_SLOT_WORKER,
		[ROLE_SHIPPER] = COUNTER_SLOT_SHIPPER,
		[ROLE_SCOUT] = COUNTER_SLOT_SCOUT,
		[ROLE_KEEPER] = COUNTER_SLOT_KEEPER,
	};
	unsigned slot = slots[child->boot.kind];
	int fd = role_fd(&child->context, "counters");
	int error;

	if (child->boot.kind == ROLE_WORKER)
		slot += child->boot.index % COUNTER_WORKERS;
	error = counters_map(fd, slot, &child->context.counters, why);
	close(fd);
	return error;
}

/* Two of each intercepted connection, and more for a bypassed one, are the worker's. */
static void raise_descriptors(const struct child *child)
{
	struct rlimit limit = {NOFILE_WANTED, NOFILE_WANTED};

	if (child->boot.kind != ROLE_WORKER || setrlimit(RLIMIT_NOFILE, &limit) == 0 ||
		getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	/* Not allowed to go beyond the hard limit (a container): that far at least. */
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		log_info("at most %llu descriptors: the hard limit stands",
			(unsigned long long)limit.rlim_cur);
}

/* ---- the loop ---- */

static void drain(struct child *child, uint64_t within_ns)
{
	struct ev_loop *loop = child->context.loop;
	bool now = within_ns == 0;

	if (child->overtime)
		return;
	ev_timer_stop(loop, &child->deadline);
	child->overtime = now;
	if (now)
		within_ns = CHILD_OVERTIME_NS;
	if (within_ns != UINT64_MAX) {
		ev_timer_set(&child->deadline, (double)within_ns / 1e9, 0.);
		ev_timer_start(loop, &child->deadline);
	}
	child->role->drain(child->state, !now);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct child *child = timer->data;

	(void)events;
	if (child->overtime) {
		log_warning("did not finish in time: what is left is cut");
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	drain(child, 0);
}

static void forget_peer(struct child_peer *peer)
{
	ev_io_stop(peer->child->context.loop, &peer->life);
	close(peer->life.fd);
	list_remove(&peer->node);
	free(peer);
}

static void on_peer_end(struct ev_loop *loop, ev_io *life, int events)
{
	struct child_peer *peer = life->data;
	struct child *child = peer->child;
	struct control_peer body = {.number = peer->number};
	struct ipc_message m = {.type = CONTROL_PEER_GONE, .body = &body, .len = sizeof(body)};
	char byte;

	(void)loop;
	(void)events;
	/* Nothing is ever written to it by an honest worker; only its end counts. */
	if (read(life->fd, &byte, 1) != 0)
		return;
	forget_peer(peer);
	child->role->message(child->state, &m);
	ipc_close_fds(&m);
}

/* Keeps the fourth fd of a peer of the shipper and leaves the others to the role. */
static void watch_peer(struct child *child, struct ipc_message *m)
{
	struct child_peer *peer;

	if (m->nfds != 4 || m->len != sizeof(struct control_peer))
		return;
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		/* Never told of its end, this peer would keep the shipper from ending. */
		log_error("no memory to watch a worker");
		abort();
	}
	peer->child = child;
	memcpy(&peer->number, m->body, sizeof(peer->number));
	ev_io_init(&peer->life, on_peer_end, m->fds[3], EV_READ);
	peer->life.data = peer;
	m->fds[3] = -1;
	m->nfds = 3;
	list_append(&child->peers, &peer->node);
	ev_io_start(child->context.loop, &peer->life);
}

static void take_message(struct child *child, struct ipc_message *m)
{
	struct control_drain order;

	switch (m->type) {
	case CONTROL_DRAIN:
		if (m->len != sizeof(order))
			break;
		memcpy(&order, m->body, sizeof(order));
		drain(child, order.within_ns);
		break;
	case CONTROL_PING:
		(void)role_send(&child->context, CONTROL_PONG, NULL, 0, NULL, 0);
		break;
	case CONTROL_PEER:
		if (child->boot.kind == ROLE_SHIPPER)
			watch_peer(child, m);
		child->role->message(child->state, m);
		break;
	default:
		child->role->message(child->state, m);
	}
	ipc_close_fds(m);
}

static void on_control(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct child *child = watcher->data;
	struct ipc_message m;

	(void)events;
	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		int result = ipc_receive(CHILD_CONTROL, child->memory, sizeof(child->memory), &m);

		if (result == -EAGAIN)
			return;
		if (result == -EBADMSG) {
			counter_add(child->context.counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
			continue;
		}
		if (result <= 0) {
			ev_io_stop(loop, watcher);
			log_warning("the parent is gone: draining");
			drain(child,
				child->config->processes.drain_ns +
					(child->boot.kind == ROLE_SHIPPER ? 2 * CHILD_OVERTIME_NS
									  : 0));
			return;
		}
		take_message(child, &m);
	}
}

static void run_loop(struct child *child)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

	/* Ends are ordered over the control socket only: a signal to the whole control group (the
	 * service manager's) must not end the shipper before the workers. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	ev_io_init(&child->control, on_control, CHILD_CONTROL, EV_READ);
	child->control.data = child;
	ev_io_start(child->context.loop, &child->control);
	ev_timer_init(&child->deadline, on_deadline, 0., 0.);
	child->deadline.data = child;
	ev_run(child->context.loop, 0);
}

/* ---- the process ---- */

static void name_process(const struct child *child)
{
	char title[32];

	if (child->boot.kind == ROLE_WORKER)
		snprintf(title, sizeof(title), "worker %u", child->boot.index);
	else
		snprintf(title, sizeof(title), "%s", child->role->title);
	log_open(title, (enum log_level)child->boot.log_level);
	/* 15 bytes: what ps, top and the kernel's messages show. */
	prctl(PR_SET_NAME, title, 0, 0, 0);
}

static int prepare(struct child *child, const struct role_table *table, struct why *why)
{
	int error = boot(child, why);
	void *state = NULL;

	if (error)
		return error;
	if (child->boot.kind >= ROLE_KINDS || table->roles[child->boot.kind] != child->role)
		return why_set(why, EBADMSG, "boot: unknown role");
	name_process(child);
	child->context.index = child->boot.index;
	child->context.number = child->boot.number;
	memcpy(child->context.epoch, child->boot.epoch, sizeof(child->context.epoch) - 1);
	child->context.control = CHILD_CONTROL;
	raise_descriptors(child);
	error = sandbox_no_dump(why);
	if (!error)
		error = read_config(child, why);
	if (!error)
		error = map_counters(child, why);
	if (error)
		return error;
	child->context.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!child->context.loop)
		return why_set(why, ENOMEM, "no event loop: is epoll there?");
	error = child->role->init(&child->context, &state, why);
	if (error)
		return error;
	child->state = state;
	return sandbox_enter((enum role_kind)child->boot.kind, child->config, why);
}

static void finish(struct child *child)
{
	list_for_each_safe (node, &child->peers)
		forget_peer(list_entry(node, struct child_peer, node));
	for (size_t i = 0; i < child->nfds; i++) {
		if (child->fds[i].fd >= 0)
			close(child->fds[i].fd);
		free(child->fds[i].name);
	}
	free(child->fds);
	if (child->context.loop)
		ev_loop_destroy(child->context.loop);
	counters_close(child->context.counters);
	config_free(child->config);
	free(child);
}

static void tell_failure(int error, const struct why *why)
{
	struct control_failed failed = {.error = error};

	snprintf(failed.text, sizeof(failed.text), "%s", why->text);
	if (ipc_send(CHILD_CONTROL, CONTROL_FAILED, &failed, sizeof(failed), NULL, 0))
		log_error("%s", why->text);
}

static const struct role *find_role(const struct role_table *table, const char *title)
{
	for (int kind = 0; kind < ROLE_KINDS; kind++) {
		if (table->roles[kind] && strcmp(table->roles[kind]->title, title) == 0)
			return table->roles[kind];
	}
	return NULL;
}

int child_main(const struct role_table *table, const char *title)
{
	const struct role *role = find_role(table, title);
	struct child *child = role ? calloc(1, sizeof(*child)) : NULL;
	struct why why = {""};
	int error;

	if (!child)
		return EXIT_FAILURE;
	/* Until the loop runs there is nobody to notice the end of the parent. (Forgotten by the
	 * kernel when the process changes its identity.) */
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	/* The parent's haste is its own (parent.c). */
	if (getpriority(PRIO_PROCESS, 0) < 0)
		(void)setpriority(PRIO_PROCESS, 0, 0);
	child->role = role;
	child->context.child = child;
	list_init(&child->peers);
	error = prepare(child, table, &why);
	if (!error)
		error = ipc_send(CHILD_CONTROL, CONTROL_READY, NULL, 0, NULL, 0);
	else
		tell_failure(error, &why);
	if (!error)
		run_loop(child);
	if (child->state)
		role->close(child->state);
	finish(child);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
