// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/sse_trace.h"

#include "tests/support/cut.h"
#include "tests/support/trace.h"

struct trace {
	size_t event_max;
	struct buf *text;
	struct buf spans;  /* all that was returned */
	struct buf passed; /* the parts of an event that is too long */
};

static void add_bytes(struct buf *b, struct slice before, struct slice bytes)
{
	trace_add(b, before);
	trace_add(b, SLICE("["));
	trace_add_escaped(b, bytes);
	trace_add(b, SLICE("]"));
}

/* The event that passed unread is over, when there was one. */
static void passed_done(struct trace *trace)
{
	if (!buf_len(&trace->passed))
		return;
	add_bytes(trace->text, SLICE("long "), buf_slice(&trace->passed));
	trace_add(trace->text, SLICE("\n"));
	buf_clear(&trace->passed);
}

static void add_event(struct trace *trace, enum sse_result result, const struct sse_event *event)
{
	if (result == SSE_MORE)
		return;
	trace_add(&trace->spans, event->raw);
	if (result != SSE_EVENT) {
		trace_add(&trace->passed, event->raw);
		return;
	}
	trace_demand(event->raw.len > 0 && event->raw.len <= trace->event_max);
	trace_demand(event->data.len <= event->raw.len && event->name.len <= event->raw.len);
	passed_done(trace);
	add_bytes(trace->text, SLICE(""), event->raw);
	trace_add(trace->text, SLICE(" "));
	trace_add_escaped(trace->text, event->name);
	trace_add(trace->text, event->data.data ? SLICE("=") : SLICE("-"));
	trace_add_escaped(trace->text, event->data);
	trace_add(trace->text, SLICE("\n"));
}

void sse_trace(size_t event_max, struct slice stream, uint64_t seed, struct buf *text)
{
	struct trace trace = {.event_max = event_max, .text = text};
	struct sse_reader *reader = sse_reader_new(event_max);
	struct sse_event event;
	enum sse_result result;
	struct slice piece;
	struct cut cut;

	trace_demand(reader != NULL);
	cut_start(&cut, stream, seed);
	while (cut_next(&cut, &piece)) {
		do {
			size_t consumed;

			result = sse_read(reader, piece, NULL, &consumed, &event);
			trace_demand(consumed <= piece.len);
			trace_demand(result != SSE_MORE || consumed == piece.len);
			trace_demand(result != SSE_NO_MEMORY);
			add_event(&trace, result, &event);
			piece = slice_after(piece, consumed);
		} while (result != SSE_MORE);
		trace_demand(sse_rest(reader).len <= event_max);
	}
	add_event(&trace, sse_finish(reader, &event), &event);
	passed_done(&trace);
	trace_add(&trace.spans, sse_rest(reader));
	if (sse_rest(reader).len) {
		add_bytes(text, SLICE("rest "), sse_rest(reader));
		trace_add(text, SLICE("\n"));
	}
	trace_demand(slice_equal(buf_slice(&trace.spans), stream));
	trace_demand(buf_reserve(text, 1) != NULL);
	*buf_reserve(text, 1) = '\0';
	sse_reader_free(reader);
	buf_free(&trace.spans);
	buf_free(&trace.passed);
}
