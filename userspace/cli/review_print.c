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
#include "collector/event_json.h"

#define REVIEW_PREVIEW 100 /* characters of an answer that a line shows */
#define REVIEW_FACT    120 /* and of a name or value of another kind of event */

static void review_print_preview(FILE *out, struct slice messages)
{
	struct buf text = BUF_EMPTY;
	bool tool = event_json_first(messages, &text);

	if (tool)
		fputs("→ ", out);
	cell_text(out, buf_slice(&text), REVIEW_PREVIEW);
	buf_free(&text);
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

int review_print_json(FILE *out, const struct query_event *event)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = event_json(doc, event, EVENT_JSON_ALL);

	if (root)
		yyjson_mut_doc_set_root(doc, root);
	return json_print(doc, 0, out) == 0 ? 0 : -EBADMSG;
}
