/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events as JSON, for the commands and the API alike. */
#ifndef COLLECTOR_EVENT_JSON_H
#define COLLECTOR_EVENT_JSON_H

#include <stdbool.h>
#include <yyjson.h>

#include "base/buf.h"
#include "collector/query.h"

enum event_json_parts {
	EVENT_JSON_CONTENT = 1, /* what was said: messages, tools */
	EVENT_JSON_QUOTES = 2,	/* texts that may quote it: the error's message, the path, unknown ones */
	EVENT_JSON_ALL = 3,
};

/* The whole record as an object of doc; messages, which are JSON themselves, as values. NULL: the
 * record is none, or there is no memory. */
yyjson_mut_val *event_json(yyjson_mut_doc *doc, const struct query_event *event, unsigned parts);

/* Append to out; nothing, where there is nothing.
 * The text of the first message that has one; true: it is the name of a tool that is called. */
bool event_json_first(struct slice messages, struct buf *out);
/* What the last message says: in a request, what is new in it. */
void event_json_last(struct slice messages, struct buf *out);

#endif
