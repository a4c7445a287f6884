/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cuts an event stream (WHATWG HTML, "Server-sent events") into its events, and keeps the exact
 * bytes: all raw spans, one after another, and the rest are the stream. Lines end in LF, CRLF or
 * CR; a byte order mark at the start is skipped for reading. */
#ifndef HTTP_SSE_H
#define HTTP_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/work.h"

enum sse_result {
	SSE_MORE,     /* the input is consumed; the incomplete event is kept inside */
	SSE_EVENT,    /* one event, or comments, or an empty line alone: then it has no data */
	SSE_TOO_LONG, /* event.raw is a part of an event longer than the limit; it passes unread, in
		       * as many parts as it takes */
	SSE_NO_MEMORY, /* as SSE_TOO_LONG: event.raw is a part of an event that could not be kept */
};

/* Valid until the next call with this reader, and while the input is. */
struct sse_event {
	struct slice raw;  /* the exact bytes, the blank line included */
	struct slice data; /* the data lines joined by LF; data.data is NULL when there is none */
	struct slice name; /* the last "event" field; empty when there is none */
	/* Of SSE_TOO_LONG and SSE_NO_MEMORY: the part is the event's first; its last, as far as that
	 * is known already. */
	bool first, last;
};

struct sse_reader;

/* event_max: bytes of one event, its blank line included. NULL without memory. */
struct sse_reader *sse_reader_new(size_t event_max);
void sse_reader_free(struct sse_reader *reader);

/* Reads until one event; *consumed is how much of the input was used, and the bytes that were looked
 * at are spent of the work, which does not stop it. An event that lies whole in the input is not copied, unless it has more than one data line.
 * Where an event ends in a CR that may be half of a CRLF, the LF is waited for only when the line
 * before ended in CRLF: a stream of bare CRs is not delayed. */
enum sse_result sse_read(struct sse_reader *reader, struct slice input, struct work *work,
	size_t *consumed, struct sse_event *event);
/* The end of the stream: SSE_EVENT for an event that was complete but for that LF, or SSE_MORE. */
enum sse_result sse_finish(struct sse_reader *reader, struct sse_event *event);
/* The bytes held of an incomplete event: to be passed on when the stream ends. */
struct slice sse_rest(const struct sse_reader *reader);

#endif
