// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#include "openai/json_text.h"
#include "openai/response_body.h"

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
	if (!streamed && response_body_init(r) < 0) {
		free(r);
		return NULL;
	}
	return r;
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
	json_scan_free(r->scan);
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

static struct slice text_of(yyjson_val *v)
{
	return yyjson_is_str(v) ? slice_of(yyjson_get_str(v), yyjson_get_len(v)) : SLICE_NONE;
}

/* The next member of an object; false after the last. */
static inline bool next_member(yyjson_obj_iter *members, struct slice *key, yyjson_val **value)
{
	yyjson_val *found = yyjson_obj_iter_next(members);

	if (!found)
		return false;
	*key = slice_of(yyjson_get_str(found), yyjson_get_len(found));
	*value = yyjson_obj_iter_get_val(found);
	return true;
}

/* A text, or a number in its place. */
static void set_code(struct response_reader *r, yyjson_val *code)
{
	char number[24];

	if (yyjson_is_int(code)) {
		snprintf(number, sizeof(number), "%lld", (long long)yyjson_get_sint(code));
		response_set(&r->facts.error_code, r->error_code, sizeof(r->error_code),
			slice_of_string(number));
	} else {
		response_set(
			&r->facts.error_code, r->error_code, sizeof(r->error_code), text_of(code));
	}
}

/* error may be a string, too. */
static void read_error(struct response_reader *r, yyjson_val *error)
{
	struct response_facts *f = &r->facts;
	yyjson_val *inner = yyjson_obj_get(yyjson_obj_get(error, "innererror"), "code");

	f->has_error = true;
	response_set(&f->error_message, r->error_message, sizeof(r->error_message),
		text_of(yyjson_is_str(error) ? error : yyjson_obj_get(error, "message")));
	response_set(&f->error_type, r->error_type, sizeof(r->error_type),
		text_of(yyjson_obj_get(error, "type")));
	response_set(&r->inner, r->inner_code, sizeof(r->inner_code), text_of(inner));
	set_code(r, yyjson_obj_get(error, "code"));
}

static bool is_count(yyjson_val *v)
{
	return yyjson_is_uint(v) && yyjson_get_uint(v) <= INT64_MAX;
}

/* The first of two names that is a count. False when neither is. */
static bool read_count(yyjson_val *object, const char *name, const char *other, uint64_t *count)
{
	yyjson_val *v = yyjson_obj_get(object, name);

	if (!is_count(v))
		v = yyjson_obj_get(object, other);
	if (!is_count(v))
		return false;
	*count = yyjson_get_uint(v);
	return true;
}

/* False: it has no count. What an earlier chunk counted gives way. */
static bool read_usage(struct response_reader *r, yyjson_val *usage)
{
	struct response_facts *f = &r->facts;
	yyjson_val *input = yyjson_obj_get(usage, "prompt_tokens_details");
	yyjson_val *output = yyjson_obj_get(usage, "completion_tokens_details");
	uint64_t in = 0, out = 0, total = 0;
	bool has_in = read_count(usage, "prompt_tokens", "input_tokens", &in);
	bool has_out = read_count(usage, "completion_tokens", "output_tokens", &out);
	bool has_total = read_count(usage, "total_tokens", "total_tokens", &total);

	if (!has_in && !has_out && !has_total)
		return false;
	f->has_input = has_in;
	f->has_output = has_out;
	f->has_total = has_total;
	f->input_tokens = in;
	f->output_tokens = out;
	f->total_tokens = total;
	response_usage(f);
	if (!yyjson_is_obj(input))
		input = yyjson_obj_get(usage, "input_tokens_details");
	if (!yyjson_is_obj(output))
		output = yyjson_obj_get(usage, "output_tokens_details");
	read_count(input, "cached_tokens", "cached_tokens", &f->cached_tokens);
	read_count(output, "reasoning_tokens", "reasoning_tokens", &f->reasoning_tokens);
	return true;
}

/* The function of a call, or the input of a custom one. */
static void read_call_texts(
	struct response_reader *r, struct output_call *call, yyjson_val *function)
{
	yyjson_obj_iter members = yyjson_obj_iter_with(function);
	struct slice key;
	yyjson_val *v;

	while (next_member(&members, &key, &v)) {
		struct slice text = text_of(v);

		if (slice_equal(key, SLICE("name")))
			output_call_text(&r->output, call, OUTPUT_CALL_NAME, text);
		else if (slice_equal(key, SLICE("arguments")) || slice_equal(key, SLICE("input")))
			output_call_text(&r->output, call, OUTPUT_CALL_ARGUMENTS, text);
	}
}

static void read_calls(struct response_reader *r, struct output_choice *choice, yyjson_val *calls)
{
	yyjson_arr_iter items = yyjson_arr_iter_with(calls);
	yyjson_val *item;

	while ((item = yyjson_arr_iter_next(&items))) {
		yyjson_val *index = yyjson_obj_get(item, "index");
		yyjson_val *custom = yyjson_obj_get(item, "custom");
		struct slice id = text_of(yyjson_obj_get(item, "id"));
		struct output_call *call;

		if (!yyjson_is_obj(item))
			continue;
		call = output_call(&r->output, choice,
			yyjson_is_uint(index) && yyjson_get_uint(index) < OUTPUT_NO_INDEX
				? yyjson_get_uint(index)
				: OUTPUT_NO_INDEX,
			id.len != 0);
		if (!call)
			return;
		output_call_text(&r->output, call, OUTPUT_CALL_ID, id);
		if (yyjson_is_obj(custom))
			output_call_custom(call);
		read_call_texts(r, call, custom ? custom : yyjson_obj_get(item, "function"));
	}
}

static void read_delta(struct response_reader *r, struct output_choice *choice, yyjson_val *delta)
{
	yyjson_obj_iter members = yyjson_obj_iter_with(delta);
	struct output *o = &r->output;
	struct output_call *call;
	struct slice key;
	yyjson_val *v;

	while (next_member(&members, &key, &v)) {
		if (slice_equal(key, SLICE("content")) && yyjson_is_str(v)) {
			output_text(o, choice, OUTPUT_CONTENT, text_of(v));
		} else if (slice_equal(key, SLICE("role")) && yyjson_is_str(v)) {
			output_role(choice, text_of(v));
		} else if (slice_equal(key, SLICE("refusal")) && yyjson_is_str(v)) {
			output_text(o, choice, OUTPUT_REFUSAL, text_of(v));
		} else if (slice_equal(key, SLICE("reasoning_content")) && yyjson_is_str(v)) {
			output_text(o, choice, OUTPUT_REASONING, text_of(v));
		} else if (slice_equal(key, SLICE("tool_calls"))) {
			read_calls(r, choice, v);
		} else if (slice_equal(key, SLICE("function_call")) && yyjson_is_obj(v)) {
			call = output_call(o, choice, OUTPUT_FUNCTION_CALL, false);
			if (call)
				read_call_texts(r, call, v);
		} else if (slice_equal(key, SLICE("audio")) &&
			   yyjson_is_str(yyjson_obj_get(v, "transcript"))) {
			output_text(o, choice, OUTPUT_TRANSCRIPT,
				text_of(yyjson_obj_get(v, "transcript")));
		}
	}
}

/* Azure's chunks of asynchronous filtering have a choice without a delta; a "text" is that of the
 * older completions. */
static void read_choices(struct response_reader *r, yyjson_val *choices)
{
	yyjson_arr_iter items = yyjson_arr_iter_with(choices);
	yyjson_val *item;

	while ((item = yyjson_arr_iter_next(&items))) {
		yyjson_val *index = yyjson_obj_get(item, "index");
		yyjson_val *text = yyjson_obj_get(item, "text");
		struct slice finish = text_of(yyjson_obj_get(item, "finish_reason"));
		struct output_choice *choice;

		if (!yyjson_is_obj(item))
			continue;
		choice = output_choice(
			&r->output, yyjson_is_num(index) ? yyjson_get_uint(index) : 0);
		if (!choice)
			continue;
		if (finish.len)
			output_finish(choice, finish);
		if (yyjson_is_str(text) && r->operation->id == OPERATION_COMPLETION)
			output_text(&r->output, choice, OUTPUT_CONTENT, text_of(text));
		read_delta(r, choice, yyjson_obj_get(item, "delta"));
	}
}

static unsigned read_chunk(struct response_reader *r, yyjson_val *root)
{
	struct response_facts *f = &r->facts;
	yyjson_obj_iter members = yyjson_obj_iter_with(root);
	bool no_choices = false, usage = false, more = false, error = false;
	yyjson_val *v, *status = NULL, *message = NULL;
	struct slice key;

	while (next_member(&members, &key, &v)) {
		if (slice_equal(key, SLICE("id"))) {
			response_set(&f->id, r->id, sizeof(r->id), text_of(v));
		} else if (slice_equal(key, SLICE("model"))) {
			response_set(&f->model, r->model, sizeof(r->model), text_of(v));
		} else if (slice_equal(key, SLICE("choices"))) {
			no_choices = yyjson_is_arr(v) && yyjson_arr_size(v) == 0;
			read_choices(r, v);
		} else if (slice_equal(key, SLICE("usage"))) {
			usage = yyjson_is_obj(v) && read_usage(r, v);
		} else if (slice_equal(key, SLICE("system_fingerprint"))) {
			response_set(&f->system_fingerprint, r->system_fingerprint,
				sizeof(r->system_fingerprint), text_of(v));
		} else if (slice_equal(key, SLICE("error")) && !yyjson_is_null(v)) {
			error = true;
			read_error(r, v);
		} else if (slice_equal(key, SLICE("statusCode"))) {
			status = v;
		} else if (slice_equal(key, SLICE("message"))) {
			message = v;
		} else if (slice_equal(key, SLICE("prompt_filter_results")) ||
			   slice_equal(key, SLICE("prompt_annotations"))) {
			more = true;
		}
	}
	/* API Management's form of an error. */
	if (!error && yyjson_is_int(status) && yyjson_is_str(message)) {
		error = true;
		read_error(r, message);
		set_code(r, status);
	}
	return (error ? RESPONSE_EVENT_ERROR : 0U) |
	       (no_choices && usage && !more && !error ? RESPONSE_EVENT_USAGE_ONLY : 0U);
}

/* Parses data, in the memory of alc when it fits there. NULL: not readable. */
static yyjson_doc *parse(struct slice data, const yyjson_alc *alc, yyjson_read_err *error)
{
	bool small = yyjson_read_max_memory_usage(data.len, 0) <= POOL_SIZE - 256;

	return yyjson_read_opts((char *)(uintptr_t)data.data, data.len, YYJSON_READ_BIGNUM_AS_RAW,
		small ? alc : NULL, error);
}

static unsigned read_json(struct response_reader *r, struct slice data)
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
		doc = parse(buf_slice(&repaired), &alc, &error);
	}
	if (!doc)
		response_unreadable(r, "invalid JSON");
	else if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
		response_unreadable(r, "not a JSON object");
	else
		flags = read_chunk(r, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	buf_free(&repaired);
	return flags;
}

unsigned response_reader_event(struct response_reader *r, struct slice data)
{
	unsigned flags;

	r->facts.nevents++;
	data = slice_trim(data);
	if (slice_equal(data, SLICE("[DONE]"))) {
		r->facts.complete = true;
		return RESPONSE_EVENT_DONE;
	}
	flags = read_json(r, data);
	r->facts.output_bytes = r->output.bytes;
	return flags;
}

void response_reader_skipped(struct response_reader *r)
{
	r->facts.nevents++;
	response_unreadable(r, "event too long");
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
	uint64_t spent = r->output.spent + r->abridge.spent;

	r->output.spent = r->abridge.spent = 0;
	return spent;
}

void response_reader_end(struct response_reader *r)
{
	struct response_facts *f = &r->facts;

	if (!r->streamed)
		response_body_end(r);
	else if (r->content_max)
		output_messages(&r->output, &r->messages);
	output_finish_reasons(&r->output, &r->finish_reasons);
	f->output_truncated = f->output_truncated || (r->content_max && r->output.cut);
	if (r->streamed && r->content_max)
		f->output_cut = r->output.cut_bytes;
	f->output_messages = buf_slice(&r->messages);
	f->finish_reasons = buf_slice(&r->finish_reasons);
	if (!f->has_error)
		f->error_message = f->error_type = f->error_code = SLICE_NONE;
	else if (!f->error_type.len)
		f->error_type = r->inner;
}
