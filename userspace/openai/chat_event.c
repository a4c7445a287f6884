// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_event.h"

#include "openai/response.h"
#include "openai/response_tree.h"

/* The function of a call, or the input of a custom one. */
static void read_call_texts(
	struct response_reader *r, struct output_call *call, yyjson_val *function)
{
	yyjson_obj_iter members = yyjson_obj_iter_with(function);
	struct slice key;
	yyjson_val *v;

	while (tree_next(&members, &key, &v)) {
		struct slice text = tree_text(v);

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
		struct slice id = tree_text(yyjson_obj_get(item, "id"));
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

	while (tree_next(&members, &key, &v)) {
		if (slice_equal(key, SLICE("content")) && yyjson_is_str(v)) {
			output_text(o, choice, OUTPUT_CONTENT, tree_text(v));
		} else if (slice_equal(key, SLICE("role")) && yyjson_is_str(v)) {
			output_role(choice, tree_text(v));
		} else if (slice_equal(key, SLICE("refusal")) && yyjson_is_str(v)) {
			output_text(o, choice, OUTPUT_REFUSAL, tree_text(v));
			r->facts.refused |= yyjson_get_len(v) > 0;
		} else if (slice_equal(key, SLICE("reasoning_content")) && yyjson_is_str(v)) {
			output_text(o, choice, OUTPUT_REASONING, tree_text(v));
		} else if (slice_equal(key, SLICE("tool_calls"))) {
			read_calls(r, choice, v);
		} else if (slice_equal(key, SLICE("function_call")) && yyjson_is_obj(v)) {
			call = output_call(o, choice, OUTPUT_FUNCTION_CALL, false);
			if (call)
				read_call_texts(r, call, v);
		} else if (slice_equal(key, SLICE("audio")) &&
			   yyjson_is_str(yyjson_obj_get(v, "transcript"))) {
			output_text(o, choice, OUTPUT_TRANSCRIPT,
				tree_text(yyjson_obj_get(v, "transcript")));
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
		struct slice finish = tree_text(yyjson_obj_get(item, "finish_reason"));
		struct output_choice *choice;

		if (!yyjson_is_obj(item))
			continue;
		choice = output_choice(
			&r->output, yyjson_is_num(index) ? yyjson_get_uint(index) : 0);
		if (!choice)
			continue;
		if (finish.len)
			output_finish(choice, finish);
		tree_verdicts(r, false, yyjson_obj_get(item, "content_filter_results"));
		if (yyjson_is_str(text) && r->operation->family == FAMILY_COMPLETION)
			output_text(&r->output, choice, OUTPUT_CONTENT, tree_text(text));
		read_delta(r, choice, yyjson_obj_get(item, "delta"));
	}
}

unsigned chat_event(struct response_reader *r, yyjson_val *root)
{
	struct response_facts *f = &r->facts;
	yyjson_obj_iter members = yyjson_obj_iter_with(root);
	bool no_choices = false, usage = false, more = false, error = false;
	yyjson_val *v, *status = NULL, *message = NULL;
	struct slice key;

	while (tree_next(&members, &key, &v)) {
		if (slice_equal(key, SLICE("id"))) {
			response_set(&f->id, r->id, sizeof(r->id), tree_text(v));
		} else if (slice_equal(key, SLICE("model"))) {
			response_set(&f->model, r->model, sizeof(r->model), tree_text(v));
		} else if (slice_equal(key, SLICE("choices"))) {
			no_choices = yyjson_is_arr(v) && yyjson_arr_size(v) == 0;
			read_choices(r, v);
		} else if (slice_equal(key, SLICE("usage"))) {
			usage = yyjson_is_obj(v) && tree_usage(r, v);
		} else if (slice_equal(key, SLICE("system_fingerprint"))) {
			response_set(&f->system_fingerprint, r->system_fingerprint,
				sizeof(r->system_fingerprint), tree_text(v));
		} else if (slice_equal(key, SLICE("service_tier"))) {
			response_set(&f->service_tier, r->service_tier, sizeof(r->service_tier),
				tree_text(v));
		} else if (slice_equal(key, SLICE("error")) && !yyjson_is_null(v)) {
			error = true;
			tree_error(r, v);
		} else if (slice_equal(key, SLICE("statusCode"))) {
			status = v;
		} else if (slice_equal(key, SLICE("message"))) {
			message = v;
		} else if (slice_equal(key, SLICE("prompt_filter_results")) ||
			   slice_equal(key, SLICE("prompt_annotations"))) {
			more = true;
			tree_filters(r, v);
		}
	}
	/* API Management's form of an error. */
	if (!error && yyjson_is_int(status) && yyjson_is_str(message)) {
		error = true;
		tree_error(r, message);
		tree_code(r, status);
	}
	return (error ? RESPONSE_EVENT_ERROR : 0U) |
	       (no_choices && usage && !more && !error ? RESPONSE_EVENT_USAGE_ONLY : 0U);
}
