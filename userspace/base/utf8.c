// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/utf8.h"

#include <stdint.h>

size_t utf8_sequence(struct slice s, size_t at, size_t *bad)
{
	const unsigned char *p = (const unsigned char *)s.data + at;
	size_t left = s.len - at, len;
	unsigned char low = 0x80, high = 0xbf;

	*bad = 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	/* The second byte's range excludes overlong forms, surrogates and what is beyond U+10FFFF. */
	switch (p[0]) {
	case 0xe0:
		low = 0xa0;
		break;
	case 0xed:
		high = 0x9f;
		break;
	case 0xf0:
		low = 0x90;
		break;
	case 0xf4:
		high = 0x8f;
		break;
	default:
		break;
	}
	for (size_t i = 1; i < len; i++) {
		if (i >= left || p[i] < low || p[i] > high)
			return 0;
		*bad = i + 1;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

#define TOP_BITS 0x8080808080808080ULL

/* Whether all of it is ASCII, as nearly everything is. */
static bool utf8_is_ascii(struct slice s)
{
	uint64_t words[4];
	unsigned char any = 0;
	size_t at = 0;

	if (s.len < sizeof(words[0])) {
		while (at < s.len)
			any |= (unsigned char)s.data[at++];
		return any < 0x80;
	}
	for (; s.len - at >= sizeof(words); at += sizeof(words)) {
		memcpy(words, s.data + at, sizeof(words));
		if ((words[0] | words[1] | words[2] | words[3]) & TOP_BITS)
			return false;
	}
	for (; s.len - at >= sizeof(words[0]); at += sizeof(words[0])) {
		memcpy(words, s.data + at, sizeof(words[0]));
		if (words[0] & TOP_BITS)
			return false;
	}
	memcpy(words, s.data + s.len - sizeof(words[0]), sizeof(words[0]));
	return !(words[0] & TOP_BITS);
}

bool utf8_valid(struct slice s)
{
	size_t at = 0, bad, len;

	if (utf8_is_ascii(s))
		return true;
	while (at < s.len) {
		uint64_t word;

		if (s.len - at >= sizeof(word)) {
			memcpy(&word, s.data + at, sizeof(word));
			if (!(word & TOP_BITS)) {
				at += sizeof(word);
				continue;
			}
		}
		if (!((unsigned char)s.data[at] & 0x80)) {
			at++;
			continue;
		}
		len = utf8_sequence(s, at, &bad);
		if (!len)
			return false;
		at += len;
	}
	return true;
}

struct slice utf8_cut(struct slice s, size_t max)
{
	size_t end = max;

	if (s.len <= max)
		return s;
	/* A sequence has at most three bytes after its first: more are not worth keeping whole. */
	while (end > 0 && max - end < 3 && ((unsigned char)s.data[end] & 0xc0) == 0x80)
		end--;
	/* Only a first byte of a sequence stands in front of such bytes for good. */
	if (((unsigned char)s.data[end] & 0xc0) != 0xc0)
		end = max;
	return slice_first(s, end);
}
