// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_string.h"

#include <string.h>

#include "openai/json_text.h"

void json_string_begin(struct json_string *s)
{
	s->ended = false;
	s->state = JSON_STRING_PLAIN;
}

/* Puts a character behind those that are decoded already. */
static void add_character(struct json_string *s, uint32_t c, struct slice *decoded)
{
	*decoded =
		slice_of(s->decoded, decoded->len + json_text_encode(c, s->decoded + decoded->len));
}

/* Whatever comes is not the second half of a pair. */
static void add_lone_surrogate(struct json_string *s, struct slice *decoded)
{
	if (!s->high_surrogate)
		return;
	s->high_surrogate = 0;
	s->lone_surrogate = true;
	add_character(s, 0xfffd, decoded);
}

/* A byte outside ASCII (RFC 3629 section 4). */
static enum json_problem read_utf8(struct json_string *s, unsigned char c)
{
	if (s->continuation) {
		if (c < s->low || c > s->high)
			return JSON_BAD_UTF8;
		s->continuation--;
	} else if (c >= 0xc2 && c <= 0xf4) {
		s->continuation = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		s->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		s->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
		return JSON_FINE;
	} else {
		return JSON_BAD_UTF8;
	}
	s->low = 0x80;
	s->high = 0xbf;
	return JSON_FINE;
}

/* The end of the characters that stand for themselves. */
static const char *read_run(
	struct json_string *s, const char *p, const char *end, enum json_problem *problem)
{
	while (p < end) {
		size_t len = s->continuation ? 0 : json_text_plain(p, (size_t)(end - p));

		p += len;
		if (p == end || (unsigned char)*p < 0x80)
			break;
		/* Byte by byte only where the piece ends inside a character. */
		len = s->continuation ? 0 : json_text_character(slice_of(p, (size_t)(end - p)));
		if (!len) {
			*problem = read_utf8(s, (unsigned char)*p);
			len = 1;
		}
		if (*problem)
			break;
		p += len;
	}
	return p;
}

static const char *read_plain(struct json_string *s, const char *p, const char *end,
	struct slice *decoded, enum json_problem *problem)
{
	const char *from = p;

	/* It comes before the run, which is no copy. */
	if (s->high_surrogate && *p != '\\') {
		add_lone_surrogate(s, decoded);
		return p;
	}
	p = read_run(s, p, end, problem);
	*decoded = slice_of(from, (size_t)(p - from));
	if (p == end || *problem)
		return p;
	if (s->continuation) {
		*problem = JSON_BAD_UTF8;
	} else if (*p == '\\') {
		s->state = JSON_STRING_ESCAPE;
		p++;
	} else if (*p == '"') {
		s->ended = true;
		p++;
	} else {
		*problem = JSON_CONTROL;
	}
	return p;
}

static const char *read_escape(
	struct json_string *s, const char *p, struct slice *decoded, enum json_problem *problem)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found = *p ? strchr(from, *p) : NULL;

	if (*p == 'u') {
		s->state = JSON_STRING_HEX;
		s->hex = 0;
		s->hex_digits = 0;
	} else if (found) {
		add_lone_surrogate(s, decoded);
		add_character(s, (uint32_t)to[found - from], decoded);
		s->state = JSON_STRING_PLAIN;
	} else {
		*problem = JSON_BAD_ESCAPE;
		return p;
	}
	return p + 1;
}

/* An escape of four digits is whole. */
static void end_hex(struct json_string *s, struct slice *decoded)
{
	bool high = s->hex >= 0xd800 && s->hex < 0xdc00, low = s->hex >= 0xdc00 && s->hex < 0xe000;

	s->state = JSON_STRING_PLAIN;
	if (low && s->high_surrogate) {
		add_character(s, 0x10000 + ((s->high_surrogate - 0xd800) << 10) + (s->hex - 0xdc00),
			decoded);
		s->high_surrogate = 0;
		return;
	}
	add_lone_surrogate(s, decoded);
	if (high) {
		s->high_surrogate = s->hex;
		return;
	}
	s->lone_surrogate |= low;
	add_character(s, low ? 0xfffd : s->hex, decoded);
}

static const char *read_hex(
	struct json_string *s, const char *p, struct slice *decoded, enum json_problem *problem)
{
	char c = (char)(*p | 0x20);

	if (*p >= '0' && *p <= '9') {
		s->hex = s->hex << 4 | (uint32_t)(*p - '0');
	} else if (c >= 'a' && c <= 'f') {
		s->hex = s->hex << 4 | (uint32_t)(c - 'a' + 10);
	} else {
		*problem = JSON_BAD_ESCAPE;
		return p;
	}
	if (++s->hex_digits == 4)
		end_hex(s, decoded);
	return p + 1;
}

const char *json_string_read(struct json_string *s, const char *p, const char *end,
	struct slice *decoded, enum json_problem *problem)
{
	*decoded = SLICE_NONE;
	switch (s->state) {
	case JSON_STRING_PLAIN:
		return read_plain(s, p, end, decoded, problem);
	case JSON_STRING_ESCAPE:
		return read_escape(s, p, decoded, problem);
	case JSON_STRING_HEX:
		return read_hex(s, p, decoded, problem);
	}
	return p;
}
