// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/visible.h"

#include "base/utf8.h"

/* In ascending order (The Unicode Standard: general categories Cc, Cf, Zl and Zp, the property
 * Default_Ignorable_Code_Point, and noncharacters of the first plane). */
static const struct {
	uint32_t first, last;
} visible_hostile_ranges[] = {{0x00, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x34f, 0x34f},
	{0x600, 0x605}, {0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x890, 0x891},
	{0x8e2, 0x8e2}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x200b, 0x200f},
	{0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},
	{0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x110bd, 0x110bd},
	{0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
	{0xe0000, 0xe0fff}};

bool visible_hostile(uint32_t code_point)
{
	size_t low = 0, high = sizeof(visible_hostile_ranges) / sizeof(visible_hostile_ranges[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (code_point > visible_hostile_ranges[middle].last)
			low = middle + 1;
		else if (code_point < visible_hostile_ranges[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

#define VISIBLE_BROKEN UINT32_MAX

/* The character at the front of *text, which moves on behind it; VISIBLE_BROKEN for bytes that are
 * none. *bytes are those it takes. */
static uint32_t visible_next(struct slice *text, struct slice *bytes)
{
	unsigned char first = (unsigned char)text->data[0];
	size_t len = 1, bad = 1;
	uint32_t c = first;

	if (first >= 0x80) {
		len = utf8_sequence(*text, 0, &bad);
		c = len ? first & (0x7fu >> len) : VISIBLE_BROKEN;
		for (size_t i = 1; i < len; i++)
			c = c << 6 | ((unsigned char)text->data[i] & 0x3f);
	}
	*bytes = slice_first(*text, len ? len : bad);
	*text = slice_after(*text, bytes->len);
	return c;
}

int visible_draw(struct slice text, size_t max, struct buf *out, size_t *drawn)
{
	size_t count = 0, before;
	int error = 0;

	for (; text.len && max && !error; max--, count++) {
		struct slice bytes;
		uint32_t c = visible_next(&text, &bytes);

		before = buf_len(out);
		if (c == VISIBLE_BROKEN)
			error = buf_append_slice(out, UTF8_REPLACEMENT);
		else if (c == '\n')
			error = buf_append_slice(out, SLICE("↵"));
		else if (c == '\t')
			error = buf_append(out, " ", 1);
		else if (!visible_hostile(c))
			error = buf_append_slice(out, bytes);
		else if (!(error = buf_printf(out, "<U+%04X>", c)))
			count += buf_len(out) - before - 1;
	}
	if (drawn)
		*drawn = count;
	return error;
}

int visible_json(struct slice json, struct buf *out)
{
	int error = 0;

	while (json.len && !error) {
		struct slice bytes;
		uint32_t c = visible_next(&json, &bytes);

		if (c == VISIBLE_BROKEN)
			error = buf_append_slice(out, SLICE("\\ufffd"));
		else if (c < 0x20 || !visible_hostile(c))
			error = buf_append_slice(out, bytes);
		else if (c < 0x10000)
			error = buf_printf(out, "\\u%04x", c);
		else
			error = buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				0xdc00 + ((c - 0x10000) & 0x3ff));
	}
	return error;
}
