// SPDX-License-Identifier: GPL-2.0-or-later
/* The first byte says how the rest, a request body, is fed. However it is: the facts and the texts
 * that are told are the same, what is kept is JSON and keeps to its size, and the edit that asks for
 * usage leaves a body that asks for usage. */
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include "base/buf.h"
#include "openai/json_scan.h"
#include "openai/request.h"
#include "told.h"

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

static struct request_reader *read_body(
	const struct operation *operation, size_t content_max, struct slice body, size_t step,
	struct told *told)
{
	struct request_reader *r = request_reader_new(operation, content_max);
	uint64_t settled = 0;

	*told = (struct told){.body = body};
	request_reader_tell(r, (struct text_sink){told_hear, told});
	while (body.len) {
		struct slice piece = slice_first(body, step);
		struct request_splice splice;

		request_reader_feed(r, piece);
		body = slice_after(body, piece.len);
		demand(request_settled(r) <= request_reader_facts(r)->bytes);
		if (request_inject_later(r, settled, &splice))
			demand(splice.offset >= settled &&
				splice.offset + splice.remove <= request_reader_facts(r)->bytes);
		settled = request_settled(r);
	}
	request_reader_end(r);
	return r;
}

static void demand_same(const struct request_facts *a, const struct request_facts *b)
{
	demand(a->readable == b->readable);
	demand((a->problem == NULL) == a->readable);
	demand(a->problem == b->problem);
	demand(slice_equal(a->model, b->model));
	demand(slice_equal(a->user, b->user));
	demand(a->stream == b->stream && a->include_usage == b->include_usage);
	demand(slice_equal(a->max_tokens.text, b->max_tokens.text));
	demand(slice_equal(a->messages, b->messages) && slice_equal(a->parts, b->parts));
	demand(a->messages_truncated == b->messages_truncated);
	demand(slice_equal(a->tools, b->tools) && a->tool_kinds == b->tool_kinds);
	demand(slice_equal(a->conversation, b->conversation));
	demand(slice_equal(a->effort, b->effort) && a->store == b->store);
	demand(a->nmessages == b->nmessages && a->bytes == b->bytes);
}

static void demand_edit(
	const struct request_reader *r, const struct operation *operation, struct slice body)
{
	struct request_splice splice;
	struct request_reader *again;
	struct buf edited = BUF_EMPTY;
	struct told told;

	if (!request_inject_usage(r, &splice))
		return;
	demand(splice.offset + splice.remove <= body.len);
	buf_append_slice(&edited, slice_first(body, (size_t)splice.offset));
	buf_append_slice(&edited, splice.insert);
	buf_append_slice(&edited, slice_after(body, (size_t)splice.offset + splice.remove));
	again = read_body(operation, 0, buf_slice(&edited), SIZE_MAX, &told);
	/* The one key more may be one too many to compare. */
	demand(request_reader_facts(again)->readable ||
		slice_equal(slice_of_string(request_reader_facts(again)->problem),
			SLICE("too many keys")));
	demand(request_reader_facts(again)->include_usage == REQUEST_TRUE);
	request_reader_free(again);
	told_free(&told);
	buf_free(&edited);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The older inputs have bit 3 clear. */
	static const enum family families[] = {
		FAMILY_CHAT, FAMILY_COMPLETION, FAMILY_RESPONSES, FAMILY_EMBEDDINGS};
	/* Bits 1 and 2 together: one of these. */
	static const enum family newer[] = {FAMILY_MESSAGES, FAMILY_TRANSCRIPTION};
	const struct operation operation = {
		.family = size && (data[0] & 6) == 6 ? newer[data[0] & 1]
			: families[size ? (data[0] & 1) | (data[0] >> 2 & 2) : 0]};
	size_t step = size ? 1 + (data[0] >> 4) : 1;
	size_t content_max = size && data[0] & 2 ? 1 << 20 : size && data[0] & 4 ? 40 : 0;
	struct slice body = slice_after(slice_of((const char *)data, size), 1);
	struct told told, told_pieces;
	struct request_reader *whole = read_body(&operation, content_max, body, SIZE_MAX, &told);
	struct request_reader *pieces =
		read_body(&operation, content_max, body, step, &told_pieces);
	const struct request_facts *facts = request_reader_facts(whole);

	demand_same(facts, request_reader_facts(pieces));
	demand(facts->messages.len <= content_max + JSON_SCAN_DEPTH + 1);
	demand(facts->tools.len <= content_max + JSON_SCAN_DEPTH + 1);
	demand_json(facts->messages);
	demand_json(facts->tools);
	demand_json(facts->parts);
	demand(request_estimate_tokens(whole) == request_estimate_tokens(pieces));
	demand(slice_equal(buf_slice(&told.all), buf_slice(&told_pieces.all)));
	demand_edit(whole, &operation, body);
	told_free(&told);
	told_free(&told_pieces);
	request_reader_free(whole);
	request_reader_free(pieces);
	return 0;
}
