// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

static void escape(struct buf *out, struct slice text, unsigned char past)
{
	size_t done = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c >= ' ' && c != '"' && c != '\\' && c <= past)
			continue;
		buf_append(out, text.data + done, i - done);
		buf_printf(out, "\\u%04x", c);
		done = i + 1;
	}
	if (text.len)
		buf_append(out, text.data + done, text.len - done);
}

void json_escape(struct buf *out, struct slice text)
{
	escape(out, text, 0xff);
}

void json_bytes(struct buf *out, struct slice bytes)
{
	buf_append(out, "\"", 1);
	escape(out, bytes, 0x7e);
	buf_append(out, "\"", 1);
}
