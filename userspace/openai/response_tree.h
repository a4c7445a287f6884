/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the events of all families have in common, read from an event that was parsed. */
#ifndef OPENAI_RESPONSE_TREE_H
#define OPENAI_RESPONSE_TREE_H

#include <yyjson.h>

#include "openai/response_reader.h"

/* Empty unless v is a string. */
struct slice tree_text(yyjson_val *v);

/* The next member of an object; false after the last. */
static inline bool tree_next(yyjson_obj_iter *members, struct slice *key, yyjson_val **value)
{
	yyjson_val *found = yyjson_obj_iter_next(members);

	if (!found)
		return false;
	*key = slice_of(yyjson_get_str(found), yyjson_get_len(found));
	*value = yyjson_obj_iter_get_val(found);
	return true;
}

/* Sets the error's code: a text, or a number in its place. */
void tree_code(struct response_reader *r, yyjson_val *code);
/* An error object; it may be a string, too. */
void tree_error(struct response_reader *r, yyjson_val *error);
/* An object of content_filter_results: its categories. */
void tree_verdicts(struct response_reader *r, bool of_prompt, yyjson_val *results);
/* Those of a list: of a prompt, or as each says itself ("source_type"). */
void tree_filters(struct response_reader *r, yyjson_val *list);
/* Takes the counts. False: there are none. What an earlier event counted gives way; of Anthropic's, to
 * what is counted anew. */
bool tree_usage(struct response_reader *r, yyjson_val *usage);

#endif
