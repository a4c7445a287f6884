// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_event.h"

#include "openai/response.h"
#include "openai/response_tree.h"

/* The events of runs. What an event is about, its data says by "object". */

/* The pieces of a message's text: delta.content[].text.value. */
static void read_delta(struct response_reader *r, yyjson_val *root)
{
	yyjson_val *content = yyjson_obj_get(yyjson_obj_get(root, "delta"), "content"), *part;
	struct output_choice *choice;
	size_t at, count;

	yyjson_arr_foreach(content, at, count, part)
	{
		struct slice text =
			tree_text(yyjson_obj_get(yyjson_obj_get(part, "text"), "value"));

		choice = text.len ? output_choice(&r->output, 0) : NULL;
		if (choice)
			output_text(&r->output, choice, OUTPUT_CONTENT, text);
	}
}

/* The calls of tools: delta.step_details.tool_calls[].function. */
static void read_step(struct response_reader *r, yyjson_val *root)
{
	yyjson_val *details = yyjson_obj_get(yyjson_obj_get(root, "delta"), "step_details"), *item;
	struct output_choice *choice = output_choice(&r->output, 0);
	size_t at, count;

	yyjson_arr_foreach(yyjson_obj_get(details, "tool_calls"), at, count, item)
	{
		yyjson_val *function = yyjson_obj_get(item, "function");
		yyjson_val *index = yyjson_obj_get(item, "index");
		struct slice id = tree_text(yyjson_obj_get(item, "id"));
		struct output_call *call =
			!choice || !yyjson_is_obj(item)
				? NULL
				: output_call(&r->output, choice,
					  yyjson_is_uint(index) ? yyjson_get_uint(index)
								: OUTPUT_NO_INDEX,
					  id.len != 0);

		if (!call)
			return;
		output_call_text(&r->output, call, OUTPUT_CALL_ID, id);
		output_call_text(&r->output, call, OUTPUT_CALL_NAME,
			tree_text(yyjson_obj_get(function, "name")));
		output_call_text(&r->output, call, OUTPUT_CALL_ARGUMENTS,
			tree_text(yyjson_obj_get(function, "arguments")));
	}
}

static unsigned read_run(struct response_reader *r, yyjson_val *run)
{
	struct response_facts *f = &r->facts;
	yyjson_val *usage = yyjson_obj_get(run, "usage"),
		   *error = yyjson_obj_get(run, "last_error");

	f->object = SLICE("thread.run");
	response_set(&f->id, r->id, sizeof(r->id), tree_text(yyjson_obj_get(run, "id")));
	response_set(
		&f->model, r->model, sizeof(r->model), tree_text(yyjson_obj_get(run, "model")));
	/* How it stands changes from event to event. */
	r->finish = SLICE_NONE;
	response_set(&r->finish, r->finish_memory, sizeof(r->finish_memory),
		tree_text(yyjson_obj_get(run, "status")));
	if (yyjson_is_obj(usage))
		tree_usage(r, usage);
	if (!yyjson_is_obj(error))
		return 0;
	tree_error(r, error);
	return RESPONSE_EVENT_ERROR;
}

unsigned threads_event(struct response_reader *r, yyjson_val *root)
{
	struct slice object = tree_text(yyjson_obj_get(root, "object"));
	yyjson_val *error = yyjson_obj_get(root, "error");

	if (slice_equal(object, SLICE("thread.message.delta")))
		read_delta(r, root);
	else if (slice_equal(object, SLICE("thread.run.step.delta")))
		read_step(r, root);
	else if (slice_equal(object, SLICE("thread.run")))
		return read_run(r, root);
	else if (!object.len &&
		 (yyjson_is_str(yyjson_obj_get(root, "message")) || yyjson_is_obj(error))) {
		tree_error(r, yyjson_is_obj(error) ? error : root);
		return RESPONSE_EVENT_ERROR;
	}
	return 0;
}
