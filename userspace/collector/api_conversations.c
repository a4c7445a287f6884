// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/api_internal.h"

static int conversation_row(void *context, const struct query_conversation *of)
{
	struct api_question *q = context;
	yyjson_mut_val *row = api_row(q);
	struct address_text ip = {""};

	if (of->has_source)
		ip = address_format(&of->source);
	api_time(q, row, "first", of->first_ns);
	api_time(q, row, "last", of->last_ns);
	api_put(q, row, "ip", slice_of_string(ip.text));
	api_put(q, row, "model", of->model);
	api_put(q, row, "question", of->question);
	api_put(q, row, "event.id", of->event_id);
	yyjson_mut_obj_add_uint(q->doc, row, "calls", of->calls);
	yyjson_mut_obj_add_uint(q->doc, row, "messages", of->messages);
	yyjson_mut_obj_add_uint(q->doc, row, "tokens", of->input_tokens + of->output_tokens);
	return 0;
}

int api_conversations(struct api_question *q)
{
	bool cut = false;
	int error = api_look(q, "conversations");

	api_rows(q, "conversations");
	if (!error)
		error = query_conversations(q->api->query, &q->filter, q->limit, conversation_row, q,
			&cut, &q->why);
	if (!error && cut)
		yyjson_mut_obj_add_bool(q->doc, q->root, "cut", true);
	return error;
}
