/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the service answers on the Responses API: one item, a message with the text of completion.h, or
 * with knob "tools" the call of a function; streamed or not. */
#ifndef ORIGIN_RESPONSES_H
#define ORIGIN_RESPONSES_H

#include <stdbool.h>

#include "base/buf.h"
#include "call.h"

/* Appends the body of an answer that is not streamed. */
void responses_whole(const struct call *call, struct buf *out);
/* Appends the next event of a streamed answer; false when there is none left. */
bool responses_next(struct call *call, struct buf *out);

#endif
