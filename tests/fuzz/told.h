/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hears the texts of a body and looks at each string that is whole: where it is said to stand, it
 * stands. */
#ifndef FUZZ_TOLD_H
#define FUZZ_TOLD_H

#include <stdlib.h>
#include <yyjson.h>

#include "base/buf.h"
#include "openai/text_sink.h"

struct told {
	struct slice body;
	struct buf words; /* of the string that is being told … */
	uint64_t start, end; /* … which stands there */
	struct buf all;	  /* every word, with its kind before it */
};

/* The bytes between the quotes say the words. Lone surrogates, which strict readers refuse, are left
 * out. */
static void told_stands(const struct told *t)
{
	struct slice raw = slice_of(t->body.data + t->start, (size_t)(t->end - t->start));
	struct slice words = buf_slice(&t->words);
	struct buf quoted = BUF_EMPTY;
	yyjson_doc *doc;
	yyjson_val *v;

	if (t->start < 1 || t->start > t->end || t->end >= t->body.len ||
		t->body.data[t->start - 1] != '"' || t->body.data[t->end] != '"')
		abort();
	buf_append_slice(&quoted, SLICE("\""));
	buf_append_slice(&quoted, raw);
	buf_append_slice(&quoted, SLICE("\""));
	doc = yyjson_read(buf_slice(&quoted).data, buf_len(&quoted), 0);
	v = yyjson_doc_get_root(doc);
	if (v && !slice_equal(words, slice_of(yyjson_get_str(v), yyjson_get_len(v))))
		abort();
	yyjson_doc_free(doc);
	buf_free(&quoted);
}

static uint64_t told_hear(void *context, const struct text_piece *piece)
{
	struct told *t = context;
	char kind = (char)('0' + piece->kind);

	if (piece->first || piece->text) {
		buf_clear(&t->words);
		buf_append(&t->all, &kind, 1);
		t->start = piece->start;
	} else if (piece->placed && piece->start != t->end) {
		abort();
	}
	t->end = piece->end;
	buf_append_slice(&t->words, piece->words);
	buf_append_slice(&t->all, piece->words);
	if (piece->placed && (piece->last || piece->text))
		told_stands(t);
	return 0;
}

static void told_free(struct told *t)
{
	buf_free(&t->words);
	buf_free(&t->all);
}

#endif
