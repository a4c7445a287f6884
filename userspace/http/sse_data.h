/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The data of an event that is too long to be kept, out of its bytes as they pass: what stands in its
 * "data" lines (WHATWG HTML, "Server-sent events"), without the LF that joins several. */
#ifndef HTTP_SSE_DATA_H
#define HTTP_SSE_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct sse_data {
	enum { SSE_DATA_NAME, SSE_DATA_BLANK, SSE_DATA_VALUE, SSE_DATA_OTHER } at;
	size_t matched; /* bytes of the name */
};

/* At the beginning of an event: {0}. Takes bytes from the front of *part until there is some data;
 * false: all of the part is taken. */
bool sse_data_next(struct sse_data *state, struct slice *part, struct slice *data);

#endif
