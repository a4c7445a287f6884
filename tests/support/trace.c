// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/trace.h"

#include <stdlib.h>

void trace_demand(bool holds)
{
	if (!holds)
		abort();
}

void trace_add(struct buf *b, struct slice s)
{
	trace_demand(buf_append_slice(b, s) == 0);
}

void trace_add_escaped(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			trace_add(b, slice_of(s.data + i, 1));
		else
			buf_printf(b, "\\x%02x", c);
	}
}
