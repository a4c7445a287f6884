/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of which each line is a JSON object: the calls of a batch, what came of them, examples for
 * training. It is read as it passes: memory is bounded by content_max, however long the file or a
 * line of it is. What does not begin as such a file is let be. */
#ifndef OPENAI_JSONL_H
#define OPENAI_JSONL_H

#include "base/slice.h"
#include "openai/text_sink.h"
#include "openai/usage.h"

#define JSONL_TEXT 128

struct jsonl_facts {
	bool is_one;	     /* its first byte that is no blank begins an object */
	uint64_t lines;	     /* that are not blank */
	uint64_t bad;	     /* of them: no JSON object, or not the same one to every reader */
	const char *problem; /* of the first that is bad, one of a fixed set; else NULL */
	struct slice model;  /* of body.model, or response.body.model; the first one's */
	bool models_differ;
	bool has_usage; /* of response.body.usage: sums over all lines */
	bool has_input, has_output, has_total;
	uint64_t input_tokens, output_tokens, total_tokens;
	struct usage_count parts[USAGE_PARTS];
	/* After jsonl_end: an array of the lines, cut as messages are (newest.h); empty: none is
	 * kept. */
	struct slice content;
	bool truncated;
	uint64_t cut;
};

struct jsonl;

/* NULL without memory. */
struct jsonl *jsonl_new(size_t content_max);
void jsonl_free(struct jsonl *j);
/* Who hears what the lines say: strings of their bodies are of this kind; they are not placed. */
void jsonl_tell(struct jsonl *j, struct text_sink sink, enum text_kind words);
void jsonl_feed(struct jsonl *j, struct slice piece);
/* What was done beside looking at the bytes, as of base/work.h, since the last call. */
uint64_t jsonl_spent(struct jsonl *j);
/* No more pieces; once. */
void jsonl_end(struct jsonl *j);
/* Never NULL; slices are valid until the next feed, end or free. */
const struct jsonl_facts *jsonl_facts(const struct jsonl *j);

#endif
