// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_mend.h"

#include <errno.h>
#include <stdbool.h>

#include "openai/json_scan.h"
#include "openai/json_text.h"

struct mend {
	struct slice text;
	size_t at;
	size_t safe;	/* up to here whole values and open brackets only */
	bool in_string; /* safe is inside a string, which needs its quote */
	bool key;	/* the next string is a member's name */
	unsigned depth;
	char closers[JSON_SCAN_DEPTH]; /* of the containers that are open at safe */
};

/* Passes the string at m->at. False when the text ends inside it: then safe is after its last
 * whole character, a pair of surrogates counting as one, if it is a value. */
static bool mend_string(struct mend *m)
{
	size_t whole, at = m->at + 1;
	bool high = false;

	for (whole = at; at < m->text.len; whole = high ? whole : at) {
		struct slice rest = slice_after(m->text, at);
		size_t len = json_text_plain(rest.data, rest.len);

		if (!len && rest.data[0] == '"') {
			m->at = at + 1;
			return true;
		}
		if (!len && rest.data[0] == '\\') {
			len = rest.len > 1 && rest.data[1] == 'u' ? 6 : 2;
			high = len == 6 && rest.len >= 6 && (rest.data[2] | 0x20) == 'd' &&
			       rest.data[3] && strchr("89abAB", rest.data[3]);
		} else {
			len = len ? len : json_text_character(rest);
			high = false;
		}
		if (!len || len > rest.len)
			break;
		at += len;
	}
	if (!m->key) {
		m->safe = whole;
		m->in_string = true;
	}
	return false;
}

/* Passes one token. False at the end of the text, or where it is no JSON any more. */
static bool mend_token(struct mend *m)
{
	char c = m->text.data[m->at];
	size_t start = m->at;

	switch (c) {
	case '{':
	case '[':
		if (m->depth == JSON_SCAN_DEPTH)
			return false;
		m->closers[m->depth++] = c == '{' ? '}' : ']';
		m->key = c == '{';
		m->safe = ++m->at;
		return true;
	case '}':
	case ']':
		if (!m->depth || m->closers[m->depth - 1] != c)
			return false;
		m->depth--;
		m->safe = ++m->at;
		return m->depth != 0;
	case ',':
	case ':':
		m->key = c == ',' && m->depth && m->closers[m->depth - 1] == '}';
		m->at++;
		return true;
	case ' ':
	case '\t':
	case '\n':
	case '\r':
		m->at++;
		return true;
	case '"':
		if (!mend_string(m))
			return false;
		break;
	default:
		while (m->at < m->text.len && !strchr(",]} \t\n\r", m->text.data[m->at]))
			m->at++;
		/* The rest of a number or word may be what was cut off. */
		if (m->at == m->text.len || m->at == start)
			return false;
	}
	if (!m->key)
		m->safe = m->at;
	return true;
}

int json_mend(struct buf *text)
{
	struct mend m = {.text = buf_slice(text)};
	char *room;

	while (m.at < m.text.len && mend_token(&m))
		;
	text->end = text->start + m.safe;
	room = buf_reserve(text, m.depth + 1);
	if (!room) {
		buf_clear(text);
		return -ENOMEM;
	}
	if (m.in_string)
		*room++ = '"', buf_commit(text, 1);
	buf_commit(text, m.depth);
	while (m.depth)
		*room++ = m.closers[--m.depth];
	return 0;
}

int json_mend_surrogates(struct buf *text)
{
	struct buf mended = BUF_EMPTY;
	int error = buf_reserve(&mended, buf_len(text) + 1) ? json_text_repair(&mended, buf_slice(text))
							    : -ENOMEM;

	buf_free(text);
	if (error)
		buf_free(&mended);
	*text = mended;
	return error;
}
