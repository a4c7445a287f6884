// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a response: read as it passes, handed on in the turn in which it came. */
#include "proxy/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/h1_write.h"
#include "openai/error.h"

/* An event of a stream longer than this passes unread. */
#define RESPONSE_EVENT_MAX (1u << 20)
/* What one turn of the loop reads, so that one origin does not keep the others waiting. TLS returns
 * a record at a time, and a record may be one event: what lies there leaves in one write. */
#define RESPONSE_TURN 65536

void exchange_free_response(struct exchange *ex)
{
	response_reader_free(ex->response);
	sse_reader_free(ex->sse);
	coding_free(ex->response_coding);
	buf_wipe(&ex->response_trailers);
	buf_wipe(&ex->tail);
}

/* ---- the head ---- */

static bool exchange_is_event_stream(const struct head *head)
{
	const struct header *type = head_find(head, SLICE("content-type"));
	struct slice media;

	if (!type)
		return false;
	media = slice_first(type->value, slice_index(type->value, ';'));
	return slice_equal_nocase(slice_trim(media), SLICE("text/event-stream"));
}

/* The readers of the body, where the operation is one we read. Without memory for them the call
 * fails: nothing passes unread that should have been read. */
static int exchange_open_response_readers(struct exchange *ex, const struct head *head)
{
	const struct config_audit *audit = &ex->worker->config->audit;
	const struct header *coding = head_find(head, SLICE("content-encoding"));
	bool streamed = exchange_is_event_stream(head);
	int error = 0;

	if (!ex->match.operation || !ex->match.operation->read || head->framing == HEAD_NO_BODY)
		return 0;
	ex->response = response_reader_new(
		ex->match.operation, audit->content ? audit->content_max : 0, streamed);
	if (!ex->response)
		return -ENOMEM;
	if (streamed) {
		ex->sse = sse_reader_new(RESPONSE_EVENT_MAX);
		if (!ex->sse)
			return -ENOMEM;
	}
	if (coding && !slice_equal_nocase(coding->value, SLICE("identity"))) {
		ex->response_coding = coding_new(coding->value, 0, &error);
		if (!ex->response_coding && error == -ENOMEM)
			return -ENOMEM;
		if (!ex->response_coding) {
			response_reader_free(ex->response);
			ex->response = NULL;
			counter_add(ex->worker->counters, COUNTER_RESPONSE_UNREADABLE, 1);
		}
	}
	return 0;
}

/* Whether this client is not to see the usage that was asked for in its name. */
static bool exchange_hides(const struct exchange *ex)
{
	return ex->injected && ex->sse && ex->response && !ex->response_coding;
}

static int exchange_write_response_framing(
	struct exchange *ex, struct buf *out, const struct head *head)
{
	bool http_1_1 = ex->head->minor >= 1;

	if (head->framing == HEAD_NO_BODY) {
		ex->framing = FRAMING_NONE;
		/* RFC 9110 section 8.6: a 204 has none. */
		if (head->has_length && head->status != 204)
			return h1_write_header_number(
				out, SLICE("Content-Length"), head->declared_length);
		return 0;
	}
	if (head->framing == HEAD_LENGTH && !exchange_hides(ex)) {
		ex->framing = FRAMING_LENGTH;
		return h1_write_header_number(out, SLICE("Content-Length"), head->length);
	}
	if (http_1_1) {
		ex->framing = FRAMING_CHUNKED;
		return h1_write_header(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
	}
	ex->framing = FRAMING_CLOSE;
	ex->keep_client = false;
	return 0;
}

static int exchange_write_response_head(struct exchange *ex, const struct head *head)
{
	struct buf *out = stream_out(&ex->client->stream);
	int error = h1_write_status_line(out, head->status, head->reason);

	for (size_t i = 0; i < head->nheaders && !error; i++) {
		const struct header *header = &head->headers[i];

		/* Alt-Svc would lead clients to HTTP/3, past the inspection. */
		if (header->hop_by_hop || slice_equal_nocase(header->name, SLICE("content-length")) ||
			slice_equal_nocase(header->name, SLICE("alt-svc")))
			continue;
		error = h1_write_header(out, header->name, header->value);
	}
	ex->keep_client = ex->head->keep_alive && ex->request_whole && !ex->worker->draining;
	if (!error)
		error = exchange_write_response_framing(ex, out, head);
	if (!error && !ex->keep_client)
		error = h1_write_header(out, SLICE("Connection"), SLICE("close"));
	else if (!error && ex->head->minor == 0)
		error = h1_write_header(out, SLICE("Connection"), SLICE("keep-alive"));
	if (!error)
		error = h1_write_end_of_head(out);
	return error;
}

/* False: the exchange failed. */
static bool exchange_response_began(struct exchange *ex, const struct head *head)
{
	if (head->status < 200)
		return true; /* interim: the client was told to go on already */
	if (!ex->first_byte_ns)
		ex->first_byte_ns = clock_monotonic_ns() - ex->started_ns;
	ex->response_head = head;
	ex->status = head->status;
	buf_wipe(&ex->body);
	ex->replayable = false;
	if (ex->phase != EXCHANGE_DRAINING)
		exchange_enter(ex, EXCHANGE_ANSWERING);
	if (exchange_open_response_readers(ex, head) < 0) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return false;
	}
	if (!ex->client)
		return true;
	if (exchange_write_response_head(ex, head) < 0) {
		buf_clear(stream_out(&ex->client->stream));
		exchange_fail(ex, ENDING_RESPONSE_UNFIT, NULL);
		return false;
	}
	ex->response_started = true;
	return true;
}

/* ---- the body ---- */

struct buf *exchange_out(struct exchange *ex)
{
	return ex->tail_open ? &ex->tail : stream_out(&ex->client->stream);
}

int exchange_join_tail(struct exchange *ex)
{
	ex->tail_open = false;
	return buf_append_slice(stream_out(&ex->client->stream), buf_slice(&ex->tail));
}

/* Without memory the exchange fails once the input that is being read is done with. */
static void exchange_forward(struct exchange *ex, struct slice span)
{
	struct buf *out;
	int error = 0;

	if (!ex->client || !span.len)
		return;
	out = exchange_out(ex);
	if (ex->framing == FRAMING_CHUNKED)
		error = h1_write_chunk_head(out, span.len);
	if (!error)
		error = buf_append_slice(out, span);
	if (!error && ex->framing == FRAMING_CHUNKED)
		error = h1_write_chunk_tail(out);
	if (error)
		ex->no_memory = true;
}

static void exchange_end_readers(struct exchange *ex)
{
	if (!ex->response || ex->response_read_to_end)
		return;
	ex->response_read_to_end = true;
	response_reader_end(ex->response);
}

/* What is composed from here on waits for the end of the message. */
static void exchange_mark_end(struct exchange *ex)
{
	ex->end_mark = true;
	if (ex->client && !ex->tail_open)
		ex->end_mark_at = buf_len(stream_out(&ex->client->stream));
}

/* Reads an event of the stream: a set of enum response_event_flags. */
static unsigned exchange_read_event(struct exchange *ex, const struct sse_event *event)
{
	if (!event->data.data || ex->response_read_to_end)
		return 0;
	return response_reader_event(ex->response, event->data);
}

/* Reads the events in span, and forwards those that are not to be hidden. */
static void exchange_pass_events(struct exchange *ex, struct slice span)
{
	struct slice run = SLICE_NONE;
	struct sse_event event;
	enum sse_result result;
	unsigned flags;
	size_t consumed;

	while ((result = sse_read(ex->sse, span, &consumed, &event)) != SSE_MORE) {
		flags = 0;
		span = slice_after(span, consumed);
		if (result == SSE_EVENT)
			flags = exchange_read_event(ex, &event);
		else if (!ex->response_read_to_end)
			response_reader_skipped(ex->response);
		if (flags & RESPONSE_EVENT_DONE) {
			exchange_forward(ex, run);
			run = SLICE_NONE;
			exchange_mark_end(ex);
		}
		if (flags & RESPONSE_EVENT_USAGE_ONLY)
			continue;
		/* Events that lie one after another in the input leave as one chunk. */
		if (run.data && run.data + run.len == event.raw.data) {
			run.len += event.raw.len;
			continue;
		}
		exchange_forward(ex, run);
		run = event.raw;
		/* What the reader itself keeps is valid until its next call only. */
		if (event.raw.data + event.raw.len != span.data) {
			exchange_forward(ex, run);
			run = SLICE_NONE;
		}
	}
	exchange_forward(ex, run);
}

/* Reads the events in span, a copy of what is forwarded; where in it the end mark begins, or its
 * end. */
static size_t exchange_read_events(struct exchange *ex, struct slice span)
{
	struct slice left = span;
	struct sse_event event;
	enum sse_result result;
	size_t consumed, mark = span.len;

	while ((result = sse_read(ex->sse, left, &consumed, &event)) != SSE_MORE) {
		left = slice_after(left, consumed);
		if (result != SSE_EVENT) {
			if (!ex->response_read_to_end)
				response_reader_skipped(ex->response);
			continue;
		}
		if (!(exchange_read_event(ex, &event) & RESPONSE_EVENT_DONE))
			continue;
		/* It may have begun in an earlier span, which has gone. */
		mark = event.raw.data >= span.data && event.raw.data <= span.data + span.len
			       ? (size_t)(event.raw.data - span.data)
			       : 0;
	}
	return mark;
}

static int exchange_read_piece(void *context, struct slice piece)
{
	struct exchange *ex = context;

	if (!ex->sse)
		response_reader_body(ex->response, piece);
	else if (exchange_read_events(ex, piece) < piece.len)
		exchange_mark_end(ex);
	return 0;
}

static void exchange_response_body(struct exchange *ex, struct slice span)
{
	size_t mark;

	ex->response_bytes += span.len;
	if (ex->drained)
		ex->drain_bytes += span.len;
	if (exchange_hides(ex)) {
		exchange_pass_events(ex, span);
		return;
	}
	/* Read first: what the event needs is known before the last bytes go. */
	if (ex->response && ex->response_coding) {
		coding_decode(ex->response_coding, span, exchange_read_piece, ex);
	} else if (ex->response && ex->sse) {
		mark = exchange_read_events(ex, span);
		if (mark < span.len) {
			exchange_forward(ex, slice_first(span, mark));
			exchange_mark_end(ex);
			span = slice_after(span, mark);
		}
	} else if (ex->response) {
		response_reader_body(ex->response, span);
	}
	exchange_forward(ex, span);
}

/* What the readers kept back until the end of the body. */
static void exchange_pass_rest(struct exchange *ex)
{
	struct sse_event event;
	unsigned flags = 0;

	if (!ex->sse || !ex->response)
		return;
	if (sse_finish(ex->sse, &event) == SSE_EVENT) {
		flags = exchange_read_event(ex, &event);
		if (exchange_hides(ex) && !(flags & RESPONSE_EVENT_USAGE_ONLY))
			exchange_forward(ex, event.raw);
	}
	if (exchange_hides(ex))
		exchange_forward(ex, sse_rest(ex->sse));
}

/* Whether the stream lacks what its dialect ends with: its end mark, or an error. What cannot be
 * read may have had one. */
static bool exchange_is_truncated(const struct exchange *ex)
{
	const struct response_facts *facts;
	int error = 0;

	if (!ex->sse || !ex->response || ex->status > 299)
		return false;
	facts = response_reader_facts(ex->response);
	if (ex->response_coding)
		error = coding_finish(ex->response_coding);
	return (!error && !facts->complete && !facts->has_error) || error == -ENODATA;
}

/* Composes the end of the response and lets the exchange go. */
static void exchange_response_ended(struct exchange *ex, bool reusable)
{
	exchange_pass_rest(ex);
	exchange_end_readers(ex);
	if (exchange_is_truncated(ex)) {
		exchange_fail(ex, ENDING_TRUNCATED, NULL);
		return;
	}
	if (ex->client && ex->framing == FRAMING_CHUNKED &&
		exchange_write_last_chunk(exchange_out(ex), &ex->response_trailers) < 0)
		ex->no_memory = true;
	if (ex->client && ex->tail_open && exchange_join_tail(ex) < 0)
		ex->no_memory = true;
	if (ex->no_memory) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return;
	}
	/* An answer that came before all of the request leaves the rest of it in the way. */
	if (!ex->request_whole)
		ex->keep_client = false;
	ex->origin_reusable = reusable && ex->request_whole;
	exchange_finish(ex);
}

void exchange_end_by_mark(struct exchange *ex)
{
	if (ex->framing == FRAMING_LENGTH)
		exchange_fail(ex, ENDING_ORIGIN_TIMEOUT, NULL); /* bytes are promised that never came */
	else
		exchange_response_ended(ex, false);
}

/* ---- the connection's events ---- */

static void exchange_response_malformed(struct exchange *ex, const struct h1_error *error)
{
	uint64_t left_out;

	if (log_limit(&ex->worker->response_log, &left_out))
		log_warning("%s: malformed response: %s (%" PRIu64 " more were not logged)",
			ex->origin_target.host, error->text, left_out);
	exchange_fail(ex, ENDING_RESPONSE_MALFORMED, &(struct ending_detail){error->name, NULL, 0});
}

/* Reads the input as far as the response goes; false: the exchange is over, or has failed. */
static bool exchange_response_input(struct exchange *ex, struct slice input)
{
	struct origin_connection *connection = ex->connection;
	size_t consumed;
	struct h1_event event;

	for (;;) {
		enum h1_result result = h1_read(connection->reader, input, &consumed, &event);

		input = slice_after(input, consumed);
		switch (result) {
		case H1_MORE:
			return true;
		case H1_HEAD:
			if (!exchange_response_began(ex, event.head))
				return false;
			break;
		case H1_BODY:
			exchange_response_body(ex, event.span);
			break;
		case H1_TRAILERS:
			exchange_keep_trailers(&ex->response_trailers, &event);
			break;
		case H1_END:
			break;
		case H1_ERROR:
			exchange_response_malformed(ex, &event.error);
			return false;
		}
		if (ex->connection != connection)
			return false;
		if (ex->no_memory) {
			exchange_fail(ex, ENDING_MEMORY, NULL);
			return false;
		}
		if (event.fin) {
			exchange_response_ended(ex, event.head->keep_alive && !input.len);
			return false;
		}
	}
}

static void exchange_origin_ended(struct exchange *ex)
{
	struct h1_event event;

	if (h1_finish(ex->connection->reader, &event) == H1_END)
		exchange_response_ended(ex, false);
	else if (ex->response_head || !exchange_retry(ex, 0))
		exchange_fail(ex, ENDING_ORIGIN_CLOSED, NULL);
}

static void exchange_origin_failed(void *user, int error)
{
	struct exchange *ex = user;
	char message[128];

	if (!ex->response_head && exchange_retry(ex, error))
		return;
	snprintf(message, sizeof(message), "The connection to the origin failed: %s.",
		error == EPROTO ? "TLS error" : strerror(error));
	exchange_fail(ex, ENDING_ORIGIN_LOST, &(struct ending_detail){NULL, message, 0});
}

/* The end mark came in this turn, the end of the message did not: they leave together. */
static void exchange_open_tail(struct exchange *ex)
{
	struct buf *out = stream_out(&ex->client->stream);
	struct slice tail = slice_after(buf_slice(out), ex->end_mark_at);

	if (buf_append_slice(&ex->tail, tail) < 0)
		return; /* it leaves too early, and is whole */
	out->end -= tail.len;
	ex->tail_open = true;
}

/* What the turn has composed goes out now; a slow client stops the reading of its origin. */
static void exchange_flush_client(struct exchange *ex)
{
	if (!ex->client || !ex->connection)
		return;
	if (ex->end_mark && !ex->tail_open)
		exchange_open_tail(ex);
	if (stream_flush(&ex->client->stream) < 0) {
		client_close(ex->client, false);
		return;
	}
	if (stream_congested(&ex->client->stream))
		stream_watch(&ex->connection->stream, false);
}

/* Reads what came in this turn; false: the exchange is over, or has failed. */
static bool exchange_read_turn(struct exchange *ex)
{
	struct stream *origin = &ex->connection->stream;
	char *scratch = ex->worker->scratch;
	size_t total = 0;
	ssize_t got;

	while (total < RESPONSE_TURN) {
		got = stream_read(origin, scratch, WORKER_READ_SIZE);
		if (got == -EAGAIN)
			break;
		if (got == 0) {
			exchange_origin_ended(ex);
			return false;
		}
		if (got < 0) {
			exchange_origin_failed(ex, (int)-got);
			return false;
		}
		total += (size_t)got;
		if (!exchange_response_input(ex, slice_of(scratch, (size_t)got)))
			return false;
		if (!stream_has_pending(origin))
			break;
	}
	return true;
}

void exchange_read_on(struct exchange *ex)
{
	struct stream *origin;

	if (!ex->connection)
		return;
	origin = &ex->connection->stream;
	stream_watch(origin, true);
	if (stream_has_pending(origin))
		ev_feed_event(ex->worker->loop, &origin->reading, EV_READ);
}

static void exchange_origin_readable(void *user)
{
	struct exchange *ex = user;
	struct worker *worker = ex->worker;

	if (!exchange_read_turn(ex))
		return;
	if (ex->drained && ex->drain_bytes > worker->config->origin.drain_bytes) {
		counter_add(worker->counters, COUNTER_EXCHANGE_DRAIN_CAPPED, 1);
		exchange_finish(ex);
		return;
	}
	exchange_flush_client(ex);
	if (exchange_is_over(ex))
		return;
	exchange_moved(ex, ENDING_BY_ORIGIN);
	if (stream_has_pending(&ex->connection->stream) &&
		ev_is_active(&ex->connection->stream.reading))
		ev_feed_event(worker->loop, &ex->connection->stream.reading, EV_READ);
}

static void exchange_origin_drained(void *user)
{
	struct exchange *ex = user;

	if (ex->client && !ex->request_whole)
		client_resume(ex->client);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_ORIGIN);
}

const struct origin_user exchange_origin_user = {
	.readable = exchange_origin_readable,
	.drained = exchange_origin_drained,
	.failed = exchange_origin_failed,
};

/* ---- our own answers ---- */

int exchange_compose_error(struct exchange *ex, int status, bool final)
{
	struct buf *out = stream_out(&ex->client->stream), body = BUF_EMPTY;
	int error = error_body(ex->match.dialect, status, ex->error_type, ex->why.text, &body);

	if (!error)
		error = h1_write_status_line(out, status, SLICE_NONE);
	if (!error)
		error = h1_write_header(out, SLICE("Content-Type"), SLICE("application/json"));
	if (!error)
		error = h1_write_header_number(out, SLICE("Content-Length"), buf_len(&body));
	if (!error && final)
		error = h1_write_header(out, SLICE("x-should-retry"), SLICE("false"));
	if (!error && (!ex->keep_client || ex->client->close_after))
		error = h1_write_header(out, SLICE("Connection"), SLICE("close"));
	if (!error)
		error = h1_write_end_of_head(out);
	if (!error && !slice_equal(ex->method, SLICE("HEAD")))
		error = buf_append_slice(out, buf_slice(&body));
	buf_free(&body);
	return error;
}
