// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/sse_data.h"

#include <string.h>

static const char name[] = "data:";

/* Bytes that are searched for the one end of a line before the other: where all lines end alike, to
 * search all of the part for the other one at each line would be quadratic. */
#define WINDOW 256

static size_t line_len(struct slice part)
{
	for (size_t at = 0; at < part.len; at += WINDOW) {
		struct slice window = slice_first(slice_after(part, at), WINDOW);
		size_t len = slice_index(slice_first(window, slice_index(window, '\n')), '\r');

		if (len < window.len)
			return at + len;
	}
	return part.len;
}

static void take_name(struct sse_data *s, char c)
{
	if (c == '\r' || c == '\n')
		s->matched = 0; /* the next line */
	else if (c != name[s->matched])
		s->at = SSE_DATA_OTHER;
	else if (++s->matched == sizeof(name) - 1)
		s->at = SSE_DATA_BLANK;
}

bool sse_data_next(struct sse_data *s, struct slice *part, struct slice *data)
{
	while (part->len) {
		struct slice value;
		size_t len;

		if (s->at == SSE_DATA_NAME) {
			take_name(s, *part->data);
			*part = slice_after(*part, 1);
			continue;
		}
		if (s->at == SSE_DATA_BLANK) {
			s->at = SSE_DATA_VALUE;
			if (*part->data == ' ')
				*part = slice_after(*part, 1);
			continue;
		}
		len = line_len(*part);
		value = s->at == SSE_DATA_VALUE ? slice_first(*part, len) : SLICE_NONE;
		*part = slice_after(*part, len);
		if (part->len) /* at the line's end, which take_name takes */
			*s = (struct sse_data){SSE_DATA_NAME, 0};
		if (value.len) {
			*data = value;
			return true;
		}
	}
	return false;
}
