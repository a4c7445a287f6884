// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/ends.h"

#include "base/slice.h"
#include "openai/json_text.h"

void ends_free(struct ends *e)
{
	buf_free(&e->head);
	buf_free(&e->tail);
	e->cut = 0;
}

/* The length of whole units at the start of text: as many as fit len, or, when over, as few as
 * reach len. */
static size_t units(struct slice text, size_t len, bool over)
{
	size_t at = 0;

	while (at < len && at < text.len) {
		struct slice rest = slice_after(text, at);
		size_t next = json_text_plain(rest.data, rest.len);

		if (next > len - at)
			next = len - at;
		if (!next)
			next = json_text_unit(rest);
		if (!next || (!over && next > len - at))
			break;
		at += next;
	}
	return at;
}

/* Replaces the text by its first len bytes, in memory of their size. */
static void shrink(struct buf *text, size_t len)
{
	struct buf shorter = BUF_EMPTY;

	if (len && buf_append_slice(&shorter, slice_first(buf_slice(text), len)) < 0) {
		text->end = text->start + len;
		return;
	}
	buf_free(text);
	*text = shorter;
}

size_t ends_shed(struct ends *e, size_t n)
{
	size_t before = ends_len(e), half = (before > n ? before - n : 0) / 2, gone;
	struct slice head = buf_slice(&e->head), rest;
	size_t kept = head.len > half ? units(head, half, false) : head.len;

	if (!e->cut) {
		rest = slice_after(head, kept);
		gone = units(rest, n, true);
		if (gone && buf_append_slice(&e->tail, slice_after(rest, gone)) < 0)
			gone = rest.len;
		if (!gone)
			return 0;
		shrink(&e->head, kept);
	} else {
		gone = head.len - kept;
		if (gone)
			shrink(&e->head, kept);
		if (gone < n) {
			size_t more = units(buf_slice(&e->tail), n - gone, true);

			buf_consume(&e->tail, more);
			gone += more;
		}
	}
	e->cut += gone;
	return gone;
}

int ends_append_to(const struct ends *e, struct buf *into)
{
	if (buf_append_slice(into, buf_slice(&e->head)) < 0 ||
		(e->cut && buf_append_slice(into, SLICE("\xe2\x80\xa6")) < 0) ||
		buf_append_slice(into, buf_slice(&e->tail)) < 0)
		return -ENOMEM;
	return 0;
}
