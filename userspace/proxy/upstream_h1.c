// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/upstream_h1.h"

#include <errno.h>

#include "http/h1_write.h"

/* What one turn of the loop reads, so that one origin does not keep the others waiting. TLS returns
 * a record at a time, and a record may be one event: what lies there leaves in one write. */
#define UPSTREAM_TURN 65536

static struct upstream_h1 *h1_of(const void *slot)
{
	return list_entry((struct upstream_slot *)slot, struct upstream_h1, slot);
}

/* ---- the request ---- */

static int h1_write_fields(struct buf *out, const struct head *head)
{
	int error = 0;

	for (size_t i = 0; i < head->nheaders && !error; i++) {
		const struct header *field = &head->headers[i];

		if (slice_equal_nocase(field->name, SLICE("content-length")) ||
			slice_equal_nocase(field->name, SLICE("expect")))
			continue;
		error = h1_write_header(out, field->name, field->value);
	}
	return error;
}

static int h1_write_framing(struct upstream_h1 *h1, const struct head *head, bool fin)
{
	struct buf *out = stream_out(h1->stream);

	h1->chunked = !fin && head->framing != HEAD_LENGTH && !head->websocket;
	if (head->websocket) {
		/* What follows is no body: it goes as it is. */
		int error = h1_write_header(out, SLICE("Connection"), SLICE("Upgrade"));

		h1_reader_expect_upgrade(h1->reader);
		return error ? error : h1_write_header(out, SLICE("Upgrade"), SLICE("websocket"));
	}
	if (h1->chunked)
		return h1_write_header(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
	if (!fin)
		return h1_write_header_number(out, SLICE("Content-Length"), head->length);
	return head->has_length ? h1_write_header_number(out, SLICE("Content-Length"), 0) : 0;
}

static int h1_request_head(void *to, const struct head *head, bool fin)
{
	struct upstream_h1 *h1 = h1_of(to);
	struct buf *out = stream_out(h1->stream);
	int error;

	h1_reader_expect(h1->reader, head->method);
	h1->sent_before = stream_sent(h1->stream);
	error = h1_write_request_line(out, head->method, head->path);
	if (!error)
		error = h1_write_fields(out, head);
	if (!error)
		error = h1_write_framing(h1, head, fin);
	if (!error)
		error = h1_write_end_of_head(out);
	if (!error)
		h1->request_whole = fin;
	return error;
}

static int h1_request_body(void *to, struct slice span, bool fin)
{
	struct upstream_h1 *h1 = h1_of(to);
	struct buf *out = stream_out(h1->stream);
	int error = 0;

	if (span.len && h1->chunked)
		error = h1_write_chunk_head(out, span.len);
	if (!error)
		error = buf_append_slice(out, span);
	if (!error && span.len && h1->chunked)
		error = h1_write_chunk_tail(out);
	if (!error && fin && h1->chunked)
		error = h1_write_last_chunk(out, NULL, 0);
	if (!error)
		h1->request_whole = fin;
	return error;
}

static int h1_request_trailers(void *to, const struct header *fields, size_t n)
{
	struct upstream_h1 *h1 = h1_of(to);

	h1->request_whole = true;
	return h1->chunked ? h1_write_last_chunk(stream_out(h1->stream), fields, n) : 0;
}

static size_t h1_request_room(const void *to)
{
	return stream_room(h1_of(to)->stream);
}

/* ---- the response ---- */

static void h1_abort(struct upstream_h1 *h1, const struct message_fault *fault)
{
	h1->slot.handler->response.abort(h1->slot.user, fault);
}

/* There is room, and nothing that came before waits. */
static void h1_watch(struct upstream_h1 *h1)
{
	stream_watch(h1->stream, h1->state == UPSTREAM_H1_ASKED && !buf_len(&h1->pending) &&
					 h1->slot.handler->response.room(h1->slot.user));
}

/* Hands over one event, behind which there are `behind` bytes of input. 0, or a negative errno: the
 * slot is not to be touched any more. */
static int h1_tell(struct upstream_h1 *h1, const struct h1_event *event, enum h1_result result,
	size_t behind)
{
	const struct message_ops *to = &h1->slot.handler->response;
	void *user = h1->slot.user;

	if (event->fin)
		h1->state = event->wire->keep_alive && !behind ? UPSTREAM_H1_ANSWERED
								: UPSTREAM_H1_LAST;
	switch (result) {
	case H1_HEAD:
		/* Interim: the client was told to go on already. */
		return event->head->status < 200 && event->head->status != 101
			       ? 0
			       : to->head(user, event->head, event->fin);
	case H1_TRAILERS:
		return to->trailers(user, event->trailers, event->ntrailers);
	default:
		return to->body(user, event->span, event->fin);
	}
}

/* Reads the input as far as the response has room and goes. 0; or a negative errno: the slot is not
 * to be touched any more. */
static int h1_read_input(struct upstream_h1 *h1, struct slice input)
{
	struct message_fault fault = {.kind = MESSAGE_LOST, .error = ENOMEM};
	struct h1_event event;
	size_t consumed;
	int error;

	while (input.len && h1->state == UPSTREAM_H1_ASKED) {
		enum h1_result result;

		if (!h1->slot.handler->response.room(h1->slot.user))
			break;
		result = h1_read(h1->reader, input, &consumed, &event);
		input = slice_after(input, consumed);
		if (result == H1_MORE)
			return 0;
		if (result == H1_ERROR) {
			fault = (struct message_fault){MESSAGE_MALFORMED, 0, event.error.name,
				event.error.text, event.error.status};
			h1_abort(h1, &fault);
			return -EPROTO;
		}
		error = h1_tell(h1, &event, result, input.len);
		if (error)
			return error;
	}
	if (h1->state == UPSTREAM_H1_ASKED && buf_append_slice(&h1->pending, input) < 0) {
		h1_abort(h1, &fault);
		return -ENOMEM;
	}
	return 0;
}

/* What came in this turn is told. */
static void h1_turn(struct upstream_h1 *h1)
{
	if (h1->slot.handler->turn(h1->slot.user) == 0)
		h1_watch(h1);
}

static void h1_ended(struct upstream_h1 *h1)
{
	const struct message_fault fault = {.kind = MESSAGE_CLOSED};
	struct h1_event event;

	if (h1_finish(h1->reader, &event) != H1_END) {
		h1_abort(h1, &fault);
		return;
	}
	h1->state = UPSTREAM_H1_LAST;
	if (h1->slot.handler->response.body(h1->slot.user, SLICE_NONE, true) == 0)
		h1_turn(h1);
}

void upstream_h1_failed(struct upstream_h1 *h1, int error)
{
	const struct message_fault fault = {.kind = MESSAGE_LOST, .error = error};

	/* What has come whole is whole, though not all of it is read yet. */
	if (h1->state == UPSTREAM_H1_ASKED) {
		h1_abort(h1, &fault);
		return;
	}
	h1->state = UPSTREAM_H1_LAST;
	stream_watch(h1->stream, false);
}

void upstream_h1_readable(struct upstream_h1 *h1)
{
	size_t total = 0;
	ssize_t got;

	while (total < UPSTREAM_TURN && !buf_len(&h1->pending)) {
		got = stream_read(h1->stream, h1->scratch, UPSTREAM_READ_SIZE);
		if (got == -EAGAIN)
			break;
		if (got == 0) {
			h1_ended(h1);
			return;
		}
		if (got < 0) {
			upstream_h1_failed(h1, (int)-got);
			return;
		}
		total += (size_t)got;
		if (h1_read_input(h1, slice_of(h1->scratch, (size_t)got)))
			return;
		/* The end of the input is not to be told either while there is no room. */
		if (h1->state != UPSTREAM_H1_ASKED || !stream_has_pending(h1->stream) ||
			!h1->slot.handler->response.room(h1->slot.user))
			break;
	}
	h1_turn(h1);
}

/* What waits is read before what is new. */
static void h1_resume(struct upstream_slot *slot)
{
	struct upstream_h1 *h1 = h1_of(slot);
	struct buf waiting = h1->pending;
	int error;

	if (h1->state != UPSTREAM_H1_ASKED)
		return;
	if (!buf_len(&waiting)) {
		h1_watch(h1);
		return;
	}
	h1->pending = BUF_EMPTY;
	error = h1_read_input(h1, buf_slice(&waiting));
	buf_wipe(&waiting);
	if (!error)
		h1_turn(h1);
}

/* ---- the slot ---- */

static int h1_flush(struct upstream_slot *slot)
{
	return stream_flush(h1_of(slot)->stream);
}

static bool h1_unsent(const struct upstream_slot *slot)
{
	return buf_len(stream_out(h1_of(slot)->stream)) > 0;
}

static uint64_t h1_sent(const struct upstream_slot *slot)
{
	return h1_of(slot)->stream->written_bytes;
}

static enum stream_fate h1_fate(const struct upstream_slot *slot, int error)
{
	const struct upstream_h1 *h1 = h1_of(slot);

	return stream_fate(h1->stream, h1->sent_before, error);
}

static void h1_release(struct upstream_slot *slot)
{
	struct upstream_h1 *h1 = h1_of(slot);
	bool reusable = h1->state == UPSTREAM_H1_ANSWERED && h1->request_whole;

	slot->handler = NULL;
	slot->user = NULL;
	h1->state = UPSTREAM_H1_IDLE;
	h1->release(h1, reusable);
}

static void h1_request_abort(void *to, const struct message_fault *fault)
{
	(void)fault;
	h1_of(to)->state = UPSTREAM_H1_LAST;
	h1_release(to);
}

static const struct upstream_ops h1_ops = {
	.request = {h1_request_head, h1_request_body, h1_request_trailers, h1_request_room,
		h1_request_abort},
	.flush = h1_flush,
	.resume = h1_resume,
	.unsent = h1_unsent,
	.sent = h1_sent,
	.fate = h1_fate,
	.release = h1_release,
};

int upstream_h1_open(struct upstream_h1 *h1, struct stream *stream, char *scratch,
	const struct h1_limits *limits, void (*release)(struct upstream_h1 *h1, bool reusable))
{
	*h1 = (struct upstream_h1){.slot.ops = &h1_ops,
		.stream = stream,
		.scratch = scratch,
		.reader = h1_reader_new(HEAD_RESPONSE, limits),
		.release = release};
	return h1->reader ? 0 : -ENOMEM;
}

void upstream_h1_close(struct upstream_h1 *h1)
{
	h1_reader_free(h1->reader);
	buf_wipe(&h1->pending);
}

struct upstream_slot *upstream_h1_take(
	struct upstream_h1 *h1, const struct upstream_user *handler, void *user)
{
	h1->slot.handler = handler;
	h1->slot.user = user;
	h1->state = UPSTREAM_H1_ASKED;
	h1->request_whole = false;
	stream_watch(h1->stream, true);
	return &h1->slot;
}

void upstream_h1_rests(struct upstream_h1 *h1)
{
	if (h1->state == UPSTREAM_H1_IDLE)
		h1_reader_trim(h1->reader);
}

void upstream_h1_flushed(struct upstream_h1 *h1)
{
	h1->slot.handler->flushed(h1->slot.user);
}
