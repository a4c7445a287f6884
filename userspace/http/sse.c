// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/sse.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"

#define SSE_MAGIC 0x53534531
#define SSE_KEEP  65536 /* bytes of memory that a reader keeps between events */

/* Where in an event the reading is. */
struct scan {
	bool in_line;	 /* the current line has bytes */
	bool after_cr;	 /* a CR ended a line; an LF may belong to it */
	bool after_crlf; /* the last line of this event ended in CRLF */
	bool ends_in_cr; /* the event is complete, but an LF may belong to it */
};

struct sse_reader {
	uint32_t magic;
	size_t event_max;
	struct scan scan;
	struct buf held;      /* what came of the incomplete event … */
	bool held_returned;   /* … or what the last call returned */
	struct buf joined;    /* the data of the last event, when it had several lines */
	enum sse_result pass; /* why the incomplete event passes unread, else SSE_MORE */
	bool pass_begun;      /* a part of it has been returned */
	bool begun;	      /* the stream's first event was read */
};

struct sse_reader *sse_reader_new(size_t event_max)
{
	struct sse_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->magic = SSE_MAGIC;
	reader->event_max = event_max;
	return reader;
}

void sse_reader_free(struct sse_reader *reader)
{
	if (!reader)
		return;
	assert(reader->magic == SSE_MAGIC);
	buf_free(&reader->held);
	buf_free(&reader->joined);
	reader->magic = 0;
	free(reader);
}

#define LANES 16

typedef unsigned char lanes __attribute__((vector_size(LANES)));
typedef uint64_t lane_words __attribute__((vector_size(LANES)));

/* Where the first CR or LF at or after byte i is, or the input's length. One search for both: two
 * would pass over the same bytes at every line of a stream that has only one of them. */
static size_t line_end(struct slice input, size_t i, struct work *work)
{
	size_t from = i;

	for (; input.len - i >= LANES; i += LANES) {
		lane_words found;
		lanes here;

		memcpy(&here, input.data + i, LANES);
		found = (lane_words)((here == '\n') | (here == '\r'));
		if (found[0] | found[1])
			break;
	}
	while (i < input.len && input.data[i] != '\n' && input.data[i] != '\r')
		i++;
	work_spend(work, i + 1 - from);
	return i;
}

/* Goes to the end of the line that byte i is in. */
static size_t scan_line(struct scan *scan, struct slice input, size_t i, struct work *work)
{
	size_t end = line_end(input, i, work);

	scan->after_crlf = false;
	scan->in_line = end == input.len;
	scan->after_cr = end < input.len && input.data[end] == '\r';
	return end < input.len ? end + 1 : end;
}

/* Finds the end of the event: true, and how many bytes of input belong to it, or false. What is
 * decided depends on the bytes alone, not on where the inputs were cut. */
static bool scan_event(
	struct scan *scan, struct slice input, size_t *length, struct work *work)
{
	size_t i = 0;

	while (i < input.len) {
		char c = input.data[i];

		if (scan->ends_in_cr) {
			scan->ends_in_cr = false;
			scan->after_crlf = false;
			*length = c == '\n' ? i + 1 : i;
			return true;
		}
		if (scan->after_cr) {
			scan->after_cr = false;
			if (c == '\n') {
				scan->after_crlf = true;
				i++;
				continue;
			}
		}
		if (!scan->in_line && c == '\r' && scan->after_crlf) {
			scan->ends_in_cr = true;
			i++;
			continue;
		}
		if (!scan->in_line && (c == '\n' || c == '\r')) {
			scan->after_cr = c == '\r';
			scan->after_crlf = false;
			*length = i + 1;
			return true;
		}
		i = scan_line(scan, input, i, work);
	}
	return false;
}

/* False without memory. */
static bool data_add(struct sse_reader *reader, struct sse_event *event, struct slice value)
{
	struct buf *joined = &reader->joined;

	if (!event->data.data) {
		event->data = value;
		return true;
	}
	/* All data lines with an LF after each are no longer than the event. */
	if (!buf_len(joined) &&
		(!buf_reserve(joined, event->raw.len) || buf_append_slice(joined, event->data) < 0))
		return false;
	if (buf_append(joined, "\n", 1) < 0 || buf_append_slice(joined, value) < 0)
		return false;
	event->data = buf_slice(joined);
	return true;
}

static bool read_line(struct sse_reader *reader, struct sse_event *event, struct slice line)
{
	size_t colon = slice_index(line, ':');
	struct slice name = slice_first(line, colon), value = slice_after(line, colon + 1);

	if (value.len && value.data[0] == ' ')
		value = slice_after(value, 1);
	if (slice_equal(name, SLICE("data")))
		return data_add(reader, event, value);
	if (slice_equal(name, SLICE("event")))
		event->name = value;
	return true;
}

/* Reads the fields of the event whose bytes are raw. */
static enum sse_result read_event(
	struct sse_reader *reader, struct slice raw, struct sse_event *event, struct work *work)
{
	struct slice rest = raw;

	*event = (struct sse_event){.raw = raw};
	buf_clear(&reader->joined);
	if (!reader->begun && slice_starts_with(rest, SLICE("\xef\xbb\xbf")))
		rest = slice_after(rest, 3);
	reader->begun = true;
	while (rest.len) {
		size_t end = line_end(rest, 0, work);

		if (end && !read_line(reader, event, slice_first(rest, end))) {
			*event = (struct sse_event){.raw = raw};
			return SSE_NO_MEMORY;
		}
		rest = slice_after(rest, end + 1);
	}
	return SSE_EVENT;
}

static void held_forget(struct sse_reader *reader)
{
	if (!reader->held_returned)
		return;
	if (reader->held.capacity > SSE_KEEP)
		buf_free(&reader->held);
	if (reader->joined.capacity > SSE_KEEP)
		buf_free(&reader->joined);
	buf_clear(&reader->held);
	reader->held_returned = false;
}

/* Passes a part of an event that is not read. */
static enum sse_result pass_part(
	struct sse_reader *reader, struct slice part, bool last, struct sse_event *event)
{
	enum sse_result why = reader->pass;

	reader->begun = true;
	if (last)
		reader->pass = SSE_MORE;
	*event = (struct sse_event){.raw = part, .first = !reader->pass_begun, .last = last};
	reader->pass_begun = !last;
	return why;
}

/* From here on the incomplete event passes; first what is held of it, without any of the input. */
static enum sse_result pass_start(struct sse_reader *reader, const struct scan *before,
	enum sse_result why, struct sse_event *event)
{
	reader->scan = *before;
	reader->pass = why;
	reader->held_returned = true;
	return pass_part(reader, buf_slice(&reader->held), false, event);
}

enum sse_result sse_read(struct sse_reader *reader, struct slice input, struct work *work,
	size_t *consumed, struct sse_event *event)
{
	struct scan before;
	size_t length, held;
	bool last;

	assert(reader->magic == SSE_MAGIC);
	held_forget(reader);
	*consumed = 0;
	*event = (struct sse_event){0};
	for (;;) {
		before = reader->scan;
		length = input.len;
		last = scan_event(&reader->scan, input, &length, work);
		held = buf_len(&reader->held);
		if (length || held || !last)
			break;
		/* Where a passed event ended was not known before this input. */
		reader->pass = SSE_MORE;
		reader->pass_begun = false;
	}
	if (!length && !last)
		return SSE_MORE;
	if (!reader->pass && length > reader->event_max - held) {
		if (held)
			return pass_start(reader, &before, SSE_TOO_LONG, event);
		reader->pass = SSE_TOO_LONG;
	}
	if (!reader->pass && (held || !last) && buf_append(&reader->held, input.data, length) < 0) {
		if (held)
			return pass_start(reader, &before, SSE_NO_MEMORY, event);
		reader->pass = SSE_NO_MEMORY;
	}
	*consumed = length;
	if (reader->pass)
		return pass_part(reader, slice_first(input, length), last, event);
	if (!last)
		return SSE_MORE;
	if (!held)
		return read_event(reader, slice_first(input, length), event, work);
	reader->held_returned = true;
	return read_event(reader, buf_slice(&reader->held), event, work);
}

enum sse_result sse_finish(struct sse_reader *reader, struct sse_event *event)
{
	held_forget(reader);
	*event = (struct sse_event){0};
	if (!reader->scan.ends_in_cr)
		return SSE_MORE;
	reader->scan.ends_in_cr = false;
	if (reader->pass)
		return SSE_MORE;
	reader->held_returned = true;
	return read_event(reader, buf_slice(&reader->held), event, NULL);
}

struct slice sse_rest(const struct sse_reader *reader)
{
	return reader->held_returned ? SLICE_NONE : buf_slice(&reader->held);
}
