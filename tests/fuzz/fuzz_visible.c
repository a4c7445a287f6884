// SPDX-License-Identifier: GPL-2.0-or-later
/* Text of strangers: whatever it is, what is drawn and what is escaped is UTF-8 and holds nothing
 * hostile; and JSON stays the JSON that it was. */
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include "base/utf8.h"
#include "base/visible.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static uint32_t code_point(struct slice s, size_t at, size_t len)
{
	uint32_t c =
		len == 1 ? (unsigned char)s.data[at] : (unsigned char)s.data[at] & (0x7fu >> len);

	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)s.data[at + i] & 0x3f);
	return c;
}

/* least: the first code point that is looked at. */
static void check_visible(struct slice text, uint32_t least)
{
	for (size_t at = 0, len; at < text.len; at += len) {
		size_t bad;
		uint32_t c;

		len = (unsigned char)text.data[at] < 0x80 ? 1 : utf8_sequence(text, at, &bad);
		check(len > 0);
		c = code_point(text, at, len);
		check(c < least || !visible_hostile(c));
	}
}

/* A document says the same before and after. */
static void check_json(struct slice text, struct slice escaped)
{
	yyjson_doc *before = yyjson_read(text.data, text.len, 0), *after;

	if (before) {
		after = yyjson_read(escaped.data, escaped.len, 0);
		check(after &&
			yyjson_equals(yyjson_doc_get_root(before), yyjson_doc_get_root(after)));
		yyjson_doc_free(after);
	}
	yyjson_doc_free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct buf drawn = BUF_EMPTY, few = BUF_EMPTY, escaped = BUF_EMPTY;
	size_t characters;

	check(visible_draw(text, SIZE_MAX, &drawn, &characters) == 0);
	check(characters <= buf_len(&drawn));
	check_visible(buf_slice(&drawn), 0);
	check(visible_draw(text, size / 2, &few, NULL) == 0);
	check(slice_starts_with(buf_slice(&drawn), buf_slice(&few)));
	check(visible_json(text, &escaped) == 0);
	check_visible(buf_slice(&escaped), 0x20);
	check_json(text, buf_slice(&escaped));
	buf_free(&drawn);
	buf_free(&few);
	buf_free(&escaped);
	return 0;
}
