// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_reader.h"

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

void response_usage(struct response_facts *f)
{
	if (!f->has_total && f->has_input && f->has_output) {
		f->total_tokens = f->input_tokens + f->output_tokens;
		f->has_total = f->total_tokens <= INT64_MAX;
	}
	f->has_usage = f->has_input || f->has_output || f->has_total;
}
