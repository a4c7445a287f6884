// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/text.h"

#include <errno.h>
#include <stdio.h>

#define EVERY(byte) (0x0101010101010101ULL * (byte))

size_t text_plain(const char *p, size_t n)
{
	size_t at = 0;

	/* Eight bytes at a time: the top bit of a lane is set where the byte is below 0x20, a
	 * quote, a backslash, or outside ASCII. A borrow may mark lanes above such a byte too,
	 * never where there is none. */
	for (; n - at >= 8; at += 8) {
		uint64_t w, quote, backslash;

		memcpy(&w, p + at, 8);
		quote = w ^ EVERY('"');
		backslash = w ^ EVERY('\\');
		if ((w | (w - EVERY(0x20)) | (quote - EVERY(1)) | (backslash - EVERY(1))) &
			EVERY(0x80))
			break;
	}
	while (at < n && (unsigned char)p[at] >= 0x20 && (unsigned char)p[at] < 0x80 &&
		p[at] != '"' && p[at] != '\\')
		at++;
	return at;
}

size_t text_character(struct slice text)
{
	const unsigned char *p = (const unsigned char *)text.data;
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (!text.len)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (text.len < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

struct slice text_cut(struct slice text, size_t max)
{
	size_t len = max < text.len ? max : text.len, start = len;

	/* Only the last character can be incomplete: its first byte is at most 4 bytes back. */
	while (start && len - start < 4) {
		start--;
		if (((unsigned char)text.data[start] & 0xc0) != 0x80)
			break;
	}
	if (start < len && !text_character(slice_of(text.data + start, len - start)))
		len = start;
	return slice_of(text.data, len);
}

struct slice text_copy(char *into, size_t size, struct slice from)
{
	struct slice cut = text_cut(from, size);

	if (cut.len)
		memcpy(into, cut.data, cut.len);
	return slice_of(into, cut.len);
}

size_t text_encode(uint32_t c, char bytes[4])
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

bool text_escape(struct buf *into, struct slice text, size_t *room)
{
	while (text.len) {
		size_t len = text_plain(text.data, text.len), used = len;
		struct slice unit = slice_first(text, len);
		char escape[8];

		if (!len) {
			used = (unsigned char)text.data[0] < 0x80 ? 0 : text_character(text);
			unit = slice_first(text, used);
			if (!used) {
				/* A byte that is no character cannot come from a JSON reader. */
				unit = (unsigned char)text.data[0] < 0x80
					       ? slice_of(escape,
							 escape_of((unsigned char)text.data[0],
								 escape))
					       : SLICE("\xef\xbf\xbd");
				used = 1;
			}
			if (unit.len > *room)
				return false;
		}
		unit = slice_first(unit, *room);
		if (buf_append_slice(into, unit) < 0)
			return false;
		*room -= unit.len;
		if (len > unit.len)
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

/* As escaped_unit, and whether it is half of a pair. */
static bool is_surrogate(int32_t unit, int32_t first)
{
	return unit >= first && unit < first + 0x400;
}

int text_repair(struct buf *into, struct slice json)
{
	while (json.len) {
		size_t len = text_plain(json.data, json.len), used;
		struct slice unit;

		if (!len && json.data[0] == '\\') {
			int32_t u = escaped_unit(json);

			used = u < 0 ? json.len > 1 ? 2 : 1 : 6;
			/* Only the backslash, where what follows it is not ASCII. */
			if (used == 2 && (unsigned char)json.data[1] >= 0x80)
				used = 1;
			unit = slice_first(json, used);
			if (is_surrogate(u, 0xd800) &&
				is_surrogate(escaped_unit(slice_after(json, 6)), 0xdc00))
				unit = slice_first(json, used = 12);
			else if (is_surrogate(u, 0xd800) || is_surrogate(u, 0xdc00))
				unit = SLICE("\\ufffd");
		} else {
			used = len ? len : text_character(json);
			unit = used ? slice_first(json, used) : SLICE("\xef\xbf\xbd");
			used = used ? used : 1;
		}
		if (buf_append_slice(into, unit) < 0)
			return -ENOMEM;
		json = slice_after(json, used);
	}
	return 0;
}
