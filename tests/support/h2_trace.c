// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/h2_trace.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "tests/support/cut.h"

#define STREAMS 4096

struct taker {
	struct trace *trace;
	struct h2_stream *stream;
	struct buf text, body;
	int number;
	uint64_t promised; /* bytes; 0: none are */
	bool whole;
};

struct trace {
	const struct h2_trace_options *options;
	struct h2 *h2;
	struct taker *takers[STREAMS];
	int ntakers;
	bool telling;
};

static void taker_answer(struct taker *taker)
{
	struct header fields[] = {{SLICE("Content-Type"), SLICE("text/plain")}};
	const struct head head = {.kind = HEAD_RESPONSE, .status = 200, .headers = fields,
		.nheaders = 1, .framing = HEAD_STREAMED};

	taker->whole = true;
	if (!taker->trace->options->answers || !taker->stream)
		return;
	h2_stream_out.head(taker->stream, &head, false);
	h2_stream_out.body(taker->stream, SLICE("answer"), true);
	h2_stream_submit(taker->stream);
}

static void fields_print(struct buf *text, const struct header *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(text, " %.*s=%.*s", SLICE_ARG(fields[i].name), SLICE_ARG(fields[i].value));
}

static int take_head(void *to, const struct head *head, bool fin)
{
	static const char *const framings[] = {"none", "length", "streamed", "close"};
	struct taker *taker = to;

	buf_printf(&taker->text, "%d %.*s %.*s %s", taker->number, SLICE_ARG(head->method),
		SLICE_ARG(head->path), framings[head->framing]);
	if (head->framing == HEAD_LENGTH)
		buf_printf(&taker->text, " %llu", (unsigned long long)head->length);
	fields_print(&taker->text, head->headers, head->nheaders);
	buf_printf(&taker->text, "%s\n", head->expect_continue ? " expects" : "");
	taker->promised = head->length;
	if (fin)
		taker_answer(taker);
	return 0;
}

static int take_body(void *to, struct slice span, bool fin)
{
	struct taker *taker = to;

	if (taker->whole)
		abort();
	buf_append_slice(&taker->body, span);
	/* Who is promised a length acts on its last byte. */
	if (!fin && taker->promised && buf_len(&taker->body) >= taker->promised)
		abort();
	if (fin)
		taker_answer(taker);
	return 0;
}

static int take_trailers(void *to, const struct header *fields, size_t n)
{
	struct taker *taker = to;

	if (taker->whole)
		abort();
	buf_printf(&taker->text, "%d trailers", taker->number);
	fields_print(&taker->text, fields, n);
	buf_append_slice(&taker->text, SLICE("\n"));
	taker_answer(taker);
	return 0;
}

static size_t take_room(const void *to)
{
	const struct taker *taker = to;

	return taker->trace->options->room && !taker->trace->telling ? 0 : SIZE_MAX;
}

static void take_abort(void *to, const struct message_fault *fault)
{
	struct taker *taker = to;

	if (fault->kind == MESSAGE_MALFORMED)
		buf_printf(&taker->text, "%d refused %d %s\n", taker->number, fault->status,
			fault->name);
	else
		buf_printf(&taker->text, "%d lost\n", taker->number);
}

static const struct message_ops take = {take_head, take_body, take_trailers, take_room, take_abort};

static int opened(void *user, struct h2_stream *stream)
{
	struct trace *trace = user;
	struct taker *taker;

	if (trace->ntakers == STREAMS)
		return -ENOMEM;
	taker = calloc(1, sizeof(*taker));
	if (!taker)
		abort();
	taker->trace = trace;
	taker->stream = stream;
	taker->number = trace->ntakers * 2 + 1;
	trace->takers[trace->ntakers++] = taker;
	h2_stream_attach(stream, &take, taker);
	return 0;
}

static void flushed(void *to)
{
	(void)to;
}

static void closed(void *to)
{
	((struct taker *)to)->stream = NULL;
}

static const struct h2_user user = {opened, flushed, closed};

static int trace_feed(struct trace *trace, struct slice input, struct buf *out)
{
	int error = h2_feed(trace->h2, input, 1);

	h2_tell(trace->h2);
	trace->telling = true;
	for (int i = 0; i < trace->ntakers; i++)
		if (trace->takers[i]->stream)
			h2_stream_resume(trace->takers[i]->stream);
	trace->telling = false;
	do {
		buf_clear(out);
		if (h2_produce(trace->h2, out, 65536) < 0)
			error = -EPROTO;
		h2_tell(trace->h2);
	} while (buf_len(out) && !error && !trace->options->answers);
	return h2_is_over(trace->h2) ? -EPROTO : error;
}

static void trace_print(struct trace *trace, struct buf *text)
{
	for (int i = 0; i < trace->ntakers; i++) {
		struct taker *taker = trace->takers[i];

		buf_append_slice(text, buf_slice(&taker->text));
		if (taker->whole && buf_len(&taker->body))
			buf_printf(text, "%d body %zu %.*s\n", taker->number, buf_len(&taker->body),
				SLICE_ARG(buf_slice(&taker->body)));
		if (taker->whole)
			buf_printf(text, "%d end\n", taker->number);
		buf_free(&taker->text);
		buf_free(&taker->body);
		free(taker);
	}
	if (h2_is_over(trace->h2))
		buf_printf(text, "over%s\n", h2_is_flooded(trace->h2) ? " flooded" : "");
}

void h2_trace(const struct h2_trace_options *options, struct slice input, struct buf *text,
	struct buf *sent)
{
	struct trace trace = {.options = options};
	struct buf out = BUF_EMPTY;
	struct slice piece;
	struct cut cut;
	int error;

	trace.h2 = h2_new(HEAD_REQUEST, &options->limits, &user, &trace);
	if (!trace.h2)
		abort();
	error = trace_feed(&trace, SLICE(NGHTTP2_CLIENT_MAGIC), &out);
	cut_start(&cut, input, options->seed);
	while (cut_next(&cut, &piece)) {
		if (!error)
			error = trace_feed(&trace, piece, &out);
		if (sent)
			buf_append_slice(sent, buf_slice(&out));
	}
	trace_print(&trace, text);
	buf_append(text, "", 1);
	text->end--;
	h2_free(trace.h2);
	buf_free(&out);
}

void h2_frame(struct buf *out, uint8_t type, uint8_t flags, uint32_t id, struct slice payload)
{
	const uint8_t head[9] = {(uint8_t)(payload.len >> 16), (uint8_t)(payload.len >> 8),
		(uint8_t)payload.len, type, flags, (uint8_t)(id >> 24), (uint8_t)(id >> 16),
		(uint8_t)(id >> 8), (uint8_t)id};

	buf_append(out, head, sizeof(head));
	buf_append_slice(out, payload);
}

void h2_literal(struct buf *block, struct slice name, struct slice value)
{
	buf_append(block, (const char[]){0, (char)name.len}, 2);
	buf_append_slice(block, name);
	buf_append(block, (const char[]){(char)value.len}, 1);
	buf_append_slice(block, value);
}
