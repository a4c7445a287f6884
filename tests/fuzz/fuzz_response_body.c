// SPDX-License-Identifier: GPL-2.0-or-later
/* The first byte says how the rest, the body of an answer, is fed. However it is: the facts are
 * the same, and what is kept is JSON and keeps to its size. */
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include "openai/json_scan.h"
#include "openai/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* To the strictest reader. */
static void demand_json(struct slice text)
{
	yyjson_doc *doc = yyjson_read(text.data, text.len, YYJSON_READ_NUMBER_AS_RAW);

	demand(!text.len || doc);
	yyjson_doc_free(doc);
}

static struct response_reader *read_body(
	const struct operation *operation, size_t content_max, struct slice body, size_t step)
{
	struct response_reader *r = response_reader_new(operation, content_max, false);

	while (body.len) {
		struct slice piece = slice_first(body, step);

		response_reader_body(r, piece);
		body = slice_after(body, piece.len);
	}
	response_reader_end(r);
	return r;
}

static void demand_same(const struct response_facts *a, const struct response_facts *b)
{
	demand(a->readable == b->readable && a->complete == b->complete);
	demand((a->problem == NULL) == a->readable);
	demand(a->problem == b->problem);
	demand(slice_equal(a->id, b->id) && slice_equal(a->model, b->model));
	demand(slice_equal(a->finish_reasons, b->finish_reasons));
	demand(slice_equal(a->output_messages, b->output_messages));
	demand(a->output_truncated == b->output_truncated && a->output_bytes == b->output_bytes);
	demand(a->has_usage == b->has_usage && a->total_tokens == b->total_tokens);
	demand(a->has_error == b->has_error && slice_equal(a->error_message, b->error_message));
	demand(slice_equal(a->error_type, b->error_type));
	demand(slice_equal(a->error_code, b->error_code));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum family families[] = {
		FAMILY_CHAT, FAMILY_COMPLETION, FAMILY_RESPONSES, FAMILY_IMAGES};
	/* The step has three bits, the last bit chooses among the newer families. */
	/* Bits 1 and 2 together: one of these. */
	static const enum family newer[] = {FAMILY_MESSAGES, FAMILY_TRANSCRIPTION};
	const struct operation operation = {
		.family = size && (data[0] & 6) == 6 ? newer[data[0] & 1]
			: families[size ? (data[0] & 1) | (data[0] >> 6 & 2) : 0]};
	size_t step = size ? 1 + (data[0] >> 4 & 7) : 1;
	unsigned how = size ? data[0] : 0;
	size_t content_max = how & 2 ? 1 << 20 : how & 4 ? 40 : how & 8 ? 400 : 0;
	struct slice body = slice_after(slice_of((const char *)data, size), 1);
	struct response_reader *whole = read_body(&operation, content_max, body, SIZE_MAX);
	struct response_reader *pieces = read_body(&operation, content_max, body, step);
	const struct response_facts *facts = response_reader_facts(whole);

	demand_same(facts, response_reader_facts(pieces));
	/* At most one message begins, or ends, beyond the limit. */
	demand(facts->output_messages.len <= content_max + JSON_SCAN_DEPTH + 64);
	demand_json(facts->output_messages);
	demand_json(facts->finish_reasons);
	response_reader_free(whole);
	response_reader_free(pieces);
	return 0;
}
