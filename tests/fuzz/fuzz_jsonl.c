// SPDX-License-Identifier: GPL-2.0-or-later
/* A file of calls or of answers: the first byte says in which pieces it comes and how much is kept.
 * What is read does not depend on the pieces, and what is kept is JSON and keeps to its size. */
#include <stdint.h>
#include <stdlib.h>

#include <yyjson.h>

#include "openai/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* How much was heard. */
struct heard {
	uint64_t bytes, texts;
};

static uint64_t hear(void *context, const struct text_piece *piece)
{
	struct heard *heard = context;

	heard->bytes += piece->words.len;
	heard->texts += piece->first;
	return 0;
}

static struct jsonl *read_lines(
	struct slice text, size_t content_max, size_t step, struct heard *heard)
{
	struct jsonl *j = jsonl_new(content_max);

	demand(j);
	jsonl_tell(j, (struct text_sink){hear, heard}, TEXT_INPUT);
	for (; text.len; text = slice_after(text, step))
		jsonl_feed(j, slice_first(text, step));
	jsonl_end(j);
	return j;
}

static void demand_json(struct slice text)
{
	yyjson_doc *doc = yyjson_read(text.data, text.len, YYJSON_READ_NUMBER_AS_RAW);

	demand(!text.len || (doc && yyjson_is_arr(yyjson_doc_get_root(doc))));
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size ? 1 + (data[0] >> 4) : 1;
	size_t content_max = size && data[0] & 1 ? 1 << 20 : size && data[0] & 2 ? 600 : 0;
	struct slice text = slice_after(slice_of((const char *)data, size), 1);
	struct heard at_once = {0}, in_pieces = {0};
	struct jsonl *whole = read_lines(text, content_max, SIZE_MAX, &at_once);
	struct jsonl *pieces = read_lines(text, content_max, step, &in_pieces);
	const struct jsonl_facts *a = jsonl_facts(whole), *b = jsonl_facts(pieces);

	demand(a->is_one == b->is_one && a->lines == b->lines && a->bad == b->bad);
	demand(a->problem == b->problem && (a->problem != NULL) == (a->bad > 0));
	demand(slice_equal(a->model, b->model) && a->models_differ == b->models_differ);
	demand(a->has_usage == b->has_usage);
	demand(a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens &&
		a->total_tokens == b->total_tokens && a->total_tokens <= INT64_MAX);
	for (int i = 0; i < USAGE_PARTS; i++)
		demand(a->parts[i].told == b->parts[i].told &&
			a->parts[i].tokens == b->parts[i].tokens);
	demand(slice_equal(a->content, b->content) && a->truncated == b->truncated &&
		a->cut == b->cut);
	demand(at_once.bytes == in_pieces.bytes && at_once.texts == in_pieces.texts);
	demand_json(a->content);
	demand(content_max || !a->content.len);

	jsonl_free(whole);
	jsonl_free(pieces);
	return 0;
}
