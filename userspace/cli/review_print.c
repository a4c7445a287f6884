// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cell.h"
#include "cli/json_print.h"
#include "cli/review.h"
#include "collector/row.h"

#define REVIEW_PREVIEW 100 /* characters of an answer that a line shows */
#define REVIEW_FACT    120 /* and of a name or value of another kind of event */


static struct slice review_string(yyjson_val *value)
{
	return slice_of(yyjson_get_str(value), yyjson_get_len(value));
}

/* The text of the first message with content. */
static void review_print_preview(FILE *out, struct slice messages)
{
	yyjson_doc *doc = yyjson_read(messages.data, messages.len, 0);
	yyjson_val *message, *content;
	yyjson_arr_iter each;

	if (!doc)
		return;
	yyjson_arr_iter_init(yyjson_doc_get_root(doc), &each);
	while ((message = yyjson_arr_iter_next(&each))) {
		content = yyjson_obj_get(message, "content");
		if (!yyjson_is_str(content))
			content = yyjson_obj_get(message, "refusal");
		if (yyjson_is_str(content)) {
			cell_text(out, review_string(content), REVIEW_PREVIEW);
			break;
		}
		content = yyjson_arr_get_first(yyjson_obj_get(message, "tool_calls"));
		content = yyjson_obj_get(yyjson_obj_get(content, "function"), "name");
		if (yyjson_is_str(content)) {
			fputs("→ ", out);
			cell_text(out, review_string(content), REVIEW_PREVIEW);
			break;
		}
	}
	yyjson_doc_free(doc);
}

static bool kind_has_facts(struct slice kind)
{
	return slice_starts_with(kind, SLICE("source.")) ||
	       slice_starts_with(kind, SLICE("datapath.")) || slice_equal(kind, SLICE("bypass"));
}

void review_print_heading(FILE *out, const char *kind)
{
	if (kind_has_facts(slice_of_string(kind))) {
		fprintf(out, "%-20s %-15s %s\n", "TIME", "SOURCE", "KIND");
		return;
	}
	fprintf(out, "%-20s %-15s %-24s %6s %7s %7s %-9s %s\n", "TIME", "SOURCE", "MODEL", "STATUS",
		"INPUT", "OUTPUT", "USAGE", "ANSWER");
}

struct review_time_text review_time_format(uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / NS_PER_S);
	struct review_time_text when;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(when.text, sizeof(when.text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return when;
}

static void review_print_fact(FILE *out, const char *gap, struct slice name, struct slice value)
{
	fputs(gap, out);
	cell_text(out, name, REVIEW_FACT);
	fputc('=', out);
	cell_text(out, value, REVIEW_FACT);
}

/* The fields in which the kind of event differs from others, as NAME=VALUE. */
static void review_print_facts(FILE *out, const struct query_event *event)
{
	static const struct slice prefixes[] = {{"source.", 7}, {"drop.", 5}, {"datapath.", 9},
		{"bypass.", 7}, {"destination.", 12}, {"tls.server_name", 15}};
	msgpack_unpacked unpacked;
	const char *gap = "";
	char number[24];
	size_t offset = 0;

	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, event->record.data, event->record.len, &offset) !=
			MSGPACK_UNPACK_SUCCESS ||
		unpacked.data.type != MSGPACK_OBJECT_MAP)
		goto out;
	for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
		const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
		struct slice name;
		bool wanted = false, action;

		if (pair->key.type != MSGPACK_OBJECT_STR)
			continue;
		name = slice_of(pair->key.via.str.ptr, pair->key.via.str.size);
		for (size_t j = 0; j < sizeof(prefixes) / sizeof(prefixes[0]); j++)
			wanted = wanted || slice_starts_with(name, prefixes[j]);
		action = slice_equal(name, SLICE("event.action")) &&
			 slice_equal(event->kind, SLICE("bypass"));
		if ((!wanted && !action) || slice_equal(name, SLICE("source.ip")))
			continue;
		if (pair->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER && pair->val.via.u64)
			review_print_fact(out, gap, name,
				slice_of(number, (size_t)snprintf(number, sizeof(number), "%llu",
							 (unsigned long long)pair->val.via.u64)));
		else if (pair->val.type == MSGPACK_OBJECT_STR)
			review_print_fact(out, gap, name,
				slice_of(pair->val.via.str.ptr, pair->val.via.str.size));
		else
			continue;
		gap = " ";
	}
out:
	msgpack_unpacked_destroy(&unpacked);
	fputc('\n', out);
}

void review_print_event(FILE *out, const struct query_event *event)
{
	fprintf(out, "%-20s ", review_time_format(event->time_ns).text);
	cell_print(out, 15, event->source_ip);
	if (event->conflict)
		fputs("CONFLICT ", out);
	if (kind_has_facts(event->kind)) {
		cell_print(out, 0, event->kind);
		review_print_facts(out, event);
		return;
	}
	cell_print(out, 24, event->model);
	fprintf(out, "%6lld %7llu %7llu ", (long long)event->status,
		(unsigned long long)event->input_tokens, (unsigned long long)event->output_tokens);
	cell_print(out, 9, event->usage_source);
	if (event->error_type.len)
		cell_print(out, 0, event->error_type);
	review_print_preview(out, event->content[CONTENT_OUTPUT]);
	fputc('\n', out);
}

/* ---- JSON ---- */

static yyjson_mut_val *review_json_string(yyjson_mut_doc *doc, struct slice key, struct slice text)
{
	/* These are JSON in the record: as values they can be looked into. */
	static const struct slice inner[] = {{"gen_ai.input.messages", 21},
		{"gen_ai.output.messages", 22}, {"gen_ai.tools", 12},
		{"gen_ai.response.finish_reasons", 30}, {"source.drops", 12}};

	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		yyjson_doc *value;
		yyjson_mut_val *copy;

		if (!slice_equal(key, inner[i]))
			continue;
		value = yyjson_read(text.data, text.len, 0);
		if (!value)
			break;
		copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(value));
		yyjson_doc_free(value);
		return copy;
	}
	return yyjson_mut_strncpy(doc, text.data, text.len);
}

static yyjson_mut_val *review_json_value(
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
		return review_json_string(
			doc, key, slice_of(object->via.str.ptr, object->via.str.size));
	default:
		return yyjson_mut_null(doc);
	}
}

int review_print_json(FILE *out, const struct query_event *event)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	msgpack_unpacked unpacked;
	size_t offset = 0, len;
	int error = -EBADMSG;
	char when[40];
	struct tm tm;
	time_t seconds = (time_t)(event->time_ns / NS_PER_S);

	msgpack_unpacked_init(&unpacked);
	if (!root ||
		msgpack_unpack_next(&unpacked, event->record.data, event->record.len, &offset) !=
			MSGPACK_UNPACK_SUCCESS ||
		unpacked.data.type != MSGPACK_OBJECT_MAP)
		goto out;
	gmtime_r(&seconds, &tm);
	len = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + len, sizeof(when) - len, ".%09lluZ",
		(unsigned long long)(event->time_ns % NS_PER_S));
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_strcpy(doc, root, "@timestamp", when);
	if (event->conflict)
		yyjson_mut_obj_add_bool(doc, root, "event.conflict", true);
	for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
		const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
		struct slice key;

		if (pair->key.type != MSGPACK_OBJECT_STR)
			continue;
		key = slice_of(pair->key.via.str.ptr, pair->key.via.str.size);
		yyjson_mut_obj_add(root, yyjson_mut_strncpy(doc, key.data, key.len),
			review_json_value(doc, key, &pair->val));
	}
	for (unsigned kind = 0; kind < CONTENT_KINDS; kind++) {
		struct slice key = schema_fields[row_content_field((enum content_kind)kind)].name;

		if (event->content[kind].len)
			yyjson_mut_obj_add(root, yyjson_mut_strncpy(doc, key.data, key.len),
				review_json_string(doc, key, event->content[kind]));
	}
out:
	if (json_print(doc, 0, out) == 0)
		error = 0;
	msgpack_unpacked_destroy(&unpacked);
	return error;
}
