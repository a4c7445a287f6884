// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/downstream_h2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/h2.h"
#include "proxy/exchange.h"

/* After the last frame: as RFC 9112 section 9.6 has it for HTTP/1. */
#define H2_LINGER_NS (2 * NS_PER_S)
/* A worker that drains has said that new requests should go elsewhere: those that were on their way
 * have come after so long. */
#define H2_DRAIN_NS (2 * NS_PER_S)
/* Reads of one turn of the loop, so that one client does not keep the others waiting. */
#define H2_READS 4

/* How far the end of a connection is. */
enum h2_leave {
	LEAVE_NOT,
	LEAVE_NOTICED, /* new requests should go elsewhere */
	LEAVE_GONE,    /* new ones are not looked at */
	LEAVE_LINGERS, /* all is said; what still comes is thrown away */
};

struct downstream_h2 {
	struct client *client;
	struct h2 *h2;
	struct list calls;
	struct again again; /* to tell what sending has brought about */
	enum h2_leave leave;
	bool idle;	/* the deadline is that of a connection on which nothing is asked */
	bool busy;	/* h2_feed or h2_tell is on the stack: who sends does so afterwards */
	uint64_t taken; /* bytes that the client had taken when its deadline was set */
};

/* One request and its response. */
struct h2_call {
	struct list node;
	struct garbage garbage;
	struct client_slot slot;
	struct h2_stream *stream; /* NULL: it has ended */
	bool started;		  /* its head was read, or found malformed */
};

static struct h2_call *call_of(const void *slot)
{
	return list_entry((struct client_slot *)slot, struct h2_call, slot);
}

static struct downstream_h2 *h2_of(const struct h2_call *call)
{
	return call->slot.connection->wire_state;
}

static void h2_settle(struct downstream_h2 *wire);

/* ---- sending ---- */

/* Sends what may be sent now. 0, or a negative errno: the connection is lost. */
static int h2_pump(struct downstream_h2 *wire)
{
	struct stream *stream = &wire->client->stream;
	size_t before;
	int error = 0;

	if (wire->busy || wire->client->state != CLIENT_OPEN)
		return 0;
	do {
		before = buf_len(stream_out(stream));
		error = h2_produce(wire->h2, stream_out(stream), stream->window);
		before = buf_len(stream_out(stream)) - before;
		if (!error)
			error = stream_flush(stream);
	} while (!error && before && stream_room(stream));
	if (h2_has_news(wire->h2))
		turn_again(&wire->client->worker->turn, &wire->again);
	return error;
}

static void h2_send(struct downstream_h2 *wire)
{
	if (h2_pump(wire) < 0)
		client_close(wire->client, false);
}

/* ---- deadlines ---- */

static bool h2_has_exchange(const struct downstream_h2 *wire)
{
	list_for_each (at, &wire->calls)
		if (list_entry(at, struct h2_call, node)->slot.exchange)
			return true;
	return false;
}

static uint64_t h2_taken(const struct downstream_h2 *wire)
{
	return h2_sent(wire->h2) + wire->client->stream.written_bytes;
}

/* What was sent is to be taken: the client is slow as long as it takes anything. */
static void h2_await_room(struct downstream_h2 *wire)
{
	struct client *client = wire->client;

	wire->taken = h2_taken(wire);
	if (client->worker->config->http.unread_ns)
		client_arm(client, client->worker->config->http.unread_ns);
	else
		client_disarm(client);
}

/* The deadline that fits what the client owes now. */
static void h2_set_deadline(struct downstream_h2 *wire)
{
	struct client *client = wire->client;
	const struct config_http *http = &client->worker->config->http;

	if (wire->leave == LEAVE_NOTICED || wire->leave == LEAVE_LINGERS)
		return; /* it runs, whatever comes */
	if (h2_in_head(wire->h2) || h2_streams(wire->h2) || buf_len(stream_out(&client->stream)))
		wire->idle = false;
	if (h2_in_head(wire->h2)) {
		if (client->deadline.repeat * (double)NS_PER_S != (double)http->head_ns ||
			!ev_is_active(&client->deadline))
			client_arm(client, http->head_ns);
	} else if (h2_has_exchange(wire)) {
		/* The exchanges know who owes the next bytes. */
		client_disarm(client);
	} else if (h2_streams(wire->h2) || buf_len(stream_out(&client->stream))) {
		h2_await_room(wire);
	} else if (!wire->idle) {
		/* What asks nothing does not put it off. */
		wire->idle = true;
		client_arm(client, http->idle_ns);
	}
}

/* ---- the end ---- */

/* The streams have ended with their connection, or will hear of nothing more. */
static void h2_leave_calls(struct downstream_h2 *wire)
{
	list_for_each_safe (at, &wire->calls) {
		struct h2_call *call = list_entry(at, struct h2_call, node);
		struct exchange *exchange = call->slot.exchange;

		if (call->stream)
			h2_stream_detach(call->stream);
		call->stream = NULL;
		call->slot.exchange = NULL;
		if (exchange)
			exchange_client_gone(exchange);
	}
}

/* Everything was said: what still comes is read and thrown away for a moment, so that a reset does not
 * destroy it on its way. */
static void h2_linger(struct downstream_h2 *wire)
{
	struct client *client = wire->client;

	if (h2_pump(wire) < 0) {
		client_close(client, false);
		return;
	}
	wire->leave = LEAVE_LINGERS;
	h2_leave_calls(wire);
	if (client->state != CLIENT_OPEN)
		return;
	client_watch(client, true);
	stream_shutdown(&client->stream);
	client_arm(client, H2_LINGER_NS);
}

/* New requests are not looked at any more; those in progress are served. */
static void h2_go(struct downstream_h2 *wire)
{
	wire->leave = LEAVE_GONE;
	h2_goaway(wire->h2);
	h2_settle(wire);
}

static struct h2_call *h2_call_of_head(const struct downstream_h2 *wire)
{
	struct h2_stream *stream = h2_head_stream(wire->h2);

	list_for_each (at, &wire->calls) {
		struct h2_call *call = list_entry(at, struct h2_call, node);

		if (stream && call->stream == stream && !call->started)
			return call;
	}
	return NULL;
}

/* A head that does not come is in the way of all others. */
static void h2_head_timed_out(struct downstream_h2 *wire)
{
	struct h2_call *call = h2_call_of_head(wire);

	if (call) {
		call->started = true;
		exchange_refuse(&call->slot, ENDING_REQUEST_TIMEOUT, NULL);
	}
	if (wire->client->state != CLIENT_OPEN)
		return;
	h2_pump(wire);
	h2_terminate(wire->h2, NGHTTP2_PROTOCOL_ERROR);
	h2_linger(wire);
}

static void h2_timed_out(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;

	if (wire->leave == LEAVE_LINGERS) {
		client_close(client, false);
	} else if (wire->leave == LEAVE_NOTICED) {
		h2_go(wire);
	} else if (h2_in_head(wire->h2)) {
		h2_head_timed_out(wire);
	} else if (!h2_streams(wire->h2) && !buf_len(stream_out(&client->stream))) {
		h2_go(wire);
	} else if (h2_taken(wire) != wire->taken) {
		h2_await_room(wire);
	} else {
		counter_add(client->worker->counters, COUNTER_CLIENT_STALLED, 1);
		client_close(client, true);
	}
}

/* What follows from what was read, told or sent. */
static void h2_settle(struct downstream_h2 *wire)
{
	struct client *client = wire->client;

	wire->busy = true;
	h2_tell(wire->h2);
	wire->busy = false;
	if (client->state != CLIENT_OPEN || wire->leave == LEAVE_LINGERS)
		return;
	if (h2_pump(wire) < 0) {
		client_close(client, false);
		return;
	}
	if (h2_is_over(wire->h2)) {
		if (h2_is_flooded(wire->h2))
			counter_add(client->worker->counters, COUNTER_CLIENT_FLOODED, 1);
		h2_linger(wire);
	} else {
		h2_set_deadline(wire);
	}
}

static void h2_go_on(struct again *again)
{
	h2_settle(list_entry(again, struct downstream_h2, again));
}

/* ---- requests ---- */

static int call_head(void *to, const struct head *head, bool fin)
{
	struct h2_call *call = to;

	call->started = true;
	exchange_start(&call->slot, head, fin);
	if (!call->slot.exchange)
		return -ECANCELED;
	if (head->expect_continue && !fin && exchange_wants_input(call->slot.exchange))
		h2_stream_continue(call->stream);
	return 0;
}

/* An exchange that is over already takes nothing of what still comes. */
static int call_body(void *to, struct slice span, bool fin)
{
	struct h2_call *call = to;

	if (call->slot.exchange)
		exchange_body(call->slot.exchange, span, fin);
	return call->slot.exchange ? 0 : -ECANCELED;
}

static int call_trailers(void *to, const struct header *fields, size_t n)
{
	struct h2_call *call = to;

	if (call->slot.exchange)
		exchange_trailers(call->slot.exchange, fields, n);
	return call->slot.exchange ? 0 : -ECANCELED;
}

static size_t call_room(const void *to)
{
	const struct h2_call *call = to;

	return !call->slot.exchange || exchange_wants_input(call->slot.exchange) ? SIZE_MAX : 0;
}

static void call_abort(void *to, const struct message_fault *fault)
{
	struct h2_call *call = to;
	struct exchange *exchange = call->slot.exchange;
	bool started = call->started;

	call->started = true;
	if (fault->kind != MESSAGE_MALFORMED) {
		call->slot.exchange = NULL;
		if (exchange)
			exchange_client_gone(exchange);
	} else if (exchange) {
		exchange_body_error(exchange, fault);
	} else if (!started) {
		exchange_refuse(&call->slot, ENDING_REQUEST_MALFORMED,
			&(struct ending_detail){fault->name, fault->text, fault->status});
	}
}

static const struct message_ops call_request = {
	call_head, call_body, call_trailers, call_room, call_abort};

/* ---- the slot ---- */

static int call_response_head(void *to, const struct head *head, bool fin)
{
	struct h2_call *call = call_of(to);

	return call->stream ? h2_stream_out.head(call->stream, head, fin) : 0;
}

static int call_response_body(void *to, struct slice span, bool fin)
{
	struct h2_call *call = call_of(to);

	return call->stream ? h2_stream_out.body(call->stream, span, fin) : 0;
}

static int call_response_trailers(void *to, const struct header *fields, size_t n)
{
	struct h2_call *call = call_of(to);

	return call->stream ? h2_stream_out.trailers(call->stream, fields, n) : 0;
}

static size_t call_response_room(const void *to)
{
	struct h2_call *call = call_of(to);

	return call->stream ? h2_stream_out.room(call->stream) : SIZE_MAX;
}

static int call_flush(struct client_slot *slot)
{
	struct h2_call *call = call_of(slot);

	if (!call->stream)
		return 0;
	h2_stream_submit(call->stream);
	return h2_pump(h2_of(call));
}

static int call_cork(struct client_slot *slot, bool cork)
{
	struct h2_call *call = call_of(slot);

	if (!call->stream)
		return 0;
	h2_stream_cork(call->stream, cork);
	return cork ? 0 : h2_pump(h2_of(call));
}

static struct client_traffic call_traffic(const struct client_slot *slot)
{
	const struct h2_call *call = call_of(slot);
	const struct h2_stream *stream = call->stream;

	if (!stream)
		return (struct client_traffic){0};
	return (struct client_traffic){h2_stream_received(stream),
		h2_stream_sent(stream) + h2_stream_unsent(stream), h2_stream_sent(stream)};
}

static void call_exchange_done(struct client_slot *slot)
{
	struct h2_call *call = call_of(slot);
	struct downstream_h2 *wire = h2_of(call);

	slot->exchange = NULL;
	if (wire->client->state == CLIENT_OPEN && !wire->busy && wire->leave != LEAVE_LINGERS)
		h2_set_deadline(wire);
}

static void call_resume(struct client_slot *slot)
{
	struct h2_call *call = call_of(slot);

	if (call->slot.connection->state != CLIENT_OPEN || !call->stream)
		return;
	h2_stream_resume(call->stream);
	h2_send(h2_of(call)); /* the client's window is open again */
}

static void call_close(struct client_slot *slot, bool reset)
{
	struct h2_call *call = call_of(slot);

	if (!reset) {
		/* Only a connection that is lost is closed so. */
		client_close(slot->connection, false);
		return;
	}
	if (!call->stream)
		return;
	h2_stream_reset(call->stream, NGHTTP2_INTERNAL_ERROR);
	h2_send(h2_of(call));
}

static void call_response_abort(void *to, const struct message_fault *fault)
{
	(void)fault;
	call_close(to, true);
}

static const struct client_ops h2_ops = {
	.response = {call_response_head, call_response_body, call_response_trailers,
		call_response_room, call_response_abort},
	.flush = call_flush,
	.cork = call_cork,
	.traffic = call_traffic,
	.exchange_done = call_exchange_done,
	.resume = call_resume,
	.close = call_close,
};

static void call_free(struct garbage *garbage)
{
	free(list_entry(garbage, struct h2_call, garbage));
}

static int h2_opened(void *user, struct h2_stream *stream)
{
	struct downstream_h2 *wire = user;
	struct h2_call *call = calloc(1, sizeof(*call));

	if (!call)
		return -ENOMEM;
	call->slot = (struct client_slot){.ops = &h2_ops, .connection = wire->client};
	call->stream = stream;
	list_append(&wire->calls, &call->node);
	h2_stream_attach(stream, &call_request, call);
	return 0;
}

static void h2_call_flushed(void *to)
{
	struct h2_call *call = to;

	if (call->slot.exchange)
		exchange_client_flushed(call->slot.exchange);
}

static void h2_call_closed(void *to)
{
	struct h2_call *call = to;

	call->stream = NULL;
	list_remove(&call->node);
	turn_discard(&call->slot.connection->worker->turn, &call->garbage, call_free);
}

static const struct h2_user h2_user = {
	.opened = h2_opened,
	.flushed = h2_call_flushed,
	.closed = h2_call_closed,
};

/* ---- the wire ---- */

static void h2_take(struct downstream_h2 *wire, struct slice input)
{
	wire->busy = true;
	(void)h2_feed(wire->h2, input, clock_monotonic_ns());
	wire->busy = false;
	if (wire->client->state == CLIENT_OPEN)
		h2_settle(wire);
}

static void h2_readable(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;
	struct worker *worker = client->worker;
	ssize_t got;

	for (int i = 0; i < H2_READS && client->state == CLIENT_OPEN; i++) {
		/* Who does not read the answers is not asked for more. */
		if (wire->leave != LEAVE_LINGERS && !stream_room(&client->stream)) {
			client_watch(client, false);
			return;
		}
		got = stream_read(&client->stream, worker->scratch, WORKER_READ_SIZE);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			client_close(client, false);
			return;
		}
		if (wire->leave != LEAVE_LINGERS)
			h2_take(wire, slice_of(worker->scratch, (size_t)got));
		if (client->state == CLIENT_OPEN && !stream_has_pending(&client->stream))
			return;
	}
}

static void h2_flushed(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;

	if (wire->leave == LEAVE_LINGERS)
		return;
	client_watch(client, true);
	h2_settle(wire);
}

static void h2_drain(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;

	if (wire->leave != LEAVE_NOT)
		return;
	wire->leave = LEAVE_NOTICED;
	h2_notice(wire->h2);
	client_arm(client, H2_DRAIN_NS);
	h2_send(wire);
}

static void h2_rests(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;

	h2_trim(wire->h2);
}

static void h2_closed(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;

	turn_not_again(&wire->again);
	if (wire->leave == LEAVE_LINGERS)
		return;
	/* What is being read goes no further. */
	h2_terminate(wire->h2, NGHTTP2_NO_ERROR);
	h2_leave_calls(wire);
}

static void h2_wire_free(struct client *client)
{
	struct downstream_h2 *wire = client->wire_state;

	list_for_each_safe (at, &wire->calls) {
		struct h2_call *call = list_entry(at, struct h2_call, node);

		list_remove(&call->node);
		free(call);
	}
	h2_free(wire->h2);
	free(wire);
}

static const struct client_wire h2_wire = {
	.readable = h2_readable,
	.flushed = h2_flushed,
	.timed_out = h2_timed_out,
	.drain = h2_drain,
	.rests = h2_rests,
	.closed = h2_closed,
	.free = h2_wire_free,
};

int downstream_h2_open(struct client *client)
{
	const struct config_http *http = &client->worker->config->http;
	const struct h2_limits limits = {http->head_max, http->headers_max, http->body_max,
		http->h2_streams, (uint32_t)http->window};
	struct downstream_h2 *wire = calloc(1, sizeof(*wire));

	if (!wire)
		return -ENOMEM;
	wire->client = client;
	list_init(&wire->calls);
	again_init(&wire->again, h2_go_on);
	wire->h2 = h2_new(HEAD_REQUEST, &limits, &h2_user, wire);
	if (!wire->h2) {
		free(wire);
		return -ENOMEM;
	}
	client->wire = &h2_wire;
	client->wire_state = wire;
	h2_set_deadline(wire);
	if (client->worker->draining)
		h2_drain(client);
	else
		h2_send(wire); /* our settings */
	return 0;
}
