// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes over a connection of HTTP/2: messages become frames, as the windows of the peer allow. */
#include "http/h2_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/credential.h"
#include "http/token.h"

#define FRAME_HEAD 9
/* The fields that a head has besides those that are handed over: four that begin with a colon, and
 * its length. */
#define FIELDS_MORE 5
#define NUMBER_SIZE 24

/* ---- heads ---- */

void h2_fields_free(struct h2_fields *fields)
{
	free(fields->list);
	*fields = (struct h2_fields){0};
}

/* A section being composed: its memory is one piece, list first. */
struct composing {
	struct h2_fields *fields;
	char *text;
	int error;
};

static void compose_open(
	struct composing *c, struct h2_fields *fields, const struct header *list, size_t n, size_t more)
{
	size_t total = more + FIELDS_MORE * NUMBER_SIZE;

	for (size_t i = 0; i < n; i++)
		total += list[i].name.len + list[i].value.len;
	h2_fields_free(fields);
	fields->list = malloc((n + FIELDS_MORE) * sizeof(*fields->list) + total);
	*c = (struct composing){.fields = fields, .error = fields->list ? 0 : -ENOMEM};
	if (fields->list)
		c->text = (char *)(fields->list + n + FIELDS_MORE);
}

static uint8_t *compose_text(struct composing *c, struct slice text, bool lower)
{
	char *at = c->text;

	for (size_t i = 0; i < text.len; i++)
		at[i] = lower && text.data[i] >= 'A' && text.data[i] <= 'Z'
				? (char)(text.data[i] + ('a' - 'A'))
				: text.data[i];
	c->text += text.len;
	return (uint8_t *)at;
}

/* The name is in lower case, and there is room for all. */
static void compose_put(struct composing *c, struct slice name, struct slice value)
{
	nghttp2_nv *entry = &c->fields->list[c->fields->count++];

	*entry = (nghttp2_nv){
		.namelen = name.len,
		.valuelen = value.len,
		.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
	};
	entry->name = compose_text(c, name, true);
	entry->value = compose_text(c, value, false);
	/* What is secret is not put where a guess could be compared with it (RFC 7541 section 7.1.3). */
	if (credential_field(name))
		entry->flags |= NGHTTP2_NV_FLAG_NO_INDEX;
}

static void compose_field(struct composing *c, struct slice name, struct slice value)
{
	if (c->error)
		return;
	if (!token_valid(name) || !token_all(value, TOKEN_VALUE))
		c->error = -EINVAL;
	else
		compose_put(c, name, value);
}

static void compose_number(struct composing *c, struct slice name, uint64_t number)
{
	char text[NUMBER_SIZE];
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)number);

	if (!c->error)
		compose_put(c, name, slice_of(text, (size_t)len));
}

static void compose_length(struct composing *c, const struct head *head, bool fin)
{
	if (!fin && head->framing == HEAD_LENGTH)
		compose_number(c, SLICE("content-length"), head->length);
	else if (fin && head->kind == HEAD_REQUEST && head->has_length)
		compose_number(c, SLICE("content-length"), 0);
	/* RFC 9110 section 8.6: a 204 has none. */
	else if (fin && head->kind == HEAD_RESPONSE && head->has_length && head->status != 204)
		compose_number(c, SLICE("content-length"), head->declared_length);
}

static void compose_start(struct composing *c, const struct head *head)
{
	const struct header *host = head_find(head, SLICE("host"));

	if (c->error)
		return;
	if (head->kind == HEAD_RESPONSE) {
		if (head->status < 100 || head->status > 999)
			c->error = -EINVAL;
		else
			compose_number(c, SLICE(":status"), (uint64_t)head->status);
		return;
	}
	if (!token_valid(head->method) || !head->path.len || !token_all(head->path, TOKEN_TARGET) ||
		!host || !token_all(host->value, TOKEN_TARGET)) {
		c->error = -EINVAL;
		return;
	}
	compose_put(c, SLICE(":method"), head->method);
	compose_put(c, SLICE(":scheme"), SLICE("https"));
	compose_put(c, SLICE(":authority"), host->value);
	compose_put(c, SLICE(":path"), head->path);
}

/* Whether the field is said in another way on this wire, or not at all. */
static bool field_is_wires(const struct head *head, struct slice name)
{
	return slice_equal_nocase(name, SLICE("content-length")) || h2_head_is_connection(name) ||
	       (head->kind == HEAD_REQUEST && (slice_equal_nocase(name, SLICE("host")) ||
						      slice_equal_nocase(name, SLICE("expect"))));
}

static int stream_out_head(void *to, const struct head *head, bool fin)
{
	struct h2_stream *stream = to;
	struct composing c;

	if (stream->closed)
		return 0;
	compose_open(&c, &stream->fields, head->headers, head->nheaders,
		head->method.len + head->path.len);
	compose_start(&c, head);
	for (size_t i = 0; i < head->nheaders && !c.error; i++)
		if (!field_is_wires(head, head->headers[i].name))
			compose_field(&c, head->headers[i].name, head->headers[i].value);
	compose_length(&c, head, fin);
	if (c.error) {
		h2_fields_free(&stream->fields);
		return c.error;
	}
	stream->no_body = head->kind == HEAD_REQUEST && slice_equal(head->method, SLICE("HEAD"));
	stream->out = H2_OUT_COMPOSED;
	stream->fin = fin;
	return 0;
}

/* ---- bodies ---- */

static size_t stream_out_room(const void *to)
{
	const struct h2_stream *stream = to;
	size_t waiting = buf_len(&stream->body);

	return waiting < stream->h2->limits.window ? stream->h2->limits.window - waiting : 0;
}

static int stream_out_body(void *to, struct slice span, bool fin)
{
	struct h2_stream *stream = to;

	if (stream->closed)
		return 0;
	if (buf_append_slice(&stream->body, span) < 0)
		return -ENOMEM;
	stream->fin |= fin;
	stream->full |= !stream_out_room(stream);
	return 0;
}

static int stream_out_trailers(void *to, const struct header *fields, size_t n)
{
	struct h2_stream *stream = to;
	struct composing c;

	if (stream->closed)
		return 0;
	compose_open(&c, &stream->out_trailers, fields, n, 0);
	for (size_t i = 0; i < n; i++)
		if (!h2_head_is_connection(fields[i].name))
			compose_field(&c, fields[i].name, fields[i].value);
	if (c.error)
		h2_fields_free(&stream->out_trailers);
	else
		stream->fin = true;
	return c.error;
}

static void stream_out_abort(void *to, const struct message_fault *fault)
{
	(void)fault;
	h2_stream_reset(to, NGHTTP2_INTERNAL_ERROR);
}

const struct message_ops h2_stream_out = {stream_out_head, stream_out_body, stream_out_trailers,
	stream_out_room, stream_out_abort};

uint64_t h2_stream_sent(const struct h2_stream *stream)
{
	return stream->sent;
}

size_t h2_stream_unsent(const struct h2_stream *stream)
{
	return buf_len(&stream->body);
}

/* ---- nghttp2 takes it ---- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *memory, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct h2_stream *stream = source->ptr;
	size_t waiting = buf_len(&stream->body);

	(void)memory;
	(void)user;
	if (stream->corked || (!waiting && !stream->fin)) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (len > waiting)
		len = waiting;
	if (!stream->fin || len < waiting)
		return (ssize_t)len;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (stream->out_trailers.count) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, id, stream->out_trailers.list,
			    stream->out_trailers.count))
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return (ssize_t)len;
}

/* A DATA frame, from where its bytes wait to where the connection's do. */
static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
	size_t len, nghttp2_data_source *source, void *user)
{
	struct h2_stream *stream = source->ptr;
	struct h2 *h2 = user;

	(void)session;
	(void)frame; /* it has no padding: nobody asks for any */
	/* nghttp2 would go on as long as there is something to send. */
	if (buf_len(h2->out) >= h2->upto)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (!buf_reserve(h2->out, FRAME_HEAD + len))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	(void)buf_append(h2->out, frame_head, FRAME_HEAD);
	(void)buf_append_slice(h2->out, slice_first(buf_slice(&stream->body), len));
	buf_consume(&stream->body, len);
	stream->sent += len;
	h2->sent += len;
	if (stream->full && stream->to && buf_len(&stream->body) <= h2->limits.window / 2) {
		stream->full = false;
		h2_stream_has_news(stream);
	}
	return 0;
}

void h2_output_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
}

static void stream_submit_head(struct h2_stream *stream)
{
	nghttp2_data_provider body = {.source.ptr = stream, .read_callback = read_body};
	bool whole = stream->fin && !buf_len(&stream->body) && !stream->out_trailers.count;
	const nghttp2_data_provider *provider = whole ? NULL : &body;
	struct h2 *h2 = stream->h2;
	int32_t result;

	if (h2->incoming == HEAD_REQUEST)
		result = nghttp2_submit_response(h2->session, stream->id, stream->fields.list,
			stream->fields.count, provider);
	else
		result = nghttp2_submit_request(h2->session, NULL, stream->fields.list,
			stream->fields.count, provider, stream);
	if (result < 0) {
		h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	if (h2->incoming == HEAD_RESPONSE)
		stream->id = result;
	stream->out = H2_OUT_SUBMITTED;
}

void h2_stream_submit(struct h2_stream *stream)
{
	if (stream->closed || stream->corked)
		return;
	if (stream->out == H2_OUT_COMPOSED) {
		stream_submit_head(stream);
	} else if (stream->out == H2_OUT_SUBMITTED && stream->deferred) {
		stream->deferred = false;
		nghttp2_session_resume_data(stream->h2->session, stream->id);
	}
}

void h2_stream_cork(struct h2_stream *stream, bool cork)
{
	stream->corked = cork;
	if (!cork)
		h2_stream_submit(stream);
}

void h2_stream_continue(struct h2_stream *stream)
{
	uint8_t name[] = ":status", value[] = "100";
	const nghttp2_nv status = {name, value, sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE};

	if (!stream->closed && stream->out == H2_OUT_NONE)
		nghttp2_submit_headers(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL,
			&status, 1, NULL);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t error)
{
	struct h2 *h2 = stream->h2;

	if (stream->closed || stream->reset)
		return;
	stream->reset = true;
	buf_clear(&stream->body);
	if (stream->id && !nghttp2_submit_rst_stream(
				  h2->session, NGHTTP2_FLAG_NONE, stream->id, error))
		return;
	/* nghttp2 has never heard of it. */
	stream->closed = true;
	h2_stream_has_news(stream);
}
