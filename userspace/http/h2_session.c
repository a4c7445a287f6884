// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h2.h"

#include <assert.h>
#include <stdlib.h>

#include "http/h2_internal.h"

#define H2_MAGIC 0x48322e30u
/* One call of nghttp2's reads this much: between two it is looked at whether it was too much. */
#define H2_PIECE 2048
/* Answers to PING and SETTINGS that wait: as many as there may be of these. */
#define H2_ACKS_MAX H2_FLOOD_FRAMES
#define H2_SETTINGS_MAX 32 /* of one frame */
/* Bytes of a head on the wire: as much as its fields may be, several times over, so that one that is too
 * long can be answered, and a few frames. Beyond that it is a flood. */
#define H2_HEAD_BYTES(limits) ((limits)->head_max * 4 + 16384)
/* The longest head that goes out: nobody else's business is how long ours may be. */
#define H2_SEND_HEAD_MAX (1 << 20)

static struct h2 *h2_checked(struct h2 *h2)
{
	assert(h2->magic == H2_MAGIC);
	return h2;
}

/* ---- beginning and end ---- */

static int h2_submit_settings(struct h2 *h2)
{
	const struct h2_limits *limits = &h2->limits;
	uint64_t window = (uint64_t)limits->streams_max * limits->window;
	nghttp2_settings_entry entries[5];
	size_t n = 0;
	int error;

	if (h2->incoming == HEAD_REQUEST) {
		entries[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max};
		entries[n++] = (nghttp2_settings_entry){
			NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
	} else {
		entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
	}
	entries[n++] = (nghttp2_settings_entry){
		NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window};
	entries[n++] = (nghttp2_settings_entry){
		NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head_max};
	error = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, n);
	/* No stream waits for what another one does not take. */
	if (!error)
		error = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
			window > INT32_MAX ? INT32_MAX : (int32_t)window);
	return error ? -ENOMEM : 0;
}

static int h2_open_session(struct h2 *h2)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int error = nghttp2_session_callbacks_new(&callbacks);

	if (!error)
		error = nghttp2_option_new(&option);
	if (error)
		goto out;
	h2_input_callbacks(callbacks);
	h2_output_callbacks(callbacks);
	nghttp2_option_set_no_auto_window_update(option, 1);
	/* h2_head reads messages, and says what is wrong with them. */
	nghttp2_option_set_no_http_messaging(option, 1);
	nghttp2_option_set_max_outbound_ack(option, H2_ACKS_MAX);
	nghttp2_option_set_max_settings(option, H2_SETTINGS_MAX);
	/* It counts calls that find a part of a frame, not frames. */
	nghttp2_option_set_max_continuations(option, SIZE_MAX);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_send_header_block_length(option, H2_SEND_HEAD_MAX);
	error = h2->incoming == HEAD_REQUEST
			? nghttp2_session_server_new2(&h2->session, callbacks, h2, option)
			: nghttp2_session_client_new2(&h2->session, callbacks, h2, option);
out:
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return error ? -ENOMEM : h2_submit_settings(h2);
}

struct h2 *h2_new(enum head_kind incoming, const struct h2_limits *limits, const struct h2_user *ops,
	void *user)
{
	struct h2 *h2 = calloc(1, sizeof(*h2));

	if (!h2)
		return NULL;
	h2->magic = H2_MAGIC;
	h2->incoming = incoming;
	h2->limits = *limits;
	h2->ops = ops;
	h2->user = user;
	list_init(&h2->streams);
	list_init(&h2->news);
	h2_flood_open(&h2->flood, limits->streams_max);
	if (h2_open_session(h2) < 0) {
		h2_free(h2);
		return NULL;
	}
	return h2;
}

static void stream_free(struct h2_stream *stream)
{
	list_remove(&stream->node);
	list_remove(&stream->news);
	h2_section_free(&stream->section);
	h2_section_free(&stream->trailers);
	h2_fields_free(&stream->fields);
	h2_fields_free(&stream->out_trailers);
	buf_wipe(&stream->pending);
	buf_wipe(&stream->body);
	free(stream);
}

void h2_free(struct h2 *h2)
{
	if (!h2)
		return;
	h2_checked(h2);
	nghttp2_session_del(h2->session);
	list_for_each_safe (at, &h2->streams)
		stream_free(list_entry(at, struct h2_stream, node));
	h2_trim(h2);
	h2->magic = 0;
	free(h2);
}

/* ---- streams ---- */

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id)
{
	struct h2_stream *stream = h2->spare ? h2->spare : calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	h2->spare = NULL;
	list_init(&stream->news);
	list_append(&h2->streams, &stream->node);
	h2->nstreams++;
	stream->h2 = h2;
	stream->id = id;
	return stream;
}

/* The stream's end is told; one of them stays for the next. */
static void stream_retire(struct h2_stream *stream)
{
	struct h2 *h2 = stream->h2;
	struct h2_section section = stream->section;
	struct buf body = stream->body;

	h2->nstreams--;
	if (h2->head_stream == stream)
		h2->head_stream = NULL;
	if (h2->spare || body.capacity > h2->limits.window) {
		stream_free(stream);
		return;
	}
	list_remove(&stream->node);
	list_remove(&stream->news);
	h2_section_free(&stream->trailers);
	h2_fields_free(&stream->fields);
	h2_fields_free(&stream->out_trailers);
	buf_wipe(&stream->pending);
	h2_section_reset(&section);
	buf_clear(&body);
	*stream = (struct h2_stream){.section = section, .body = body};
	list_init(&stream->node);
	list_init(&stream->news);
	h2->spare = stream;
}

void h2_stream_has_news(struct h2_stream *stream)
{
	if (list_empty(&stream->news))
		list_append(&stream->h2->news, &stream->news);
}

void h2_stream_attach(struct h2_stream *stream, const struct message_ops *ops, void *to)
{
	stream->ops = ops;
	stream->to = to;
}

void h2_stream_detach(struct h2_stream *stream)
{
	stream->ops = NULL;
	stream->to = NULL;
	if (stream->in != H2_IN_WHOLE)
		stream->in = H2_IN_REFUSED;
	buf_wipe(&stream->pending);
	if (stream->closed)
		h2_stream_has_news(stream);
}

/* Whether what had to come and go has. */
static bool stream_ended_well(const struct h2_stream *stream)
{
	return stream->h2->incoming == HEAD_REQUEST ? stream->out == H2_OUT_DONE
						    : stream->in == H2_IN_WHOLE;
}

static void stream_tell_closed(struct h2_stream *stream)
{
	const struct message_fault lost = {.kind = MESSAGE_LOST, .error = ECONNRESET};
	struct h2 *h2 = stream->h2;

	if (stream->to && !stream_ended_well(stream) && stream->in != H2_IN_REFUSED)
		stream->ops->abort(stream->to, &lost);
	if (stream->to)
		h2->ops->closed(stream->to);
	stream_retire(stream);
}

void h2_tell(struct h2 *h2)
{
	h2_checked(h2);
	while (!list_empty(&h2->news)) {
		struct h2_stream *stream = list_entry(h2->news.next, struct h2_stream, news);

		list_remove(&stream->news);
		if (!stream->closed) {
			if (stream->to)
				h2->ops->flushed(stream->to);
			continue;
		}
		/* A response that is here goes on to its taker, who had no room. */
		if (stream->to && h2->incoming == HEAD_RESPONSE && stream->ended &&
			stream->in == H2_IN_BODY)
			continue;
		stream_tell_closed(stream);
	}
}

bool h2_has_news(const struct h2 *h2)
{
	return !list_empty(&h2->news);
}

/* ---- spans ---- */

void h2_is_too_much(struct h2 *h2)
{
	if (h2->over)
		return;
	h2->flooded = true;
	h2_terminate(h2, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* A head may come in any number of frames, but not without end. */
static void h2_count_head(struct h2 *h2, size_t more)
{
	h2->head_bytes = h2->heading ? h2->head_bytes + more : 0;
	if (h2->head_bytes > H2_HEAD_BYTES(&h2->limits))
		h2_is_too_much(h2);
}

int h2_feed(struct h2 *h2, struct slice input, uint64_t now_ns)
{
	h2_checked(h2)->now_ns = now_ns;
	while (input.len && !h2->over) {
		struct slice piece = slice_first(input, H2_PIECE);
		ssize_t took = nghttp2_session_mem_recv(
			h2->session, (const uint8_t *)piece.data, piece.len);

		if (took < 0) {
			h2->flooded |= took == NGHTTP2_ERR_FLOODED;
			h2->over = h2->broken = true;
			break;
		}
		h2_count_head(h2, (size_t)took);
		input = slice_after(input, (size_t)took);
		if ((size_t)took < piece.len)
			break;
	}
	return h2_is_over(h2) ? -EPROTO : 0;
}

int h2_produce(struct h2 *h2, struct buf *out, size_t upto)
{
	const uint8_t *data;
	ssize_t got = 0;

	h2_checked(h2)->out = out;
	h2->upto = upto;
	while (!h2->broken && buf_len(out) < upto) {
		size_t before = buf_len(out);

		got = nghttp2_session_mem_send(h2->session, &data);
		if (got <= 0) {
			/* DATA goes into out by itself. */
			if (got < 0 || buf_len(out) == before)
				break;
			continue;
		}
		if (buf_append(out, data, (size_t)got) < 0)
			got = NGHTTP2_ERR_NOMEM;
	}
	h2->out = NULL;
	if (got < 0)
		h2->over = h2->broken = true;
	return got < 0 ? -ENOMEM : 0;
}

void h2_trim(struct h2 *h2)
{
	if (h2->spare)
		stream_free(h2->spare);
	h2->spare = NULL;
}

/* ---- what is known ---- */

size_t h2_streams(const struct h2 *h2)
{
	return h2->nstreams;
}

bool h2_in_head(const struct h2 *h2)
{
	return h2->heading || !h2->begun;
}

struct h2_stream *h2_head_stream(const struct h2 *h2)
{
	return h2->heading && h2->head_stream && h2->head_stream->to ? h2->head_stream : NULL;
}

uint64_t h2_sent(const struct h2 *h2)
{
	return h2->sent;
}

bool h2_is_over(const struct h2 *h2)
{
	return h2->over || !nghttp2_session_want_read(h2->session);
}

bool h2_is_flooded(const struct h2 *h2)
{
	return h2->flooded;
}

/* ---- the end ---- */

void h2_notice(struct h2 *h2)
{
	nghttp2_submit_shutdown_notice(h2->session);
}

void h2_goaway(struct h2 *h2)
{
	nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR, NULL, 0);
}

void h2_terminate(struct h2 *h2, uint32_t error)
{
	nghttp2_session_terminate_session(h2->session, error);
	h2->over = true;
}
