// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_text.h"

#include <errno.h>
#include <stdio.h>

#include "base/utf8.h"

#define EVERY(byte) (0x0101010101010101ULL * (byte))

size_t json_text_plain(const char *p, size_t n)
{
	size_t at = 0;

	/* Eight bytes at a time: the top bit of a lane is set where the byte is below 0x20, a
	 * quote, a backslash, or outside ASCII. A borrow may mark lanes above such a byte too,
	 * never where there is none. */
	for (; n - at >= 8; at += 8) {
		uint64_t w, quote, backslash, stops;

		memcpy(&w, p + at, 8);
		quote = w ^ EVERY('"');
		backslash = w ^ EVERY('\\');
		stops = (w | (w - EVERY(0x20)) | (quote - EVERY(1)) | (backslash - EVERY(1))) &
			EVERY(0x80);
		if (!stops)
			continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		return at + (size_t)__builtin_ctzll(stops) / 8;
#else
		break;
#endif
	}
	while (at < n && (unsigned char)p[at] >= 0x20 && (unsigned char)p[at] < 0x80 &&
		p[at] != '"' && p[at] != '\\')
		at++;
	return at;
}

size_t json_text_character(struct slice text)
{
	size_t bad;

	if (!text.len)
		return 0;
	return (unsigned char)text.data[0] < 0x80 ? 1 : utf8_sequence(text, 0, &bad);
}

/* Whether an escape of a surrogate is there; which: "89ab" for the first of a pair, "cdef" for the
 * second. */
static bool is_surrogate(struct slice text, const char *which)
{
	return text.len >= 6 && text.data[0] == '\\' && text.data[1] == 'u' &&
	       (text.data[2] | 0x20) == 'd' && text.data[3] && strchr(which, text.data[3] | 0x20);
}

size_t json_text_unit(struct slice text)
{
	if (text.data[0] != '\\')
		return json_text_character(text);
	if (text.len < 2)
		return 0;
	if (text.data[1] != 'u')
		return 2;
	if (text.len < 6)
		return 0;
	if (!is_surrogate(text, "89ab"))
		return 6;
	if (text.len < 12)
		return 0;
	return is_surrogate(slice_after(text, 6), "cdef") ? 12 : 6;
}

struct slice json_text_cut(struct slice text, size_t max)
{
	size_t len = max < text.len ? max : text.len, start = len;

	/* Only the last character can be incomplete: its first byte is at most 4 bytes back. */
	while (start && len - start < 4) {
		start--;
		if (((unsigned char)text.data[start] & 0xc0) != 0x80)
			break;
	}
	if (start < len && !json_text_character(slice_of(text.data + start, len - start)))
		len = start;
	return slice_of(text.data, len);
}

struct slice json_text_copy(char *into, size_t size, struct slice from)
{
	struct slice cut = json_text_cut(from, size);

	if (cut.len)
		memcpy(into, cut.data, cut.len);
	return slice_of(into, cut.len);
}

size_t json_text_encode(uint32_t c, char bytes[4])
{
	if (c < 0x80) {
		bytes[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		bytes[0] = (char)(0xc0 | c >> 6);
		bytes[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		bytes[0] = (char)(0xe0 | c >> 12);
		bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | c >> 18);
	bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The escape of a byte that may not stand in a string as it is; returns its length. */
static size_t escape_of(unsigned char byte, char escape[8])
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *found = byte ? strchr(from, byte) : NULL;

	if (found) {
		escape[0] = '\\';
		escape[1] = to[found - from];
		return 2;
	}
	return (size_t)snprintf(escape, 8, "\\u%04x", byte);
}

/* The character at the start of text, resp. what stands for the bytes there that are none; *used is
 * how many bytes it is in text. */
static struct slice character_or_replacement(struct slice text, size_t *used)
{
	size_t bad, len = utf8_sequence(text, 0, &bad);

	*used = len ? len : bad;
	return len ? slice_first(text, len) : UTF8_REPLACEMENT;
}

bool json_text_escape(struct buf *into, struct slice text, size_t *room)
{
	while (text.len) {
		size_t len = json_text_plain(text.data, text.len), used = len;
		struct slice unit = slice_first(text, len < *room ? len : *room);
		char escape[8];

		if (!len && (unsigned char)text.data[0] < 0x80) {
			unit = slice_of(escape, escape_of((unsigned char)text.data[0], escape));
			used = 1;
		} else if (!len) {
			unit = character_or_replacement(text, &used);
		}
		if (unit.len > *room || buf_append_slice(into, unit) < 0)
			return false;
		*room -= unit.len;
		if (unit.len < len)
			return false;
		text = slice_after(text, used);
	}
	return true;
}

/* The code unit of a \uXXXX escape at the start of text, or -1. */
static int32_t escaped_unit(struct slice text)
{
	int32_t unit = 0;
	size_t i;

	if (text.len < 6 || text.data[0] != '\\' || text.data[1] != 'u')
		return -1;
	for (i = 2; i < 6; i++) {
		char c = text.data[i];

		if (c >= '0' && c <= '9')
			unit = unit << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			unit = unit << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return unit;
}

static bool is_high(int32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(int32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

/* The escape at the start of json, a pair of surrogates as one; see character_or_replacement. */
static struct slice escape_or_replacement(struct slice json, size_t *used)
{
	int32_t unit = escaped_unit(json);

	if (is_high(unit) && is_low(escaped_unit(slice_after(json, 6))))
		return slice_first(json, *used = 12);
	if (is_high(unit) || is_low(unit)) {
		*used = 6;
		return SLICE("\\ufffd");
	}
	/* What follows the backslash belongs to it only where it can be an escape. */
	*used = json.len > 1 && (unsigned char)json.data[1] < 0x80 ? 2 : 1;
	return slice_first(json, *used);
}

int json_text_repair(struct buf *into, struct slice json)
{
	while (json.len) {
		size_t len = json_text_plain(json.data, json.len), used;
		struct slice unit;

		if (len)
			unit = slice_first(json, used = len);
		else if (json.data[0] == '\\')
			unit = escape_or_replacement(json, &used);
		else if ((unsigned char)json.data[0] < 0x80)
			unit = slice_first(json, used = 1);
		else
			unit = character_or_replacement(json, &used);
		if (buf_append_slice(into, unit) < 0)
			return -ENOMEM;
		json = slice_after(json, used);
	}
	return 0;
}
