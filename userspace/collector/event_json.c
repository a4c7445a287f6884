// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/event_json.h"

#include <msgpack.h>
#include <string.h>

#include "collector/row.h"
#include "collector/when.h"

/* ---- what messages say ---- */

static struct slice event_string(yyjson_val *value)
{
	return slice_of(yyjson_get_str(value), yyjson_get_len(value));
}

/* A message's content is a text, or parts with texts: the first of them. */
static yyjson_val *event_text(yyjson_val *message)
{
	yyjson_val *content = yyjson_obj_get(message, "content"), *part;
	yyjson_arr_iter each;

	if (yyjson_is_arr(content)) {
		yyjson_arr_iter_init(content, &each);
		while ((part = yyjson_arr_iter_next(&each)))
			if (yyjson_is_str(yyjson_obj_get(part, "text")))
				return yyjson_obj_get(part, "text");
	}
	if (!yyjson_is_str(content))
		content = yyjson_obj_get(message, "refusal");
	if (!yyjson_is_str(content))
		content = yyjson_obj_get(message, "output");
	return yyjson_is_str(content) ? content : NULL;
}

bool event_json_first(struct slice messages, struct buf *out)
{
	yyjson_doc *doc = yyjson_read(messages.data, messages.len, 0);
	yyjson_val *message, *text = NULL;
	yyjson_arr_iter each;
	bool tool = false;

	if (!doc)
		return false;
	yyjson_arr_iter_init(yyjson_doc_get_root(doc), &each);
	while (!text && (message = yyjson_arr_iter_next(&each))) {
		text = event_text(message);
		if (text)
			break;
		text = yyjson_arr_get_first(yyjson_obj_get(message, "tool_calls"));
		text = yyjson_obj_get(yyjson_obj_get(text, "function"), "name");
		tool = yyjson_is_str(text);
		text = tool ? text : NULL;
	}
	/* Without memory there is less to be seen, which is no harm. */
	(void)buf_append_slice(out, event_string(text));
	yyjson_doc_free(doc);
	return tool;
}

void event_json_last(struct slice messages, struct buf *out)
{
	yyjson_doc *doc = yyjson_read(messages.data, messages.len, 0);
	yyjson_val *message = yyjson_arr_get_last(yyjson_doc_get_root(doc)), *text;

	text = yyjson_is_str(message) ? message : event_text(message);
	(void)buf_append_slice(out, event_string(text));
	yyjson_doc_free(doc);
}

/* ---- the record ---- */

static yyjson_mut_val *event_json_string(yyjson_mut_doc *doc, struct slice key, struct slice text)
{
	/* These are JSON in the record: as values they can be looked into. */
	static const enum schema_id inner[] = {SCHEMA_ID_input_messages,
		SCHEMA_ID_output_messages, SCHEMA_ID_tools, SCHEMA_ID_finish_reasons,
		SCHEMA_ID_source_drops, SCHEMA_ID_attempts_made, SCHEMA_ID_request_tool_types,
		SCHEMA_ID_content_filter, SCHEMA_ID_input_parts};

	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		yyjson_doc *value;
		yyjson_mut_val *copy;

		if (!slice_equal(key, schema_fields[inner[i]].name))
			continue;
		value = yyjson_read(text.data, text.len, 0);
		if (!value)
			break;
		copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(value));
		yyjson_doc_free(value);
		return copy;
	}
	return yyjson_mut_strncpy(doc, text.len ? text.data : "", text.len);
}

static yyjson_mut_val *event_json_value(
	yyjson_mut_doc *doc, struct slice key, const msgpack_object *object)
{
	switch (object->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		return yyjson_mut_bool(doc, object->via.boolean);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return yyjson_mut_uint(doc, object->via.u64);
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return yyjson_mut_sint(doc, object->via.i64);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return yyjson_mut_real(doc, object->via.f64);
	case MSGPACK_OBJECT_STR:
		return event_json_string(
			doc, key, slice_of(object->via.str.ptr, object->via.str.size));
	default:
		return yyjson_mut_null(doc);
	}
}

/* Texts that say who, where and what became of it, never what was said. Whoever may see numbers only is
 * shown these: a field that is new, or of a foreign sender, is kept from him until it stands here. */
#define EVENT_NAMES(X)                                                                             \
	X(epoch) X(id) X(kind) X(action) X(outcome) X(observer) X(server_address)                  \
	X(tls_server_name) X(tls_client_version) X(method) X(user_agent) X(error_type)             \
	X(backend_name) X(backend_address) X(backend_region) X(operation) X(provider)              \
	X(request_model) X(azure_deployment) X(azure_api_version) X(request_effort)                \
	X(request_service_tier) X(response_id) X(response_model) X(finish_reasons)                 \
	X(response_service_tier) X(usage_source) X(request_user) X(body_problem) X(request_edit)   \
	X(response_request_id) X(attempts_made) X(request_tool_types) X(source_drops) X(drop_reason) X(datapath_subject)                  \
	X(datapath_state) X(datapath_reason) X(bypass_reason)

static bool event_json_is_number_or_name(struct slice key, const msgpack_object *value)
{
	static const bool names[SCHEMA_COUNT] = {
#define EVENT_NAME(member) [SCHEMA_ID_##member] = true,
		EVENT_NAMES(EVENT_NAME)
#undef EVENT_NAME
	};
	int id = 0;

	while (id < SCHEMA_COUNT && !slice_equal(schema_fields[id].name, key))
		id++;
	if (id == SCHEMA_COUNT || names[id] || schema_fields[id].kind == SCHEMA_ADDRESS)
		return id < SCHEMA_COUNT;
	/* Of a foreign sender a number may be a text. */
	return schema_fields[id].kind != SCHEMA_TEXT && value->type != MSGPACK_OBJECT_STR;
}

yyjson_mut_val *event_json(yyjson_mut_doc *doc, const struct query_event *event, unsigned parts)
{
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	msgpack_unpacked unpacked;
	size_t offset = 0;

	msgpack_unpacked_init(&unpacked);
	if (!root || msgpack_unpack_next(&unpacked, event->record.data, event->record.len,
			     &offset) != MSGPACK_UNPACK_SUCCESS ||
		unpacked.data.type != MSGPACK_OBJECT_MAP) {
		msgpack_unpacked_destroy(&unpacked);
		return NULL;
	}
	yyjson_mut_obj_add_strcpy(doc, root, "@timestamp", when_format(event->time_ns).text);
	if (event->conflict)
		yyjson_mut_obj_add_bool(doc, root, "event.conflict", true);
	for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
		const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
		struct slice key = row_text(&pair->key);

		if (pair->key.type != MSGPACK_OBJECT_STR ||
			(!(parts & EVENT_JSON_QUOTES) && !event_json_is_number_or_name(key, &pair->val)))
			continue;
		yyjson_mut_obj_add(root, yyjson_mut_strncpy(doc, key.len ? key.data : "", key.len),
			event_json_value(doc, key, &pair->val));
	}
	msgpack_unpacked_destroy(&unpacked);
	for (unsigned kind = 0; kind < CONTENT_KINDS && (parts & EVENT_JSON_CONTENT); kind++) {
		struct slice key = schema_fields[row_content_field((enum content_kind)kind)].name;

		if (event->content[kind].len)
			yyjson_mut_obj_add(root, yyjson_mut_strncpy(doc, key.data, key.len),
				event_json_string(doc, key, event->content[kind]));
	}
	return root;
}
