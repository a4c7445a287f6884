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

/* What one turn of the loop reads, so that one origin does not keep the others waiting. TLS returns
 * a record at a time, and a record may be one event: what lies there leaves in one write. */
#define RESPONSE_TURN 65536
/* What waits behind a stream's end mark: no more than came together with it. */
#define RESPONSE_TAIL_MAX (2 * RESPONSE_TURN)

void exchange_free_response(struct exchange *ex)
{
	reader_free(ex->response);
	secret_masking_free(&ex->masked);
	buf_wipe(&ex->response_unread);
	buf_wipe(&ex->response_trailers);
	buf_wipe(&ex->tail);
}

/* ---- the head ---- */

/* The reader of the body, where the operation is one we read. Without memory for it the call fails:
 * nothing passes unread that should have been read. */
static int exchange_open_response_reader(struct exchange *ex, const struct head *head)
{
	const struct config *config = ex->worker->config;
	const struct reader_options options = {
		.operation = ex->match.operation,
		.content_max = config->audit.content ? config->audit.content_max : 0,
		.expansion_max = config->http.expansion_max,
		/* The client is not to see the usage that was asked for in its name. */
		.hide_usage = ex->injected,
	};

	if (!ex->match.operation || !ex->match.operation->read || head->framing == HEAD_NO_BODY)
		return 0;
	ex->response = reader_open_response(head, &options);
	if (!ex->response)
		return -ENOMEM;
	if (!response_reader_facts(reader_response(ex->response))->readable)
		counter_add(ex->worker->counters, COUNTER_RESPONSE_UNREADABLE, 1);
	return 0;
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
	if (head->framing == HEAD_LENGTH && !(ex->response && reader_hides(ex->response))) {
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

/* An error that echoes the service key shows it to nobody, in no field either. */
static int exchange_write_response_field(
	struct exchange *ex, struct buf *out, const struct header *header)
{
	struct buf value = BUF_EMPTY;
	struct secret_masking masked = {.literal = {.at = 0}};
	int error;

	if (!ex->mask || !secret_found(ex->mask, header->value))
		return h1_write_header(out, header->name, header->value);
	error = secret_mask(ex->mask, &masked, header->value, true, &value);
	if (!error)
		error = h1_write_header(out, header->name, buf_slice(&value));
	buf_wipe(&value);
	return error;
}

static int exchange_write_response_head(struct exchange *ex, const struct head *head)
{
	struct buf *out = stream_out(&ex->client->stream);
	/* A reason of the origin's own is of no use, and could hold anything. */
	int error = h1_write_status_line(out, head->status, ex->mask ? SLICE_NONE : head->reason);

	for (size_t i = 0; i < head->nheaders && !error; i++) {
		const struct header *header = &head->headers[i];

		/* Alt-Svc would lead clients to HTTP/3, past the inspection. */
		if (header->hop_by_hop || slice_equal_nocase(header->name, SLICE("content-length")) ||
			slice_equal_nocase(header->name, SLICE("alt-svc")))
			continue;
		error = exchange_write_response_field(ex, out, header);
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

/* Whatever is no success may tell what it was asked with. False: its body is in a coding that was
 * not asked for, and nobody looks into it. */
static bool exchange_mask_error(struct exchange *ex, const struct head *head)
{
	const struct header *coding = head_find(head, SLICE("content-encoding"));

	ex->mask = head->status >= 300 ? worker_key(ex->worker, ex->backend) : NULL;
	return !ex->mask || !coding || head->framing == HEAD_NO_BODY ||
	       slice_equal_nocase(coding->value, SLICE("identity"));
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
	if (exchange_judges(ex, head)) {
		exchange_enter(ex, EXCHANGE_JUDGING);
		return true;
	}
	if (head->status <= 299)
		exchange_edit_taken(ex);
	if (ex->request_whole)
		buf_wipe(&ex->body);
	ex->replayable = false;
	/* What is added from now on could not be hidden from the client. */
	ex->may_inject = ex->injected;
	if (!exchange_mask_error(ex, head)) {
		exchange_fail(ex, ENDING_ERROR_CODED, NULL);
		return false;
	}
	if (ex->phase != EXCHANGE_DRAINING && ex->phase != EXCHANGE_ANSWERING)
		exchange_enter(ex, EXCHANGE_ANSWERING);
	if (exchange_open_response_reader(ex, head) < 0) {
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

static int exchange_write_span(struct exchange *ex, struct slice span)
{
	struct buf *out = exchange_out(ex);
	int error = 0;

	if (!span.len)
		return 0;
	if (ex->framing == FRAMING_CHUNKED)
		error = h1_write_chunk_head(out, span.len);
	if (!error)
		error = buf_append_slice(out, span);
	if (!error && ex->framing == FRAMING_CHUNKED)
		error = h1_write_chunk_tail(out);
	return error;
}

/* fin: nothing follows. Without memory the exchange fails once the input that is being read is done
 * with. */
static void exchange_forward(struct exchange *ex, struct slice span, bool fin)
{
	struct buf masked = BUF_EMPTY;
	int error = 0;

	if (!ex->client)
		return;
	if (ex->mask) {
		error = secret_mask(ex->mask, &ex->masked, span, fin, &masked);
		span = buf_slice(&masked);
	}
	if (!error)
		error = exchange_write_span(ex, span);
	buf_wipe(&masked);
	if (error)
		ex->no_memory = true;
}

/* What is composed from here on waits for the end of the message. */
static void exchange_mark_end(struct exchange *ex)
{
	ex->end_mark = true;
	if (ex->client && !ex->tail_open)
		ex->end_mark_at = buf_len(stream_out(&ex->client->stream));
}

/* Reads from the front of *span, which it advances, as far as the work goes, and forwards what was
 * read: what the event needs is known before the last bytes go. */
static void exchange_read_response(struct exchange *ex, struct slice *span)
{
	enum reader_result result;
	struct slice pass;

	do {
		result = reader_feed(ex->response, span, share_work(&ex->share), &pass);
		ex->reading_response = result == READER_SPENT;
		if (!ex->end_mark && reader_is_done(ex->response)) {
			size_t before = reader_before_mark(ex->response, pass);

			exchange_forward(ex, slice_first(pass, before), false);
			exchange_mark_end(ex);
			pass = slice_after(pass, before);
		}
		exchange_forward(ex, pass, false);
	} while (result == READER_AGAIN);
}

/* Returns what could not be read yet. */
static struct slice exchange_response_body(struct exchange *ex, struct slice span)
{
	if (ex->phase == EXCHANGE_JUDGING) {
		if (buf_append_slice(&ex->judged, span) < 0)
			ex->no_memory = true;
		return SLICE_NONE;
	}
	ex->response_bytes += span.len;
	if (ex->drained)
		ex->drain_bytes += span.len;
	if (ex->response) {
		exchange_read_response(ex, &span);
		return span;
	}
	exchange_forward(ex, span, false);
	return SLICE_NONE;
}

/* The error is not about our edit, or too long to be: it is handed on. */
static struct slice exchange_pass_judged(struct exchange *ex)
{
	ex->replayable = false;
	exchange_enter(ex, EXCHANGE_ANSWERING);
	if (!exchange_response_began(ex, ex->response_head))
		return SLICE_NONE;
	return exchange_response_body(ex, buf_slice(&ex->judged));
}

/* Composes the end of the response and lets the exchange go. */
static void exchange_response_ended(struct exchange *ex, bool reusable)
{
	exchange_forward(ex, ex->response ? reader_end(ex->response) : SLICE_NONE, true);
	if (ex->response && ex->status <= 299 && reader_is_truncated(ex->response)) {
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

/* Keeps what is left of a span of the body, and the input after it, until there is work again. */
static void exchange_keep_unread(
	struct exchange *ex, struct slice body, struct slice input, bool fin)
{
	ex->response_unread_body = body.len;
	ex->response_unread_fin = fin;
	stream_watch(&ex->connection->stream, false);
	if (buf_append_slice(&ex->response_unread, body) < 0 ||
		buf_append_slice(&ex->response_unread, input) < 0)
		exchange_fail(ex, ENDING_MEMORY, NULL);
	else
		share_wait(&ex->share);
}

/* Reads the input as far as the response and the work go; false: the exchange is over, or has
 * failed, or waits. */
static bool exchange_response_input(struct exchange *ex, struct slice input)
{
	struct origin_connection *connection = ex->connection;
	struct slice unread = SLICE_NONE;
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
			unread = exchange_response_body(ex, event.span);
			break;
		case H1_TRAILERS:
			if (!ex->mask)
				exchange_keep_trailers(&ex->response_trailers, &event);
			break;
		case H1_END:
			break;
		case H1_ERROR:
			exchange_response_malformed(ex, &event.error);
			return false;
		}
		if (ex->phase == EXCHANGE_JUDGING && event.fin && exchange_edit_was_refused(ex)) {
			exchange_send_again(ex, event.head->keep_alive && !input.len);
			return false;
		}
		if (ex->phase == EXCHANGE_JUDGING && (event.fin || exchange_judge_full(ex)))
			unread = exchange_pass_judged(ex);
		if (ex->connection != connection)
			return false;
		if (ex->no_memory) {
			exchange_fail(ex, ENDING_MEMORY, NULL);
			return false;
		}
		if (ex->reading_response) {
			exchange_keep_unread(ex, unread, input, event.fin);
			return false;
		}
		if (event.fin) {
			exchange_response_ended(ex, event.head->keep_alive && !input.len);
			return false;
		}
	}
}

/* The response lasted until the connection's end. */
static void exchange_input_ended(struct exchange *ex)
{
	struct slice unread = SLICE_NONE;

	if (ex->phase == EXCHANGE_JUDGING) {
		if (exchange_edit_was_refused(ex)) {
			exchange_send_again(ex, false);
			return;
		}
		unread = exchange_pass_judged(ex);
		if (exchange_is_over(ex))
			return;
	}
	if (ex->reading_response)
		exchange_keep_unread(ex, unread, SLICE_NONE, true);
	else
		exchange_response_ended(ex, false);
}

static void exchange_origin_ended(struct exchange *ex)
{
	struct h1_event event;

	if (h1_finish(ex->connection->reader, &event) == H1_END)
		exchange_input_ended(ex);
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
		ex->client->ops->close(ex->client, false);
		return;
	}
	if (!stream_room(&ex->client->stream))
		stream_watch(&ex->connection->stream, false);
}

void exchange_watch_origin(struct exchange *ex)
{
	if (ex->connection && !ex->reading_response &&
		(!ex->client || stream_room(&ex->client->stream)))
		stream_watch(&ex->connection->stream, true);
}

/* The share of a turn was read, and the exchange goes on. */
static void exchange_response_turn(struct exchange *ex)
{
	if (ex->drained && ex->drain_bytes > ex->worker->config->origin.drain_bytes) {
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_DRAIN_CAPPED, 1);
		exchange_finish(ex);
		return;
	}
	if (buf_len(&ex->tail) > RESPONSE_TAIL_MAX) {
		exchange_fail(ex, ENDING_RESPONSE_MALFORMED,
			&(struct ending_detail){NULL,
				"The origin went on after the end mark of its stream.", 0});
		return;
	}
	exchange_flush_client(ex);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_ORIGIN);
}

static void exchange_origin_readable(void *user)
{
	struct exchange *ex = user;
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
			return;
		}
		if (got < 0) {
			exchange_origin_failed(ex, (int)-got);
			return;
		}
		total += (size_t)got;
		if (!exchange_response_input(ex, slice_of(scratch, (size_t)got))) {
			if (!ex->reading_response || exchange_is_over(ex))
				return;
			break;
		}
		if (!stream_has_pending(origin))
			break;
	}
	exchange_response_turn(ex);
}

void exchange_read_response_on(struct exchange *ex)
{
	struct slice span = slice_first(buf_slice(&ex->response_unread), ex->response_unread_body);
	size_t before = span.len;
	struct buf held;
	bool goes_on;

	exchange_read_response(ex, &span);
	buf_consume(&ex->response_unread, before - span.len);
	ex->response_unread_body = span.len;
	if (ex->no_memory) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return;
	}
	if (ex->reading_response) {
		share_wait(&ex->share);
		exchange_response_turn(ex);
		return;
	}
	held = ex->response_unread;
	ex->response_unread = BUF_EMPTY;
	exchange_watch_origin(ex);
	if (ex->response_unread_fin) {
		exchange_response_ended(ex, ex->response_head->keep_alive && !buf_len(&held));
		goes_on = false;
	} else {
		goes_on = exchange_response_input(ex, buf_slice(&held)) ||
			  (ex->reading_response && !exchange_is_over(ex));
	}
	buf_wipe(&held);
	if (goes_on)
		exchange_response_turn(ex);
}

static void exchange_origin_flushed(void *user)
{
	struct exchange *ex = user;

	if (ex->reading_request)
		share_wait(&ex->share);
	else if (ex->client && !ex->request_whole)
		ex->client->ops->resume(ex->client);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_ORIGIN);
}

const struct origin_user exchange_origin_user = {
	.readable = exchange_origin_readable,
	.flushed = exchange_origin_flushed,
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
