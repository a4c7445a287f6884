// SPDX-License-Identifier: GPL-2.0-or-later
/* The worker's process: only here all of what it is made of is known. */
#include "proxy/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/bypass.h"
#include "proxy/bypass_event.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"
#include "proxy/worker_keeper.h"
#include "proxy/worker_tokens.h"

/* Connections accepted in one turn of the loop. */
#define WORKER_ACCEPTS 64
/* Without descriptors or memory for one more connection: the pause before the next try. */
#define WORKER_ACCEPT_PAUSE_S 0.1

static void worker_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct worker *worker = watcher->data;

	(void)loop;
	(void)events;
	recorder_flush(worker->recorder);
}

/* ---- signs of life ---- */

static void worker_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;

	(void)loop;
	(void)events;
	heartbeat_stamp(worker->heartbeat);
}

/* The stamp belongs to the listeners: a successor with the same index goes on writing it. */
static void worker_beat_no_more(struct worker *worker)
{
	ev_timer_stop(worker->loop, &worker->beat);
}

static int worker_open_heartbeat(struct worker *worker, struct why *why)
{
	int fd = role_fd(worker->context, "heartbeats"), error;

	if (fd < 0)
		return why_set(why, ENOENT, "the parent handed over no heartbeats");
	error = heartbeat_map(fd, worker->context->index, &worker->heartbeat, why);
	close(fd);
	if (error)
		return error;
	heartbeat_stamp(worker->heartbeat);
	/* Before all else that a turn of the loop has to do. */
	ev_set_priority(&worker->beat, EV_MAXPRI);
	ev_timer_start(worker->loop, &worker->beat);
	return 0;
}

/* ---- accepting ---- */

static void worker_accept_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	for (unsigned i = 0; i < worker->nlisteners; i++)
		ev_io_start(loop, &worker->listeners[i]);
}

/* Without descriptors or memory: what waits in the listeners stays there for a moment. */
static void worker_accept_later(struct worker *worker, int error)
{
	uint64_t left_out;

	counter_add(worker->counters, COUNTER_CLIENT_NOT_ACCEPTED, 1);
	if (log_limit(&worker->accept_log, &left_out))
		log_error("cannot accept a connection: %s; is LimitNOFILE high enough? (%" PRIu64
			  " more were not logged)",
			strerror(error), left_out);
	for (unsigned i = 0; i < worker->nlisteners; i++)
		ev_io_stop(worker->loop, &worker->listeners[i]);
	ev_timer_again(worker->loop, &worker->accept_pause);
}

static void worker_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *worker = watcher->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < WORKER_ACCEPTS; i++) {
		int fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			downstream_new(worker, fd);
			continue;
		}
		if (errno == ECONNABORTED || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			worker_accept_later(worker, errno);
		return;
	}
}

static int worker_listen(struct worker *worker, const char *name, struct why *why)
{
	ev_io *watcher = &worker->listeners[worker->nlisteners];
	int fd = role_fd(worker->context, name);

	if (fd < 0)
		return why_set(why, ENOENT, "the parent handed over no %s", name);
	ev_io_init(watcher, worker_accept, fd, EV_READ);
	watcher->data = worker;
	ev_io_start(worker->loop, watcher);
	worker->nlisteners++;
	return 0;
}

static int worker_open_listeners(struct worker *worker, struct why *why)
{
	int error = worker_listen(worker, "listener4", why);

	/* There is none on a host without IPv6. */
	if (!error && worker_listen(worker, "listener6", why))
		log_debug("%s", why->text);
	for (unsigned i = 0; i < worker->config->gateway.nlisten && !error; i++)
		error = worker_listen(worker, role_gateway_name(i), why);
	return error;
}

static void worker_stop_listening(struct worker *worker)
{
	for (unsigned i = 0; i < worker->nlisteners; i++) {
		ev_io_stop(worker->loop, &worker->listeners[i]);
		close(worker->listeners[i].fd);
	}
	worker->nlisteners = 0;
}

/* ---- the signer ---- */

/* The signer mints for the keys that it was sent first: before any byte of a client was read. */
static int worker_name_keys(struct worker *worker)
{
	int error = 0;

	while (worker->keys_named < LEAF_KINDS && !error) {
		struct buf message = BUF_EMPTY;

		error = leaf_key_write(worker->leaf_keys, worker->keys_named, &message);
		if (!error)
			error = ipc_send(worker->signer, LEAF_KEY, buf_slice(&message).data,
				buf_len(&message), NULL, 0);
		buf_free(&message);
		if (!error)
			worker->keys_named++;
	}
	return error;
}

static int worker_ask_signer(void *context, const void *message, size_t len)
{
	struct worker *worker = context;
	int error = worker->signer < 0 ? -ENOTCONN : worker_name_keys(worker);

	return error ? error : ipc_send(worker->signer, LEAF_REQUEST, message, len, NULL, 0);
}

static void worker_leave_signer(struct worker *worker)
{
	if (worker->signer < 0)
		return;
	ev_io_stop(worker->loop, &worker->signer_input);
	close(worker->signer);
	worker->signer = -1;
}

static void worker_ask_again(struct worker *worker, bool new_signer)
{
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		leaf_cache_resend(worker->leaves[kind], new_signer);
}

static void worker_signer_message(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *worker = watcher->data;
	char *memory = worker->scratch;
	struct ipc_message message;
	int result, kind;

	(void)loop;
	(void)events;
	result = ipc_receive(worker->signer, memory, sizeof(worker->scratch), &message);
	if (result == -EAGAIN || result == -EBADMSG)
		return;
	if (result <= 0) {
		/* It died: the parent sends the socket of the next one. */
		worker_leave_signer(worker);
		return;
	}
	ipc_close_fds(&message);
	if (message.type != LEAF_REPLY)
		return;
	/* The reply is copied because a client's handshake may use the scratch memory. */
	memory = malloc(message.len);
	if (!memory)
		return;
	memcpy(memory, message.body, message.len);
	kind = leaf_reply_kind(memory, message.len);
	if (kind < 0 || leaf_cache_reply(worker->leaves[kind], memory, message.len) < 0)
		log_warning("the signer sent a reply that cannot be read");
	free(memory);
	worker_ask_again(worker, false);
}

static void worker_meet_signer(struct worker *worker, int fd)
{
	worker_leave_signer(worker);
	worker->signer = fd;
	if (fd < 0)
		return;
	ev_io_init(&worker->signer_input, worker_signer_message, fd, EV_READ);
	worker->signer_input.data = worker;
	worker->keys_named = 0;
	/* Were there no memory for it now, the first request would be sent after it. */
	(void)worker_name_keys(worker);
	ev_io_start(worker->loop, &worker->signer_input);
	worker_ask_again(worker, true);
}

/* ---- life ---- */

static int worker_open_backend_legs(struct worker *worker, int own_ca, struct why *why)
{
	const struct config *config = worker->config;

	worker->backend_legs = calloc(config->nbackends + 1, sizeof(*worker->backend_legs));
	if (!worker->backend_legs)
		return why_set(why, ENOMEM, "out of memory");
	for (size_t i = 0; i < config->nbackends; i++) {
		if (!config->backends[i].nroots)
			continue;
		worker->backend_legs[i] =
			tls_origin_leg_of_backend(&config->backends[i], own_ca, why);
		if (!worker->backend_legs[i])
			return -EINVAL;
	}
	return 0;
}

static int worker_open_tls(struct worker *worker, struct why *why)
{
	struct role_context *context = worker->context;
	int tickets = role_fd(context, "tickets"),
	    ca_certificate = role_fd(context, "ca_certificate");
	int error = -EINVAL;

	if (tickets >= 0 && worker->config->tls.ticket_rotation_ns) {
		worker->tickets = ticket_keys_map(tickets, why);
		if (!worker->tickets)
			goto out;
	}
	if (leaf_keys_make(worker->leaf_keys, why))
		goto out;
	worker->client_leg =
		tls_client_leg_new(worker->config, worker->leaf_keys, worker->tickets, why);
	if (!worker->client_leg)
		goto out;
	worker->origin_leg = tls_origin_leg_new(worker->config, ca_certificate, why);
	if (!worker->origin_leg)
		goto out;
	error = worker_open_backend_legs(worker, ca_certificate, why);
	for (unsigned kind = 0; kind < LEAF_KINDS && !error; kind++) {
		worker->leaves[kind] =
			leaf_cache_new(worker->config, kind, worker_ask_signer, worker);
		error = worker->leaves[kind] ? 0 : why_set(why, ENOMEM, "out of memory");
	}
out:
	if (tickets >= 0)
		close(tickets);
	if (ca_certificate >= 0)
		close(ca_certificate);
	return error;
}

static int worker_open_recorder(struct worker *worker, struct why *why)
{
	struct role_context *context = worker->context;
	struct recorder_options options = {
		.loop = worker->loop,
		.counters = worker->counters,
		.observer = worker->config->appliance.name,
		.epoch = context->epoch,
		.stream = context->number,
		.waits = worker->config->audit.when_full == CONFIG_FULL_BLOCK,
		.ring = role_fd(context, "ring"),
		.wake_shipper = role_fd(context, "wake_shipper"),
		.wake_worker = role_fd(context, "wake_worker"),
	};
	int error;

	options.secrets = credentials_all(worker->credentials, &options.nsecrets);
	error = recorder_new(&options, &worker->recorder, why);
	if (error)
		return error;
	worker->bypass_events =
		bypass_events_new(worker->loop, worker->recorder, worker->counters);
	return worker->bypass_events ? 0 : why_set(why, ENOMEM, "out of memory");
}

static int worker_open_sources(struct worker *worker, struct why *why)
{
	int fd = role_fd(worker->context, "sources");

	worker->sources = source_table_map(fd, why);
	if (fd >= 0)
		close(fd);
	return worker->sources ? 0 : -EINVAL;
}

static int worker_open_pools(struct worker *worker, struct why *why)
{
	int fd = role_fd(worker->context, "standing");

	if (getrandom(&worker->random, sizeof(worker->random), 0) < 0 || !worker->random)
		worker->random = clock_monotonic_ns() | 1;
	worker->standing = standing_map(fd, why);
	if (fd >= 0)
		close(fd);
	if (!worker->standing)
		return -EINVAL;
	worker->pools = pool_table_new(worker->config);
	return worker->pools ? 0 : why_set(why, ENOMEM, "out of memory");
}

/* Exchanges first: their clients do not leave, they are cut off. */
static void worker_cut_all(struct worker *worker)
{
	/* With one of them others may end, on a connection that turns out to be lost. */
	while (!list_empty(&worker->exchanges))
		exchange_cut(exchange_of(worker->exchanges.next));
	list_for_each_safe (at, &worker->clients)
		client_close(list_entry(at, struct client, node), true);
	bypass_close_all(worker);
}

static void worker_close(void *state)
{
	struct worker *worker = state;

	if (!worker)
		return;
	worker_cut_all(worker);
	turn_collect(&worker->turn);
	worker_stop_listening(worker);
	worker_leave_signer(worker);
	worker_beat_no_more(worker);
	heartbeat_unmap(worker->heartbeat);
	ev_timer_stop(worker->loop, &worker->accept_pause);
	if (ev_is_active(&worker->turn_end)) {
		ev_ref(worker->loop);
		ev_prepare_stop(worker->loop, &worker->turn_end);
	}
	bypass_events_free(worker->bypass_events);
	recorder_free(worker->recorder);
	source_table_free(worker->sources);
	origins_free(worker->origins);
	resolver_free(worker->resolver);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		leaf_cache_free(worker->leaves[kind]);
	tls_client_leg_free(worker->client_leg);
	leaf_keys_free(worker->leaf_keys);
	tls_origin_leg_free(worker->origin_leg);
	for (size_t i = 0; worker->backend_legs && i < worker->config->nbackends; i++)
		tls_origin_leg_free(worker->backend_legs[i]);
	free(worker->backend_legs);
	ticket_keys_unmap(worker->tickets);
	hangups_close(&worker->hangups);
	turn_close(&worker->turn);
	worker_tokens_free(worker->tokens);
	worker_close_keeper(worker);
	free(worker->fields);
	worker_policy_close(&worker->policy);
	pool_table_free(worker->pools);
	standing_free(worker->standing);
	free(worker);
}

static int worker_init(struct role_context *context, void **state, struct why *why)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int error;

	if (!worker)
		return why_set(why, ENOMEM, "out of memory");
	signal(SIGPIPE, SIG_IGN);
	worker->context = context;
	worker->loop = context->loop;
	worker->config = context->config;
	worker->counters = context->counters;
	worker->signer = worker->keeper = -1;
	turn_open(&worker->turn, worker->loop);
	list_init(&worker->clients);
	list_init(&worker->bypasses);
	list_init(&worker->exchanges);
	ev_timer_init(&worker->accept_pause, worker_accept_again, 0, WORKER_ACCEPT_PAUSE_S);
	worker->accept_pause.data = worker;
	ev_timer_init(&worker->beat, worker_beat, HEARTBEAT_INTERVAL_S, HEARTBEAT_INTERVAL_S);
	worker->beat.data = worker;
	ev_prepare_init(&worker->turn_end, worker_turn_end);
	worker->turn_end.data = worker;

	worker->replays.most = worker->config->http.held_max;
	worker->fields = calloc(
		worker->config->http.headers_max + WORKER_FIELDS_MORE, sizeof(*worker->fields));
	error = worker->fields ? hangups_open(&worker->hangups, worker->loop, why)
			       : why_set(why, ENOMEM, "out of memory");
	if (!error)
		error = worker_open_keeper(worker, role_fd(context, "keeper"), why);
	if (!error && !(worker->tokens = worker_tokens_new(worker)))
		error = why_set(why, ENOMEM, "out of memory");
	if (!error)
		error = worker_policy_open(&worker->policy, context, why);
	if (!error)
		error = worker_open_tls(worker, why);
	if (!error) {
		worker->resolver = resolver_new(worker->loop, worker->config, why);
		error = worker->resolver ? 0 : -EIO;
	}
	if (!error) {
		worker->origins = origins_new(&worker->turn, worker->config, worker->resolver,
			worker->origin_leg, worker->counters, why);
		error = worker->origins ? 0 : -ENOMEM;
	}
	if (!error)
		error = worker_open_recorder(worker, why);
	if (!error)
		error = worker_open_sources(worker, why);
	if (!error)
		error = worker_open_pools(worker, why);
	if (!error)
		error = worker_open_listeners(worker, why);
	if (!error)
		error = worker_open_heartbeat(worker, why);
	if (error) {
		worker_close(worker);
		return error;
	}
	worker_meet_signer(worker, role_fd(context, "signer"));
	ev_prepare_start(worker->loop, &worker->turn_end);
	ev_unref(worker->loop);
	*state = worker;
	return 0;
}

static void worker_message(void *state, struct ipc_message *message)
{
	struct worker *worker = state;

	if (message->type == CONTROL_SIGNER && message->nfds == 1) {
		worker_meet_signer(worker, message->fds[0]);
		message->fds[0] = -1;
	} else if (message->type == CONTROL_KEEPER && message->nfds == 1) {
		worker_meet_keeper(worker, message->fds[0]);
		message->fds[0] = -1;
	} else if (message->type == CONTROL_ISSUED_KEYS && message->nfds == 1) {
		worker_policy_keys(&worker->policy, message->fds[0]);
		message->fds[0] = -1;
	}
}

static void worker_drain(void *state, bool patient)
{
	struct worker *worker = state;

	/* What waits in the listeners was promised to this worker as well as to another. */
	for (unsigned i = 0; i < worker->nlisteners && !worker->draining; i++)
		worker_accept(worker->loop, &worker->listeners[i], EV_READ);
	worker->draining = true;
	worker_beat_no_more(worker);
	ev_timer_stop(worker->loop, &worker->accept_pause);
	worker_stop_listening(worker);
	if (patient)
		list_for_each_safe (at, &worker->clients)
			downstream_drain(list_entry(at, struct client, node));
	else
		worker_cut_all(worker);
	worker_ended(worker);
}

const struct role worker_role = {
	.title = "worker",
	.init = worker_init,
	.message = worker_message,
	.drain = worker_drain,
	.close = worker_close,
};
