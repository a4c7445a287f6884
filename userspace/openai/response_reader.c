// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openai/json_mend.h"
#include "openai/json_text.h"

void response_unreadable(struct response_reader *r, const char *problem)
{
	if (!r->facts.problem)
		r->facts.problem = problem;
	r->facts.readable = false;
}

void response_set(struct slice *fact, char *memory, size_t size, struct slice value)
{
	if (!fact->len && value.len)
		*fact = json_text_copy(memory, size, value);
}

static uint64_t part_of(const struct response_facts *f, enum usage_part part)
{
	return f->parts[part].told ? f->parts[part].tokens : 0;
}

void response_usage(struct response_reader *r)
{
	struct response_facts *f = &r->facts;

	/* Of Anthropic's, input_tokens are those beside the cache; a stream tells its counts again. */
	if (r->operation->family == FAMILY_MESSAGES && f->has_input) {
		f->input_tokens = r->uncached;
		if (__builtin_add_overflow(f->input_tokens, part_of(f, USAGE_CACHE_READ), &f->input_tokens) ||
			__builtin_add_overflow(
				f->input_tokens, part_of(f, USAGE_CACHE_WRITE), &f->input_tokens) ||
			f->input_tokens > INT64_MAX)
			f->has_input = false;
		f->has_total = false;
	}
	if (!f->has_total && f->has_input && f->has_output) {
		f->total_tokens = f->input_tokens + f->output_tokens;
		f->has_total = f->total_tokens <= INT64_MAX;
	}
	f->has_usage = f->has_input || f->has_output || f->has_total;
}

/* Bytes of verdicts that are kept. */
#define VERDICTS_MAX 2048

/* A name as filters have it. */
static bool is_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-'))
			return false;
	}
	return text.len && text.len <= RESPONSE_CATEGORY;
}

void response_verdict(
	struct response_reader *r, bool of_prompt, struct slice category, struct slice word)
{
	char text[2 * RESPONSE_CATEGORY + 16];
	struct slice said, had = buf_slice(&r->verdicts);
	int len;

	if (!is_word(category) || !is_word(word) || slice_equal(word, SLICE("safe")))
		return;
	len = snprintf(text, sizeof(text), ",\"%s%.*s.%.*s\"", of_prompt ? "prompt." : "",
		SLICE_ARG(category), SLICE_ARG(word));
	said = slice_of(text, (size_t)len);
	/* Each chunk of a stream says it again. */
	if ((had.len && memmem(had.data, had.len, said.data, said.len)) ||
		had.len + said.len > VERDICTS_MAX)
		return;
	(void)buf_append_slice(&r->verdicts, said);
}

void response_seconds(struct response_facts *f, struct slice number)
{
	char text[JSON_SCAN_NUMBER + 1];

	if (!number.len || number.len >= sizeof(text))
		return;
	memcpy(text, number.data, number.len);
	text[number.len] = '\0';
	f->seconds = strtod(text, NULL);
	f->has_seconds = isfinite(f->seconds) && f->seconds >= 0;
}

void response_keep(struct response_reader *r, struct slice bytes)
{
	struct response_facts *f = &r->facts;

	if (!abridge_begun(&r->abridge) && bytes.len <= r->content_max &&
		buf_len(&r->messages) <= r->content_max - bytes.len) {
		f->output_truncated |= buf_append_slice(&r->messages, bytes) < 0;
		return;
	}
	if (!abridge_begun(&r->abridge)) {
		abridge_feed(&r->abridge, buf_slice(&r->messages));
		buf_free(&r->messages);
		r->keep_messages.max = 0;
	}
	abridge_feed(&r->abridge, bytes);
}

void response_keep_item(struct response_reader *r, struct slice json)
{
	if (!r->content_max || r->facts.output_truncated)
		return;
	response_keep(r, r->items++ ? SLICE(",") : SLICE("["));
	response_keep(r, json);
}

void response_keep_end(struct response_reader *r, bool unfinished)
{
	struct response_facts *f = &r->facts;

	if (abridge_begun(&r->abridge)) {
		f->output_truncated = true;
		abridge_end(&r->abridge, &r->messages);
		f->output_cut = r->abridge.cut;
	}
	if (buf_len(&r->messages) && (unfinished || f->output_truncated ||
					     buf_append_slice(&r->messages, SLICE("]")) < 0))
		json_mend(&r->messages);
}
