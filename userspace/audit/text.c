// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/text.h"

#include <errno.h>

#include "audit/redact.h"
#include "audit/utf8.h"

/* Bytes at which the scan stops: anchors of credentials, and everything that is not ASCII. */
static const unsigned char stops[256] = {
	['k'] = 1, ['K'] = 1, ['J'] = 1, ['z'] = 1, ['Z'] = 1, ['b'] = 1, ['B'] = 1,
	[0x80 ... 0xff] = 2,
};

bool text_edit_next(struct slice s, size_t from, struct text_edit *edit)
{
	size_t at = from, len, bad;

	for (;;) {
		while (at < s.len && !stops[(unsigned char)s.data[at]])
			at++;
		if (at >= s.len)
			return false;
		if (stops[(unsigned char)s.data[at]] == 1) {
			struct redact_span span = redact_at(s, at, from);

			if (span.end > span.begin) {
				*edit = (struct text_edit){span.begin, span.end, REDACT_MARK};
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
