// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes over a connection of HTTP/2: frames become messages. */
#include "http/h2_internal.h"

#define H2_INTERIM_MAX 16 /* 1xx responses to one request */
/* A piece of a body that makes up for a frame without one. */
#define H2_WORTH_A_FRAME 64
/* Frames that may come for one that goes: a window is opened twice, for its stream and for all. */
#define H2_FRAMES_PER_FRAME 2

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* ---- a message, part by part ---- */

static void stream_refuse(struct h2_stream *stream, enum h2_error_id id)
{
	const struct message_fault fault = h2_error_of(id, stream->h2->incoming);

	stream->in = H2_IN_REFUSED;
	buf_wipe(&stream->pending);
	if (stream->to)
		stream->ops->abort(stream->to, &fault);
}

/* What a taker says to a part: whether it takes more. */
static void stream_told(struct h2_stream *stream, int error, bool fin)
{
	if (stream->in == H2_IN_REFUSED)
		return;
	if (error)
		stream->in = H2_IN_REFUSED;
	else if (fin)
		stream->in = H2_IN_WHOLE;
	if (stream->closed)
		h2_stream_has_news(stream);
}

static void stream_tell_body(struct h2_stream *stream, struct slice span, bool fin)
{
	nghttp2_session *session = stream->h2->session;
	/* Where a length is promised its last byte is the end, and nobody could pass trailers on. */
	bool trailed = fin && stream->trailers.count && stream->head.framing != HEAD_LENGTH;
	int error = 0;

	if (span.len && !stream->closed)
		nghttp2_session_consume_stream(session, stream->id, span.len);
	if (span.len || !trailed)
		error = stream->ops->body(stream->to, span, fin && !trailed);
	if (!error && trailed && stream->to)
		error = stream->ops->trailers(
			stream->to, stream->trailers.fields, stream->trailers.nfields);
	stream_told(stream, error, fin);
}

/* Whoever is promised a length acts on the last byte of it: that waits for the end to be said. */
static bool stream_holds_end(const struct h2_stream *stream)
{
	return !stream->ended && stream->head.framing == HEAD_LENGTH &&
	       stream->received == stream->head.length;
}

/* Tells what waits, as far as there is room. */
static void stream_tell_pending(struct h2_stream *stream)
{
	struct buf waiting;

	if (stream->in != H2_IN_BODY || !stream->to || stream_holds_end(stream) ||
		(!buf_len(&stream->pending) && !stream->ended) ||
		!stream->ops->room(stream->to))
		return;
	waiting = stream->pending;
	stream->pending = BUF_EMPTY;
	stream_tell_body(stream, buf_slice(&waiting), stream->ended);
	buf_wipe(&waiting);
}

void h2_stream_resume(struct h2_stream *stream)
{
	stream_tell_pending(stream);
}

static bool stream_length_differs(const struct h2_stream *stream)
{
	return stream->head.has_length && stream->head.framing != HEAD_NO_BODY &&
	       stream->received != stream->head.declared_length;
}

static void stream_ended(struct h2_stream *stream)
{
	stream->ended = true;
	if (stream->in != H2_IN_BODY)
		return;
	if (stream_length_differs(stream))
		stream_refuse(stream, H2_ERROR_LENGTH_DIFFERS);
	else
		stream_tell_pending(stream);
}

static void stream_data(struct h2_stream *stream, struct slice span, bool last)
{
	uint64_t body_max = stream->h2->limits.body_max;

	stream->received += span.len;
	if (stream->in != H2_IN_BODY || !stream->to)
		return;
	if (stream->head.framing == HEAD_NO_BODY ||
		(stream->head.has_length && stream->received > stream->head.declared_length)) {
		stream_refuse(stream, H2_ERROR_LENGTH_DIFFERS);
		return;
	}
	if (body_max && stream->received > body_max) {
		stream_refuse(stream, H2_ERROR_BODY_TOO_LONG);
		return;
	}
	stream->ended = last;
	if (last && stream_length_differs(stream)) {
		stream_refuse(stream, H2_ERROR_LENGTH_DIFFERS);
	} else if (buf_len(&stream->pending) || stream_holds_end(stream) ||
		   !stream->ops->room(stream->to)) {
		if (buf_append_slice(&stream->pending, span) < 0)
			stream_refuse(stream, H2_ERROR_MEMORY);
		else
			stream_tell_pending(stream);
	} else {
		stream_tell_body(stream, span, last);
	}
}

static void stream_head(struct h2_stream *stream, bool fin)
{
	struct h2 *h2 = stream->h2;
	enum h2_error_id error =
		h2->incoming == HEAD_REQUEST
			? h2_head_request(&stream->section, fin, h2->limits.body_max, &stream->head)
			: h2_head_response(&stream->section, fin, stream->no_body, &stream->head);

	if (!stream->to)
		return;
	if (!error && h2->incoming == HEAD_RESPONSE && stream->head.status < 200) {
		if (fin || ++stream->interim > H2_INTERIM_MAX)
			error = H2_ERROR_STATUS;
		else
			h2_section_reset(&stream->section);
	}
	if (error) {
		stream_refuse(stream, error);
	} else if (h2->incoming == HEAD_REQUEST || stream->head.status >= 200) {
		stream->in = H2_IN_BODY;
		stream->ended = fin;
		stream_told(stream, stream->ops->head(stream->to, &stream->head, fin), fin);
	}
}

static void stream_trailers(struct h2_stream *stream, bool fin)
{
	enum h2_error_id error;

	if (stream->in != H2_IN_BODY)
		return;
	error = h2_head_trailers(&stream->trailers, fin);
	if (error)
		stream_refuse(stream, error);
	else
		stream_ended(stream);
}

bool h2_stream_is_whole(const struct h2_stream *stream)
{
	return stream->in == H2_IN_WHOLE;
}

uint64_t h2_stream_received(const struct h2_stream *stream)
{
	return stream->received;
}

/* ---- what nghttp2 tells ---- */

/* Whether the frame asks for nothing. */
static bool frame_is_idle(const nghttp2_frame_hd *hd)
{
	switch (hd->type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_CONTINUATION: /* counted by their bytes */
		return false;
	case NGHTTP2_DATA:
		return hd->flags & NGHTTP2_FLAG_PADDED ||
		       (!hd->length && !(hd->flags & NGHTTP2_FLAG_END_STREAM));
	default:
		return true;
	}
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream;

	h2->begun = true;
	if (frame_is_idle(hd) && !h2_allowance_take(&h2->flood.frames, h2->now_ns))
		h2_is_too_much(h2);
	if (hd->type != NGHTTP2_DATA)
		return 0;
	stream = stream_of(session, hd->stream_id);
	if (stream)
		stream->frame_left = hd->length;
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream;

	h2->heading = true;
	h2->head_stream = stream_of(session, frame->hd.stream_id);
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	stream = h2->over ? NULL : h2_stream_new(h2, frame->hd.stream_id);
	if (!stream)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, stream->id, stream);
	h2->head_stream = stream;
	return h2->ops->opened(h2->user, stream) < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	(void)flags;
	if (stream && !stream->ended && stream->in != H2_IN_REFUSED)
		h2_section_add(stream->in == H2_IN_HEAD ? &stream->section : &stream->trailers,
			slice_of((const char *)name, name_len),
			slice_of((const char *)value, value_len), h2->limits.head_max,
			h2->limits.headers_max);
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
	size_t len, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream = stream_of(session, id);
	bool last;

	/* Only a stream's own window stops it. */
	nghttp2_session_consume_connection(session, len);
	if (len >= H2_WORTH_A_FRAME)
		h2_allowance_give(&h2->flood.frames, 1);
	if (!stream || h2->over)
		return 0;
	stream->frame_left -= len < stream->frame_left ? len : stream->frame_left;
	/* Behind the last byte of a frame with padding comes the padding. */
	last = flags & NGHTTP2_FLAG_END_STREAM && !(flags & NGHTTP2_FLAG_PADDED) &&
	       !stream->frame_left;
	stream_data(stream, slice_of((const char *)data, len), last);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
	bool fin = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.type == NGHTTP2_HEADERS)
		h2->heading = false;
	if (!stream || h2->over || stream->ended)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && stream->in == H2_IN_HEAD)
		stream_head(stream, fin);
	else if (frame->hd.type == NGHTTP2_HEADERS)
		stream_trailers(stream, fin);
	else if (frame->hd.type == NGHTTP2_DATA && fin)
		stream_ended(stream);
	return 0;
}

/* Streams that a client takes back cost more than they cost it: also those that it makes us reset. */
static void stream_count_end(struct h2_stream *stream)
{
	struct h2 *h2 = stream->h2;

	if (stream->out == H2_OUT_DONE)
		h2_allowance_give(&h2->flood.resets, 1);
	else if (!stream->reset && !h2_allowance_take(&h2->flood.resets, h2->now_ns))
		h2_is_too_much(h2);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream = stream_of(session, id);

	(void)error;
	if (!stream)
		return 0;
	stream->closed = true;
	if (h2->head_stream == stream)
		h2->head_stream = NULL;
	if (h2->incoming == HEAD_REQUEST)
		stream_count_end(stream);
	h2_stream_has_news(stream);
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2 *h2 = user;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	h2_allowance_give(&h2->flood.frames, H2_FRAMES_PER_FRAME);
	if (!stream || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	stream->out = H2_OUT_DONE;
	/* All is said: the rest of the request is of no use (RFC 9113 section 8.1). */
	if (h2->incoming == HEAD_REQUEST && !stream->ended)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
	return 0;
}

void h2_input_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}
