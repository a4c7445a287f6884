// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_event.h"

#include <stdlib.h>

#include "openai/response.h"
#include "openai/response_tree.h"

/* The events that bring a piece of a text. */
static const struct {
	struct slice type;
	bool call; /* which is an enum output_call_text then */
	unsigned which;
} deltas[] = {
#define DELTA(type, call, which) {{"response." type, sizeof("response." type) - 1}, call, which}
	DELTA("output_text.delta", false, OUTPUT_CONTENT),
	DELTA("refusal.delta", false, OUTPUT_REFUSAL),
	DELTA("reasoning_text.delta", false, OUTPUT_REASONING),
	DELTA("reasoning_summary_text.delta", false, OUTPUT_REASONING),
	DELTA("audio.transcript.delta", false, OUTPUT_TRANSCRIPT),
	DELTA("function_call_arguments.delta", true, OUTPUT_CALL_ARGUMENTS),
	DELTA("mcp_call_arguments.delta", true, OUTPUT_CALL_ARGUMENTS),
	DELTA("custom_tool_call_input.delta", true, OUTPUT_CALL_ARGUMENTS),
	DELTA("code_interpreter_call_code.delta", true, OUTPUT_CALL_ARGUMENTS),
#undef DELTA
};

static uint64_t index_of(yyjson_val *root)
{
	yyjson_val *index = yyjson_obj_get(root, "output_index");

	return yyjson_is_uint(index) ? yyjson_get_uint(index) : 0;
}

/* True: the event is a piece of a text. */
static bool read_delta(struct response_reader *r, struct slice type, yyjson_val *root)
{
	struct slice text = tree_text(yyjson_obj_get(root, "delta"));
	struct output_choice *choice;
	struct output_call *call;

	for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
		if (!slice_equal(type, deltas[i].type))
			continue;
		choice = output_choice(&r->output, index_of(root));
		r->facts.refused |= !deltas[i].call && deltas[i].which == OUTPUT_REFUSAL && text.len;
		if (choice && !deltas[i].call) {
			output_text(&r->output, choice, (enum output_text)deltas[i].which, text);
		} else if (choice) {
			call = output_call(&r->output, choice, 0, false);
			if (call)
				output_call_text(&r->output, call,
					(enum output_call_text)deltas[i].which, text);
		}
		return true;
	}
	return false;
}

/* An item has begun: of a call the name is known, its arguments are to come. */
static void item_added(struct response_reader *r, yyjson_val *root)
{
	yyjson_val *item = yyjson_obj_get(root, "item");
	struct slice name = tree_text(yyjson_obj_get(item, "name"));
	struct output_choice *choice;
	struct output_call *call;

	if (!name.len)
		return;
	choice = output_choice(&r->output, index_of(root));
	call = choice ? output_call(&r->output, choice, 0, false) : NULL;
	if (!call)
		return;
	output_call_text(&r->output, call, OUTPUT_CALL_NAME, name);
	output_call_text(&r->output, call, OUTPUT_CALL_ID,
		tree_text(yyjson_obj_get(item, "call_id")));
}

static void keep_item(struct response_reader *r, yyjson_val *item)
{
	size_t len;
	char *json;

	if (!yyjson_is_obj(item))
		return;
	json = yyjson_val_write(item, YYJSON_WRITE_NOFLAG, &len);
	if (json)
		response_keep_item(r, slice_of(json, len));
	else
		r->facts.output_truncated = true;
	free(json);
}

/* An item is whole, as it stays: the pieces of its texts are not needed any more. */
static void item_done(struct response_reader *r, yyjson_val *root)
{
	output_forget(&r->output, index_of(root));
	keep_item(r, yyjson_obj_get(root, "item"));
}

/* The object that is the response, at its beginning and its end. */
static void read_response(struct response_reader *r, yyjson_val *response)
{
	struct response_facts *f = &r->facts;

	response_set(&f->id, r->id, sizeof(r->id), tree_text(yyjson_obj_get(response, "id")));
	response_set(&f->model, r->model, sizeof(r->model),
		tree_text(yyjson_obj_get(response, "model")));
	f->background |= yyjson_is_true(yyjson_obj_get(response, "background"));
	if (yyjson_is_obj(yyjson_obj_get(response, "usage")))
		tree_usage(r, yyjson_obj_get(response, "usage"));
}

/* The tier that served it is known at the end. */
static unsigned response_ended(struct response_reader *r, yyjson_val *response)
{
	struct response_facts *f = &r->facts;
	yyjson_val *error = yyjson_obj_get(response, "error"), *item;
	bool known = r->items;
	size_t at, count;

	read_response(r, response);
	tree_filters(r, yyjson_obj_get(response, "content_filters"));
	response_set(&f->service_tier, r->service_tier, sizeof(r->service_tier),
		tree_text(yyjson_obj_get(response, "service_tier")));
	response_set(&r->finish, r->finish_memory, sizeof(r->finish_memory),
		tree_text(yyjson_obj_get(yyjson_obj_get(response, "incomplete_details"), "reason")));
	response_set(&r->finish, r->finish_memory, sizeof(r->finish_memory),
		tree_text(yyjson_obj_get(response, "status")));
	/* A stream that was taken up again has the items of before here only. */
	yyjson_arr_foreach(yyjson_obj_get(response, "output"), at, count, item) {
		if (!known)
			keep_item(r, item);
	}
	f->complete = true;
	if (!yyjson_is_obj(error))
		return RESPONSE_EVENT_DONE;
	tree_error(r, error);
	return RESPONSE_EVENT_DONE | RESPONSE_EVENT_ERROR;
}

unsigned responses_event(struct response_reader *r, yyjson_val *root)
{
	struct slice type = tree_text(yyjson_obj_get(root, "type"));
	yyjson_val *response = yyjson_obj_get(root, "response"), *error = yyjson_obj_get(root, "error");

	if (slice_equal(type, SLICE("error")) || (!type.len && error && !yyjson_is_null(error))) {
		tree_error(r, error && !yyjson_is_null(error) ? error : root);
		return RESPONSE_EVENT_ERROR;
	}
	if (read_delta(r, type, root))
		return 0;
	if (slice_equal(type, SLICE("response.output_item.added")))
		item_added(r, root);
	else if (slice_equal(type, SLICE("response.output_item.done")))
		item_done(r, root);
	else if (slice_equal(type, SLICE("response.completed")) ||
		 slice_equal(type, SLICE("response.incomplete")) ||
		 slice_equal(type, SLICE("response.failed")) ||
		 slice_equal(type, SLICE("response.done"))) /* of a realtime session */
		return response_ended(r, response);
	else if (yyjson_is_obj(response))
		read_response(r, response);
	return 0;
}
