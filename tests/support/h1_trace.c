// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/h1_trace.h"

#include "tests/support/cut.h"
#include "tests/support/trace.h"

struct trace {
	const struct h1_trace_options *options;
	struct h1_reader *reader;
	struct slice methods;
	struct buf *text, *all_bodies;
	struct buf body; /* of this message, not yet in text */
	bool done;
};

static void add_headers(
	struct buf *b, const struct header *headers, size_t count, struct slice end)
{
	for (size_t i = 0; i < count; i++) {
		trace_add_escaped(b, headers[i].name);
		trace_add(b, SLICE(": "));
		trace_add_escaped(b, headers[i].value);
		trace_add(b, end);
	}
}

static void add_head(struct buf *b, const struct h1_head *wire)
{
	const struct head *head = &wire->head;

	if (head->kind == HEAD_REQUEST) {
		trace_add_escaped(b, head->method);
		trace_add(b, SLICE(" "));
		trace_add_escaped(b, head->target);
		buf_printf(b, " HTTP/1.%u", wire->minor);
		if (!slice_equal(head->path, head->target)) {
			trace_add(b, SLICE(" path "));
			trace_add_escaped(b, head->path);
		}
	} else {
		buf_printf(b, "HTTP/1.%u %d ", wire->minor, head->status);
		trace_add_escaped(b, head->reason);
	}
	if (head->framing == HEAD_LENGTH)
		buf_printf(b, " length %llu", (unsigned long long)head->length);
	trace_add(b, head->framing == HEAD_STREAMED ? SLICE(" chunked") : SLICE(""));
	trace_add(b, head->framing == HEAD_UNTIL_CLOSE ? SLICE(" until-close") : SLICE(""));
	trace_add(b, wire->keep_alive ? SLICE(" keep-alive") : SLICE(""));
	trace_add(b, head->expect_continue ? SLICE(" expect-continue") : SLICE(""));
	trace_add(b, head->upgrade ? SLICE(" upgrade") : SLICE(""));
	trace_add(b, SLICE("\n"));
	add_headers(b, head->headers, head->nheaders, SLICE("\n"));
	add_headers(b, wire->hop, wire->nhop, SLICE(" [hop]\n"));
}

static void body_done(struct trace *trace)
{
	if (buf_len(&trace->body)) {
		buf_printf(trace->text, "body %zu ", buf_len(&trace->body));
		trace_add_escaped(trace->text, buf_slice(&trace->body));
		trace_add(trace->text, SLICE("\n"));
	}
	buf_clear(&trace->body);
}

static void expect_next(struct trace *trace)
{
	size_t space = slice_index(trace->methods, ' ');

	if (!trace->methods.len)
		return;
	h1_reader_expect(trace->reader, slice_first(trace->methods, space));
	trace->methods = slice_after(trace->methods, space + 1);
}

static void message_over(struct trace *trace)
{
	body_done(trace);
	trace_demand(!h1_reader_in_message(trace->reader));
	trace_add(trace->text, SLICE("end\n"));
	expect_next(trace);
}

static void add_event(struct trace *trace, enum h1_result result, const struct h1_event *event)
{
	trace_demand(!event->fin || (result != H1_MORE && result != H1_ERROR));
	if (result == H1_BODY) {
		trace_demand(event->span.len > 0 && event->head);
		trace_add(&trace->body, event->span);
		if (trace->all_bodies)
			trace_add(trace->all_bodies, event->span);
		if (event->fin)
			message_over(trace);
		return;
	}
	if (result == H1_MORE)
		return;
	body_done(trace);
	if (result == H1_HEAD) {
		add_head(trace->text, event->wire);
	} else if (result == H1_TRAILERS) {
		trace_add(trace->text, SLICE("trailers\n"));
		add_headers(trace->text, event->trailers, event->ntrailers, SLICE("\n"));
	} else if (result == H1_ERROR) {
		buf_printf(trace->text, "error %d %s\n", event->error.status, event->error.name);
		trace->done = true;
	}
	trace_demand(event->fin || (result != H1_TRAILERS && result != H1_END));
	if (event->fin)
		message_over(trace);
}

static void read_piece(struct trace *trace, struct slice piece)
{
	struct h1_event event;
	enum h1_result result;
	size_t consumed;

	do {
		result = h1_read(trace->reader, piece, &consumed, &event);
		trace_demand(consumed <= piece.len);
		trace_demand(result != H1_MORE || consumed == piece.len);
		trace_demand(result == H1_MORE || result == H1_ERROR || piece.len > 0);
		trace_demand(result != H1_BODY ||
			     (event.span.data >= piece.data &&
				     event.span.data + event.span.len == piece.data + consumed));
		add_event(trace, result, &event);
		piece = slice_after(piece, consumed);
	} while (result != H1_MORE && result != H1_ERROR);
	if (result == H1_ERROR) {
		enum h1_error_id id = event.error.id;

		trace_demand(h1_read(trace->reader, piece, &consumed, &event) == H1_ERROR);
		trace_demand(event.error.id == id && consumed == 0);
	}
}

void h1_trace(const struct h1_trace_options *options, struct slice input, struct buf *text,
	struct buf *body)
{
	struct trace trace = {
		.options = options,
		.reader = h1_reader_new(options->kind, &options->limits),
		.methods = slice_of_string(options->methods),
		.text = text,
		.all_bodies = body,
	};
	struct h1_event event;
	struct slice piece;
	struct cut cut;

	trace_demand(trace.reader != NULL);
	if (options->kind == HEAD_RESPONSE)
		expect_next(&trace);
	cut_start(&cut, input, options->seed);
	while (cut_next(&cut, &piece))
		if (!trace.done)
			read_piece(&trace, piece);
	if (!trace.done && options->finish)
		add_event(&trace, h1_finish(trace.reader, &event), &event);
	body_done(&trace);
	if (!trace.done)
		trace_add(text,
			h1_reader_in_message(trace.reader) ? SLICE("more\n") : SLICE("idle\n"));
	trace_demand(buf_reserve(text, 1) != NULL);
	*buf_reserve(text, 1) = '\0';
	h1_reader_free(trace.reader);
	buf_free(&trace.body);
}
