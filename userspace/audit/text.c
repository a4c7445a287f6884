// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "audit/redact.h"
#include "base/utf8.h"

#define LANES 16

typedef unsigned char lanes __attribute__((vector_size(LANES)));
typedef uint64_t lane_words __attribute__((vector_size(LANES)));

/* All ones in the lanes where a credential may be anchored (see redact_at), given the byte after
 * each, or where the byte is not ASCII. */
static lanes stops(lanes here, lanes next)
{
	lanes low = here | 0x20, after = next | 0x20;
	lanes k = (lanes)(low == 'k'), e = (lanes)(after == 'e');

	return (lanes)(here >= 0x80) | ((lanes)(low == 'b') & e) | (lanes)(here == 'J') |
		((lanes)(low == 'z') & (lanes)(after == 'a')) |
		(k & (e | (lanes)(next == '-')));
}

/* The first lane of all ones, of which there is one. */
static size_t first_lane(lane_words found)
{
	size_t word = found[0] ? 0 : 1;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word * 8 + (size_t)__builtin_ctzll(found[word]) / 8;
#else
	return word * 8 + (size_t)__builtin_clzll(found[word]) / 8;
#endif
}

/* The first stop of s at or after from, or s.len. */
static size_t next_stop(struct slice s, size_t from)
{
	const unsigned char *p = (const unsigned char *)s.data;
	unsigned char end[LANES + 1] = {0};
	lane_words found;
	lanes here, next;
	size_t at = from;

	for (; at + LANES < s.len; at += LANES) {
		memcpy(&here, p + at, LANES);
		memcpy(&next, p + at + 1, LANES);
		found = (lane_words)stops(here, next);
		if (found[0] | found[1])
			return at + first_lane(found);
	}
	if (at >= s.len)
		return s.len;
	/* NUL follows the last byte, and is no stop. */
	memcpy(end, p + at, s.len - at);
	memcpy(&here, end, LANES);
	memcpy(&next, end + 1, LANES);
	found = (lane_words)stops(here, next);
	return found[0] | found[1] ? at + first_lane(found) : s.len;
}

bool text_edit_next(struct slice s, size_t from, struct text_edit *edit)
{
	size_t at = from, len, bad;

	for (;;) {
		/* In text of other scripts stop follows stop: no vectors then. */
		if (at >= s.len || !((unsigned char)s.data[at] & 0x80))
			at = next_stop(s, at);
		if (at >= s.len)
			return false;
		if (!((unsigned char)s.data[at] & 0x80)) {
			struct redact_span span = redact_at(s, at, from);

			if (span.end > span.begin) {
				*edit = (struct text_edit){span.begin, span.end,
					span.bare ? REDACT_MARK_QUOTED : REDACT_MARK};
				return true;
			}
			at++;
			continue;
		}
		len = utf8_sequence(s, at, &bad);
		if (!len) {
			*edit = (struct text_edit){at, at + bad, UTF8_REPLACEMENT};
			return true;
		}
		at += len;
	}
}

int text_append(struct slice s, struct buf *out)
{
	size_t before = buf_len(out), at = 0;
	struct text_edit edit;
	int error = 0;

	while (!error && text_edit_next(s, at, &edit)) {
		error = buf_append(out, s.data + at, edit.begin - at);
		if (!error)
			error = buf_append_slice(out, edit.insert);
		at = edit.end;
	}
	if (!error && at < s.len)
		error = buf_append(out, s.data + at, s.len - at);
	if (error)
		out->end -= buf_len(out) - before;
	return error;
}
