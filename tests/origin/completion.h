/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the service answers: JSON bodies and server-sent events.
 *
 * The completion's text is "Answer to: PROMPT." and then " t1", " t2" …, one piece per token,
 * whether streamed or not; knob "bytes" appends that many "x" to the last piece. */
#ifndef ORIGIN_COMPLETION_H
#define ORIGIN_COMPLETION_H

#include <stdbool.h>

#include "base/buf.h"
#include "call.h"

/* The pieces of a tool call's arguments, as JSON inside a JSON string. */
#define COMPLETION_ARGUMENTS 3
extern const char *const completion_arguments[COMPLETION_ARGUMENTS];

/* Appends the nth piece of the text, as the inside of a JSON string. */
void completion_piece(const struct call *call, unsigned long n, struct buf *out);
/* Appends the body of an answer that is not streamed, or of the call's refusal. */
void completion_whole(const struct call *call, struct buf *out);
/* Appends the next event of a streamed answer; false when there is none left. */
bool completion_next(struct call *call, struct buf *out);

#endif
