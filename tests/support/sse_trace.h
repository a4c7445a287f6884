/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sse reads, as text: an event is a line "[raw] name=data" ("[raw] -" without data), the parts
 * of one that is too long are joined in "long [raw]", and "rest [bytes]" is held at the end. Bytes
 * that do not print are \xNN. */
#ifndef SUPPORT_SSE_TRACE_H
#define SUPPORT_SSE_TRACE_H

#include <stdint.h>

#include "base/buf.h"
#include "http/sse.h"

/* Appends the trace and a NUL. Aborts when the spans put together are not the stream, or an event
 * is longer than event_max. seed: see cut.h. */
void sse_trace(size_t event_max, struct slice stream, uint64_t seed, struct buf *text);

#endif
