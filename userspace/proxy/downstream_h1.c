// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/downstream_h1.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/h1.h"
#include "http/h1_write.h"
#include "proxy/exchange.h"

/* After the last response: as long, and as much, as RFC 9112 section 9.6 needs. */
#define H1_LINGER_NS (2 * NS_PER_S)
/* An idle connection of a worker that drains stays open this long, for a request on its way. */
#define H1_DRAIN_NS (2 * NS_PER_S)
/* Reads of one turn of the loop, so that one client does not keep the others waiting. */
#define H1_READS 4

/* What may follow the request in progress on its connection. */
enum h1_next {
	NEXT_ANY,
	NEXT_PENDING, /* what has come already: the client has said that it sends no more */
	NEXT_NONE,
};

/* How the body of a response is delimited. */
enum h1_framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct downstream_h1 {
	struct client_slot slot;
	struct h1_reader *reader;
	struct buf pending; /* input that was not parsed yet */
	enum h1_next next;
	bool lingering;	    /* all is said; what still comes is thrown away */
	bool parsing;	    /* h1_parse is on the stack */
	bool request_whole; /* the last request is read to its end */
	bool upgrading;	    /* it asks for WebSocket: what comes waits for the answer … */
	bool upgraded;	    /* … which was a 101: what comes and goes is passed as it is */
	uint8_t minor;	    /* of its version */
	enum h1_framing framing; /* of its response */
	uint64_t taken;	    /* bytes that the client had taken when its deadline was set */
};

static struct downstream_h1 *h1_of(const void *slot)
{
	return list_entry((struct client_slot *)slot, struct downstream_h1, slot);
}

static struct stream *h1_stream(const struct downstream_h1 *h1)
{
	return &h1->slot.connection->stream;
}

/* ---- responses ---- */

static int h1_write_framing(
	struct downstream_h1 *h1, struct buf *out, const struct head *head, bool fin)
{
	if (fin) {
		h1->framing = FRAMING_NONE;
		/* RFC 9110 section 8.6: a 204 has none. */
		if (head->has_length && head->status != 204)
			return h1_write_header_number(
				out, SLICE("Content-Length"), head->declared_length);
		return 0;
	}
	if (head->framing == HEAD_LENGTH) {
		h1->framing = FRAMING_LENGTH;
		return h1_write_header_number(out, SLICE("Content-Length"), head->length);
	}
	if (h1->minor >= 1) {
		h1->framing = FRAMING_CHUNKED;
		return h1_write_header(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
	}
	h1->framing = FRAMING_CLOSE;
	h1->next = NEXT_NONE;
	return 0;
}

static int h1_write_fields(struct buf *out, const struct head *head)
{
	int error = 0;

	for (size_t i = 0; i < head->nheaders && !error; i++) {
		const struct header *field = &head->headers[i];

		if (!slice_equal_nocase(field->name, SLICE("content-length")))
			error = h1_write_header(out, field->name, field->value);
	}
	return error;
}

/* The connection is the exchange's from here on. */
static int h1_write_switch(struct downstream_h1 *h1, struct buf *out)
{
	int error = h1_write_header(out, SLICE("Connection"), SLICE("Upgrade"));

	h1->upgraded = true;
	h1->framing = FRAMING_CLOSE;
	return error ? error : h1_write_header(out, SLICE("Upgrade"), SLICE("websocket"));
}

static int h1_response_head(void *to, const struct head *head, bool fin)
{
	struct downstream_h1 *h1 = h1_of(to);
	struct buf *out = stream_out(h1_stream(h1));
	size_t before = buf_len(out);
	int error = h1_write_status_line(out, head->status, head->reason);

	/* An answer that comes before all of the request leaves the rest of it in the way. */
	if (head->status != 101 &&
		(!h1->request_whole || h1->slot.connection->worker->draining))
		h1->next = NEXT_NONE;
	if (!error)
		error = h1_write_fields(out, head);
	if (!error)
		error = head->status == 101 ? h1_write_switch(h1, out)
					    : h1_write_framing(h1, out, head, fin);
	if (!error && h1->next == NEXT_NONE)
		error = h1_write_header(out, SLICE("Connection"), SLICE("close"));
	else if (!error && h1->minor == 0)
		error = h1_write_header(out, SLICE("Connection"), SLICE("keep-alive"));
	if (!error)
		error = h1_write_end_of_head(out);
	if (error)
		out->end = out->start + before;
	return error;
}

static int h1_response_body(void *to, struct slice span, bool fin)
{
	struct downstream_h1 *h1 = h1_of(to);
	struct buf *out = stream_out(h1_stream(h1));
	bool chunked = h1->framing == FRAMING_CHUNKED;
	int error = 0;

	if (span.len && chunked)
		error = h1_write_chunk_head(out, span.len);
	if (!error)
		error = buf_append_slice(out, span);
	if (!error && span.len && chunked)
		error = h1_write_chunk_tail(out);
	if (!error && fin && chunked)
		error = h1_write_last_chunk(out, NULL, 0);
	return error;
}

static int h1_response_trailers(void *to, const struct header *fields, size_t n)
{
	struct downstream_h1 *h1 = h1_of(to);

	return h1->framing == FRAMING_CHUNKED
		       ? h1_write_last_chunk(stream_out(h1_stream(h1)), fields, n)
		       : 0;
}

static size_t h1_response_room(const void *to)
{
	return stream_room(h1_stream(h1_of(to)));
}

static void h1_response_abort(void *to, const struct message_fault *fault)
{
	(void)fault;
	client_close(h1_of(to)->slot.connection, true);
}

static int h1_write_continue(struct downstream_h1 *h1)
{
	struct buf *out = stream_out(h1_stream(h1));

	if (h1_write_status_line(out, 100, SLICE_NONE) < 0 || h1_write_end_of_head(out) < 0)
		return -ENOMEM;
	return stream_flush(h1_stream(h1));
}

/* ---- deadlines ---- */

/* What was sent is to be taken: the client is slow as long as it takes anything. */
static void h1_await_room(struct downstream_h1 *h1)
{
	struct client *client = h1->slot.connection;

	h1->taken = client->stream.written_bytes;
	if (client->worker->config->http.unread_ns)
		client_arm(client, client->worker->config->http.unread_ns);
	else
		client_disarm(client);
}

/* The deadline that fits what the client owes now. */
static void h1_set_deadline(struct downstream_h1 *h1)
{
	struct client *client = h1->slot.connection;
	const struct config_http *http = &client->worker->config->http;

	if (h1->slot.exchange) {
		/* The exchange knows who owes the next bytes. */
		client_disarm(client);
	} else if (!h1_reader_in_message(h1->reader)) {
		if (buf_len(stream_out(&client->stream)))
			h1_await_room(h1);
		else
			client_arm(client, client->worker->draining ? H1_DRAIN_NS : http->idle_ns);
	} else if (client->deadline.repeat * (double)NS_PER_S != (double)http->head_ns ||
		   !ev_is_active(&client->deadline)) {
		client_arm(client, http->head_ns);
	}
}

static void h1_timed_out(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;

	if (!h1->lingering && h1_reader_in_message(h1->reader)) {
		exchange_refuse(&h1->slot, ENDING_REQUEST_TIMEOUT, NULL);
	} else if (!buf_len(stream_out(&client->stream))) {
		client_close(client, false);
	} else if (client->stream.written_bytes != h1->taken) {
		h1_await_room(h1);
	} else {
		counter_add(client->worker->counters, COUNTER_CLIENT_STALLED, 1);
		client_close(client, true);
	}
}

/* ---- requests ---- */

/* Everything was said: the rest of the input is read and thrown away for a moment, so that a reset
 * does not destroy the response on its way. */
static void h1_linger(struct downstream_h1 *h1)
{
	struct client *client = h1->slot.connection;

	h1->lingering = true;
	if (stream_flush(&client->stream) < 0) {
		client_close(client, false);
		return;
	}
	buf_clear(&h1->pending);
	client_watch(client, true);
	if (buf_len(stream_out(&client->stream))) {
		h1_await_room(h1);
		return;
	}
	stream_shutdown(&client->stream);
	client_arm(client, H1_LINGER_NS);
}

static bool h1_takes_input(const struct downstream_h1 *h1)
{
	if (h1->slot.connection->state != CLIENT_OPEN || h1->lingering)
		return false;
	if (h1->slot.exchange)
		return (!h1->upgrading || h1->upgraded) &&
		       exchange_wants_input(h1->slot.exchange);
	/* Who does not read the answers is not asked for more requests. */
	return h1->next != NEXT_NONE && stream_room(h1_stream(h1));
}

static void h1_request_head(struct downstream_h1 *h1, const struct h1_head *wire, bool fin)
{
	const struct head *head = &wire->head;
	struct client *client = h1->slot.connection;

	if (!wire->keep_alive || client->worker->draining)
		h1->next = NEXT_NONE;
	h1->minor = wire->minor;
	h1->request_whole = fin;
	exchange_start(&h1->slot, head, fin);
	h1->upgrading = h1->slot.exchange && exchange_is_session(h1->slot.exchange);
	if (h1->upgrading)
		h1->request_whole = false;
	if (head->expect_continue && !fin && h1_takes_input(h1) && h1_write_continue(h1) < 0)
		client_close(client, false);
}

static void h1_request_malformed(struct downstream_h1 *h1, const struct h1_error *error)
{
	const struct message_fault fault = {
		MESSAGE_MALFORMED, 0, error->name, error->text, error->status};

	h1->next = NEXT_NONE;
	if (h1->slot.exchange)
		exchange_body_error(h1->slot.exchange, &fault);
	else
		exchange_refuse(&h1->slot, ENDING_REQUEST_MALFORMED,
			&(struct ending_detail){error->name, error->text, error->status});
}

/* Parses from the input what may be parsed now, and returns how much that was. */
static size_t h1_parse(struct downstream_h1 *h1, struct slice input)
{
	size_t total = 0, consumed;
	struct h1_event event;

	if (h1->upgraded && h1_takes_input(h1) && input.len) {
		exchange_body(h1->slot.exchange, input, false);
		return input.len;
	}
	while (h1_takes_input(h1)) {
		enum h1_result result =
			h1_read(h1->reader, slice_after(input, total), &consumed, &event);

		total += consumed;
		switch (result) {
		case H1_MORE:
			return total;
		case H1_HEAD:
			h1_request_head(h1, event.wire, event.fin);
			break;
		case H1_TRAILERS:
			h1->request_whole = true;
			exchange_trailers(h1->slot.exchange, event.trailers, event.ntrailers);
			break;
		case H1_BODY:
		case H1_END:
			h1->request_whole = event.fin;
			exchange_body(h1->slot.exchange, event.span, event.fin);
			break;
		case H1_ERROR:
			h1_request_malformed(h1, &event.error);
			return input.len;
		}
	}
	return total;
}

/* Parses what waits and what is new; what cannot be parsed yet waits on. */
static void h1_feed(struct downstream_h1 *h1, struct slice input)
{
	struct client *client = h1->slot.connection;
	bool waiting = buf_len(&h1->pending) > 0;
	size_t consumed;

	if (waiting && buf_append_slice(&h1->pending, input) < 0) {
		client_close(client, true);
		return;
	}
	h1->parsing = true;
	consumed = h1_parse(h1, waiting ? buf_slice(&h1->pending) : input);
	h1->parsing = false;
	if (waiting)
		buf_consume(&h1->pending, consumed);
	else if (client->state == CLIENT_OPEN && !h1->lingering &&
		 buf_append_slice(&h1->pending, slice_after(input, consumed)) < 0)
		client_close(client, true);
	if (client->state != CLIENT_CLOSED && !buf_len(&h1->pending))
		buf_free(&h1->pending);
}

/* The client sends no more. TLS alone has said so (close_notify): it may read its answer still, as
 * long as it does not close the connection, which is heard. */
static void h1_input_ended(struct downstream_h1 *h1)
{
	struct client *client = h1->slot.connection;
	bool owed = h1->lingering ? buf_len(stream_out(&client->stream)) > 0
				  : h1->slot.exchange && h1->request_whole;

	if (!owed) {
		client_close(client, false);
		return;
	}
	if (h1->next == NEXT_ANY)
		h1->next = NEXT_PENDING;
	client_watch(client, false);
}

static void h1_discard_input(struct downstream_h1 *h1)
{
	struct client *client = h1->slot.connection;
	ssize_t got;

	for (int i = 0; i < H1_READS; i++) {
		got = stream_read(&client->stream, client->worker->scratch, WORKER_READ_SIZE);
		if (got == -EAGAIN)
			return;
		if (got < 0) {
			client_close(client, false);
			return;
		}
		if (got == 0) {
			h1_input_ended(h1);
			return;
		}
	}
}

static void h1_readable(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;
	struct worker *worker = client->worker;
	uint64_t before = client->stream.read_bytes;
	ssize_t got;

	if (h1->lingering) {
		h1_discard_input(h1);
		return;
	}
	for (int i = 0; i < H1_READS && client->state == CLIENT_OPEN && !h1->lingering; i++) {
		/* While an exchange is in progress a little is read ahead, to notice the end. */
		if (!h1_takes_input(h1) &&
			buf_len(&h1->pending) >= worker->config->http.head_max) {
			client_watch(client, false);
			return;
		}
		got = stream_read(&client->stream, worker->scratch, WORKER_READ_SIZE);
		if (got == -EAGAIN)
			break;
		if (got < 0) {
			client_close(client, false);
			return;
		}
		if (got == 0) {
			h1_input_ended(h1);
			return;
		}
		h1_feed(h1, slice_of(worker->scratch, (size_t)got));
		if (!stream_has_pending(&client->stream))
			break;
	}
	/* What carries no payload is no progress. */
	if (client->state == CLIENT_OPEN && !h1->lingering && client->stream.read_bytes != before)
		h1_set_deadline(h1);
}

static void h1_resume(struct client_slot *slot)
{
	struct downstream_h1 *h1 = h1_of(slot);
	struct client *client = slot->connection;

	/* Inside h1_parse: its loop goes on by itself. */
	if (client->state != CLIENT_OPEN || h1->lingering || h1->parsing)
		return;
	if (h1->next == NEXT_ANY)
		client_watch(client, true);
	if (buf_len(&h1->pending))
		h1_feed(h1, SLICE_NONE);
	if (client->state != CLIENT_OPEN || h1->lingering)
		return;
	if (h1->next == NEXT_PENDING && !slot->exchange)
		h1_linger(h1); /* what waited is no whole request */
	else
		h1_set_deadline(h1);
}

static void h1_exchange_done(struct client_slot *slot)
{
	struct downstream_h1 *h1 = h1_of(slot);

	slot->exchange = NULL;
	h1->request_whole = false;
	if (h1->upgraded)
		h1->next = NEXT_NONE;
	h1->upgrading = false;
	/* A worker that drains closes only where the response said so: else the client may be sending
	 * its next request already, and that is served first. */
	if (h1->next == NEXT_NONE) {
		h1_linger(h1);
		return;
	}
	if (stream_flush(h1_stream(h1)) < 0) {
		client_close(slot->connection, false);
		return;
	}
	h1_resume(slot);
}

/* ---- the slot and the wire ---- */

static int h1_flush(struct client_slot *slot)
{
	return stream_flush(h1_stream(h1_of(slot)));
}

static int h1_cork(struct client_slot *slot, bool cork)
{
	return stream_cork(h1_stream(h1_of(slot)), cork);
}

static struct client_traffic h1_traffic(const struct client_slot *slot)
{
	const struct stream *stream = &slot->connection->stream;

	return (struct client_traffic){stream->read_bytes,
		stream->written_bytes + buf_len(&stream->out), stream->written_bytes};
}

static void h1_close(struct client_slot *slot, bool reset)
{
	client_close(slot->connection, reset);
}

static const struct client_ops h1_ops = {
	.response = {h1_response_head, h1_response_body, h1_response_trailers, h1_response_room,
		h1_response_abort},
	.flush = h1_flush,
	.cork = h1_cork,
	.traffic = h1_traffic,
	.exchange_done = h1_exchange_done,
	.resume = h1_resume,
	.close = h1_close,
};

static void h1_flushed(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;

	if (h1->lingering)
		h1_linger(h1);
	else if (h1->slot.exchange)
		exchange_client_flushed(h1->slot.exchange);
	else
		h1_resume(&h1->slot);
}

static void h1_rests(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;

	/* The head is the exchange's as well. */
	if (!h1->slot.exchange && !h1->parsing)
		h1_reader_trim(h1->reader);
}

static void h1_drain(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;

	if (!h1->slot.exchange && !h1->lingering)
		h1_set_deadline(h1);
}

static void h1_closed(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;
	struct exchange *exchange = h1->slot.exchange;

	h1->slot.exchange = NULL;
	if (exchange)
		exchange_client_gone(exchange);
}

static void h1_free(struct client *client)
{
	struct downstream_h1 *h1 = client->wire_state;

	h1_reader_free(h1->reader);
	buf_wipe(&h1->pending);
	free(h1);
}

static const struct client_wire h1_wire = {
	.readable = h1_readable,
	.flushed = h1_flushed,
	.rests = h1_rests,
	.timed_out = h1_timed_out,
	.drain = h1_drain,
	.closed = h1_closed,
	.free = h1_free,
};

int downstream_h1_open(struct client *client)
{
	const struct config_http *http = &client->worker->config->http;
	const struct h1_limits limits = {http->head_max, http->headers_max, http->body_max};
	struct downstream_h1 *h1 = calloc(1, sizeof(*h1));

	if (!h1)
		return -ENOMEM;
	h1->slot = (struct client_slot){.ops = &h1_ops, .connection = client};
	h1->minor = 1;
	h1->reader = h1_reader_new(HEAD_REQUEST, &limits);
	if (!h1->reader) {
		free(h1);
		return -ENOMEM;
	}
	client->wire = &h1_wire;
	client->wire_state = h1;
	h1_set_deadline(h1);
	return 0;
}
