/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What h1 reads, as text: to be compared with what is expected, and between cuts.
 *
 *	POST /path HTTP/1.1 length 5 keep-alive expect-continue
 *	Host: example.com
 *	body 5 hello
 *	end
 *	error 400 bare_lf
 *
 * A status line begins with the version. Body bytes are joined, and "\n" and the like in them are
 * escaped; "trailers" comes before their fields. The last line is an error, or "more" inside a
 * message, or "idle" between two. */
#ifndef SUPPORT_H1_TRACE_H
#define SUPPORT_H1_TRACE_H

#include <stdint.h>

#include "base/buf.h"
#include "http/h1.h"

struct h1_trace_options {
	enum head_kind kind;
	struct h1_limits limits;
	const char *methods; /* responses: of the requests that they answer, "GET HEAD …" */
	uint64_t seed;	     /* see cut.h */
	bool finish;	     /* the connection ends after the input */
};

/* Appends the trace to text and a NUL after its end (not counted). The contract of h1_read is
 * checked besides: a breach aborts. body, when not NULL, gets the bodies' bytes. */
void h1_trace(const struct h1_trace_options *options, struct slice input, struct buf *text,
	struct buf *body);

#endif
