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

/* The bytes from at on that are ASCII, as far as whole groups of them go. */
static size_t utf8_plain(struct slice s, size_t at)
{
	uint64_t words[4];
	size_t from = at;

	for (; s.len - at >= sizeof(words); at += sizeof(words)) {
		memcpy(words, s.data + at, sizeof(words));
		if ((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080ULL)
			break;
	}
	for (; s.len - at >= sizeof(words[0]); at += sizeof(words[0])) {
		memcpy(words, s.data + at, sizeof(words[0]));
		if (words[0] & 0x8080808080808080ULL)
			break;
	}
	return at - from;
}

bool utf8_valid(struct slice s)
{
	size_t at = utf8_plain(s, 0), bad, len;

	while (at < s.len) {
		if (!((unsigned char)s.data[at] & 0x80)) {
			at++;
			at += utf8_plain(s, at);
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
