// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_event.h"

#include "openai/response.h"
#include "openai/response_tree.h"

static bool ends_with(struct slice text, struct slice end)
{
	return text.len >= end.len && slice_equal(slice_after(text, text.len - end.len), end);
}

unsigned media_event(struct response_reader *r, yyjson_val *root)
{
	struct slice type = tree_text(yyjson_obj_get(root, "type"));
	yyjson_val *usage = yyjson_obj_get(root, "usage"), *error = yyjson_obj_get(root, "error");

	if (slice_equal(type, SLICE("error")) || (error && !yyjson_is_null(error))) {
		tree_error(r, error && !yyjson_is_null(error) ? error : root);
		return RESPONSE_EVENT_ERROR;
	}
	if (yyjson_is_obj(usage))
		tree_usage(r, usage);
	if (slice_equal(type, SLICE("transcript.text.delta"))) {
		struct output_choice *choice = output_choice(&r->output, 0);

		if (choice)
			output_text(&r->output, choice, OUTPUT_CONTENT,
				tree_text(yyjson_obj_get(root, "delta")));
	}
	/* Of several images each has its own end. */
	if (ends_with(type, SLICE(".completed")) || ends_with(type, SLICE(".done")))
		r->facts.whole = true;
	return 0;
}
