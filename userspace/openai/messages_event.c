// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_event.h"

#include "openai/response.h"
#include "openai/response_tree.h"

/* The events of Anthropic's messages: one message, of blocks that come one after another. */

static uint64_t index_of(yyjson_val *root)
{
	yyjson_val *index = yyjson_obj_get(root, "index");

	return yyjson_is_uint(index) ? yyjson_get_uint(index) : 0;
}

/* The call of a tool that is the block with this index. */
static struct output_call *call_of(struct response_reader *r, yyjson_val *root)
{
	struct output_choice *choice = output_choice(&r->output, 0);

	return choice ? output_call(&r->output, choice, index_of(root), false) : NULL;
}

static void read_text(struct response_reader *r, enum output_text which, struct slice text)
{
	struct output_choice *choice = text.len ? output_choice(&r->output, 0) : NULL;

	if (choice)
		output_text(&r->output, choice, which, text);
}

/* A tool has a name, whoever runs it: the client, the service, or a server of MCP. */
static void block_begins(struct response_reader *r, yyjson_val *root)
{
	yyjson_val *block = yyjson_obj_get(root, "content_block");
	struct slice name = tree_text(yyjson_obj_get(block, "name"));
	struct output_call *call;

	read_text(r, OUTPUT_CONTENT, tree_text(yyjson_obj_get(block, "text")));
	read_text(r, OUTPUT_REASONING, tree_text(yyjson_obj_get(block, "thinking")));
	call = name.len ? call_of(r, root) : NULL;
	if (!call)
		return;
	output_call_text(&r->output, call, OUTPUT_CALL_NAME, name);
	output_call_text(&r->output, call, OUTPUT_CALL_ID, tree_text(yyjson_obj_get(block, "id")));
}

static void block_goes_on(struct response_reader *r, yyjson_val *root)
{
	yyjson_val *delta = yyjson_obj_get(root, "delta");
	struct slice json = tree_text(yyjson_obj_get(delta, "partial_json"));
	struct output_call *call = json.len ? call_of(r, root) : NULL;

	read_text(r, OUTPUT_CONTENT, tree_text(yyjson_obj_get(delta, "text")));
	read_text(r, OUTPUT_REASONING, tree_text(yyjson_obj_get(delta, "thinking")));
	if (call)
		output_call_text(&r->output, call, OUTPUT_CALL_ARGUMENTS, json);
}

static void message_begins(struct response_reader *r, yyjson_val *message)
{
	struct response_facts *f = &r->facts;
	yyjson_val *usage = yyjson_obj_get(message, "usage");

	response_set(&f->id, r->id, sizeof(r->id), tree_text(yyjson_obj_get(message, "id")));
	response_set(
		&f->model, r->model, sizeof(r->model), tree_text(yyjson_obj_get(message, "model")));
	response_set(&f->service_tier, r->service_tier, sizeof(r->service_tier),
		tree_text(yyjson_obj_get(usage, "service_tier")));
	if (yyjson_is_obj(usage))
		tree_usage(r, usage);
}

/* Told once, near the end; its counts are those of the whole message. */
static void message_changes(struct response_reader *r, yyjson_val *root)
{
	yyjson_val *usage = yyjson_obj_get(root, "usage");

	response_set(&r->finish, r->finish_memory, sizeof(r->finish_memory),
		tree_text(yyjson_obj_get(yyjson_obj_get(root, "delta"), "stop_reason")));
	if (yyjson_is_obj(usage))
		tree_usage(r, usage);
}

unsigned messages_event(struct response_reader *r, yyjson_val *root)
{
	struct slice type = tree_text(yyjson_obj_get(root, "type"));
	yyjson_val *error = yyjson_obj_get(root, "error");

	if (slice_equal(type, SLICE("error")) || (!type.len && error && !yyjson_is_null(error))) {
		tree_error(r, error && !yyjson_is_null(error) ? error : root);
		return RESPONSE_EVENT_ERROR;
	}
	if (slice_equal(type, SLICE("content_block_delta")))
		block_goes_on(r, root);
	else if (slice_equal(type, SLICE("content_block_start")))
		block_begins(r, root);
	else if (slice_equal(type, SLICE("message_start")))
		message_begins(r, yyjson_obj_get(root, "message"));
	else if (slice_equal(type, SLICE("message_delta")))
		message_changes(r, root);
	if (!slice_equal(type, SLICE("message_stop")))
		return 0;
	r->facts.complete = true;
	return RESPONSE_EVENT_DONE;
}
