/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What h2 reads of a client, as text: to be compared with what is expected, and between cuts. A line
 * for each thing that a stream's taker was told, streams one after the other, and what the connection
 * came to; the bodies of those that are whole:
 *
 *	1 POST /path length 5 host=example.com accept=x
 *	1 body 5 hello
 *	1 trailers digest=x
 *	1 end
 *	3 refused 400 pseudo_field
 *	3 lost
 *	over flooded
 */
#ifndef SUPPORT_H2_TRACE_H
#define SUPPORT_H2_TRACE_H

#include <stdint.h>

#include "http/h2.h"

struct h2_trace_options {
	struct h2_limits limits;
	uint64_t seed;	 /* see cut.h */
	bool answers;	 /* whole requests, in full */
	size_t room;	 /* of takers; 0: without end. Each piece is told once it is asked again */
};

/* Appends the trace to text and a NUL after its end (not counted); sent, when not NULL, gets what the
 * server sends. The input begins behind the client's first words. */
void h2_trace(const struct h2_trace_options *options, struct slice input, struct buf *text,
	struct buf *sent);

/* For those who write frames. */
void h2_frame(struct buf *out, uint8_t type, uint8_t flags, uint32_t id, struct slice payload);
/* A field as a literal that is not remembered (RFC 7541 section 6.2.2); both are shorter than 127. */
void h2_literal(struct buf *block, struct slice name, struct slice value);

#endif
