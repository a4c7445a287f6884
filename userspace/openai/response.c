// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "openai/json_text.h"
#include "openai/response_body.h"
#include "openai/response_event.h"
#include "openai/response_tell.h"

/* Memory of the parser for one event, on the stack: enough for the usual ones. */
#define POOL_SIZE 24576

struct response_reader *response_reader_new(
	const struct operation *operation, size_t content_max, bool streamed)
{
	struct response_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->operation = operation;
	r->content_max = content_max;
	r->streamed = streamed;
	r->facts.readable = true;
	output_init(&r->output, content_max);
	abridge_init(&r->abridge, content_max);
	if (!streamed && response_body_init(r) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

void response_reader_tell(struct response_reader *r, struct text_sink sink)
{
	r->told.sink = sink;
}

void response_reader_free(struct response_reader *r)
{
	if (!r)
		return;
	output_free(&r->output);
	buf_free(&r->messages);
	abridge_free(&r->abridge);
	buf_free(&r->finish_reasons);
	buf_free(&r->text);
	buf_free(&r->carry);
	json_scan_free(r->scan);
	jsonl_free(r->lines);
	buf_free(&r->made);
	buf_free(&r->verdicts);
	free(r);
}

const struct response_facts *response_reader_facts(const struct response_reader *r)
{
	return &r->facts;
}

uint64_t response_estimate_tokens(const struct response_reader *r)
{
	return r->facts.output_bytes / 4 + (r->facts.output_bytes % 4 != 0);
}

/* By family; a stream of one that has none is read as one of chat completions. */
static unsigned read_event(struct response_reader *r, yyjson_val *root)
{
	switch (r->operation->family) {
	case FAMILY_RESPONSES:
		return responses_event(r, root);
	case FAMILY_MESSAGES:
		return messages_event(r, root);
	case FAMILY_THREADS:
		return threads_event(r, root);
	case FAMILY_IMAGES:
	case FAMILY_SPEECH:
	case FAMILY_TRANSCRIPTION:
		return media_event(r, root);
	default:
		return chat_event(r, root);
	}
}

/* Parses data, in the memory of alc when it fits there. NULL: not readable. */
static yyjson_doc *parse(struct slice data, const yyjson_alc *alc, yyjson_read_err *error)
{
	bool small = yyjson_read_max_memory_usage(data.len, 0) <= POOL_SIZE - 256;

	return yyjson_read_opts((char *)(uintptr_t)data.data, data.len, YYJSON_READ_BIGNUM_AS_RAW,
		small ? alc : NULL, error);
}

static unsigned read_json(struct response_reader *r, struct slice data, uint64_t at)
{
	_Alignas(16) char pool[POOL_SIZE];
	struct buf repaired = BUF_EMPTY;
	unsigned flags = RESPONSE_EVENT_UNREADABLE;
	yyjson_read_err error = {0};
	yyjson_doc *doc;
	yyjson_alc alc;

	yyjson_alc_pool_init(&alc, pool, sizeof(pool));
	doc = parse(data, &alc, &error);
	/* Clients decode streams with replacement characters, and some take lone surrogates. */
	if (!doc && error.code == YYJSON_READ_ERROR_INVALID_STRING &&
		json_text_repair(&repaired, data) == 0) {
		yyjson_alc_pool_init(&alc, pool, sizeof(pool));
		data = buf_slice(&repaired);
		at = RESPONSE_UNPLACED;
		doc = parse(data, &alc, &error);
	}
	response_tell(r, doc, data, at);
	if (!doc)
		response_unreadable(r, "invalid JSON");
	else if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
		response_unreadable(r, "not a JSON object");
	else
		flags = read_event(r, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	buf_free(&repaired);
	return flags;
}

/* What a stream's output counts is not known as it is told: words are said again there. */
static void count_output(struct response_reader *r)
{
	r->told.bytes[TEXT_OUTPUT] += r->output.bytes;
	r->output.bytes = 0;
	r->facts.output_bytes = r->told.bytes[TEXT_OUTPUT];
}

unsigned response_reader_event(struct response_reader *r, struct slice data, uint64_t at)
{
	struct slice trimmed = slice_trim(data);
	unsigned flags;

	r->facts.nevents++;
	if (slice_equal(trimmed, SLICE("[DONE]"))) {
		r->facts.complete = true;
		return RESPONSE_EVENT_DONE;
	}
	if (at != RESPONSE_UNPLACED)
		at += (uint64_t)(trimmed.data - data.data);
	flags = read_json(r, trimmed, at);
	count_output(r);
	return flags;
}

void response_reader_skipped(struct response_reader *r)
{
	r->facts.nevents++;
	response_unreadable(r, "event too long");
}

/* Bytes at the end of text that may be the beginning of a UTF-8 character. */
static size_t unfinished(struct slice text)
{
	for (size_t n = 1; n <= 3 && n <= text.len; n++) {
		unsigned char c = (unsigned char)text.data[text.len - n];

		if (c >= 0xc0)
			return n < (c < 0xe0 ? 2u : c < 0xf0 ? 3u : 4u) ? n : 0;
		if (c < 0x80)
			return 0;
	}
	return 0;
}

static void take_text(struct response_reader *r, struct slice text)
{
	const uint64_t start = r->told.bytes[TEXT_OUTPUT];
	const struct text_piece piece = {
		.kind = TEXT_OUTPUT,
		.text = 1,
		.words = text,
		.placed = true,
		.start = start,
		.end = start + text.len,
	};
	struct output_choice *choice = text.len ? output_choice(&r->output, 0) : NULL;

	if (choice)
		output_text(&r->output, choice, OUTPUT_CONTENT, text);
	if (text.len)
		texts_tell(&r->told, &piece);
	r->output.bytes = 0;
	count_output(r);
}

void response_reader_text(struct response_reader *r, struct slice piece)
{
	struct slice text = piece;

	if (buf_len(&r->carry)) {
		if (buf_append_slice(&r->carry, piece) < 0)
			return;
		text = buf_slice(&r->carry);
	}
	piece = slice_first(text, text.len - unfinished(text));
	take_text(r, piece);
	text = slice_after(text, piece.len);
	if (buf_len(&r->carry))
		buf_consume(&r->carry, piece.len);
	else if (text.len)
		buf_append_slice(&r->carry, text);
}

void response_reader_lines(struct response_reader *r, struct slice piece)
{
	if (!r->lines) {
		r->lines = jsonl_new(r->content_max);
		if (r->lines)
			jsonl_tell(r->lines, r->told.sink, TEXT_OUTPUT);
	}
	if (r->lines)
		jsonl_feed(r->lines, piece);
	else
		response_unreadable(r, "no memory for a file");
}

void response_reader_lines_whole(struct response_reader *r)
{
	r->facts.complete = true;
}

/* What the lines of a file say together. A file that is not whole tells nothing of usage: it would be
 * told again. */
static void end_lines(struct response_reader *r)
{
	struct response_facts *f = &r->facts;
	const struct jsonl_facts *lines = jsonl_facts(r->lines);

	jsonl_end(r->lines);
	if (!lines->models_differ)
		response_set(&f->model, r->model, sizeof(r->model), lines->model);
	f->output_messages = lines->content;
	f->output_cut = lines->cut;
	f->output_truncated = lines->truncated;
	if (!f->complete || !lines->has_usage)
		return;
	f->has_usage = true;
	f->has_input = lines->has_input;
	f->has_output = lines->has_output;
	f->has_total = lines->has_total;
	f->input_tokens = lines->input_tokens;
	f->output_tokens = lines->output_tokens;
	f->total_tokens = lines->total_tokens;
	memcpy(f->parts, lines->parts, sizeof(f->parts));
}

void response_reader_fail(struct response_reader *r, const char *problem)
{
	response_unreadable(r, problem);
}

int response_reader_body(struct response_reader *r, struct slice piece)
{
	enum json_problem problem = json_scan_feed(r->scan, piece);

	if (problem)
		response_unreadable(r, json_problem_name(problem));
	return problem ? -EBADMSG : 0;
}

uint64_t response_reader_spent(struct response_reader *r)
{
	uint64_t spent = r->output.spent + r->abridge.spent + texts_take_spent(&r->told) +
			 (r->lines ? jsonl_spent(r->lines) : 0);

	r->output.spent = r->abridge.spent = 0;
	return spent;
}

/* What is kept of a stream: the items that are whole, and behind them the texts of those that are
 * not. */
static void end_stream(struct response_reader *r)
{
	struct response_facts *f = &r->facts;
	struct buf rest = BUF_EMPTY;

	take_text(r, buf_slice(&r->carry));
	response_keep_end(r, false);
	output_messages(&r->output, &rest);
	f->output_cut += r->output.cut_bytes;
	f->output_truncated = f->output_truncated || r->output.cut;
	if (!buf_len(&r->messages)) {
		r->messages = rest;
		return;
	}
	if (buf_len(&rest)) {
		r->messages.memory[r->messages.end - 1] = ',';
		if (buf_append_slice(&r->messages, slice_after(buf_slice(&rest), 1)) < 0) {
			r->messages.memory[r->messages.end - 1] = ']';
			f->output_truncated = true;
		}
	}
	buf_free(&rest);
}

static void end_finish_reasons(struct response_reader *r)
{
	size_t room = SIZE_MAX;

	if (!r->finish.len) {
		output_finish_reasons(&r->output, &r->finish_reasons);
		return;
	}
	if (buf_append_slice(&r->finish_reasons, SLICE("[\"")) < 0 ||
		!json_text_escape(&r->finish_reasons, r->finish, &room) ||
		buf_append_slice(&r->finish_reasons, SLICE("\"]")) < 0)
		buf_free(&r->finish_reasons);
}

void response_reader_end(struct response_reader *r)
{
	struct response_facts *f = &r->facts;

	if (!r->streamed)
		response_body_end(r);
	else if (r->content_max)
		end_stream(r);
	end_finish_reasons(r);
	f->output_messages = buf_slice(&r->messages);
	f->made = buf_slice(&r->made);
	if (buf_len(&r->verdicts) && buf_append_slice(&r->verdicts, SLICE("]")) == 0) {
		r->verdicts.memory[r->verdicts.start] = '[';
		f->verdicts = buf_slice(&r->verdicts);
	}
	f->refused |= slice_equal(r->finish, SLICE("refusal"));
	if (r->lines)
		end_lines(r);
	f->finish_reasons = buf_slice(&r->finish_reasons);
	if (!f->has_error)
		f->error_message = f->error_type = f->error_code = SLICE_NONE;
	else if (!f->error_type.len)
		f->error_type = r->inner;
}
