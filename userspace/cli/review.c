// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/review.h"

#include <errno.h>
#include <getopt.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cell.h"
#include "cli/json_print.h"
#include "collector/row.h"

#define REVIEW_PREVIEW 100 /* characters of an answer that a line shows */
#define REVIEW_FACT    120 /* and of a name or value of another kind of event */

const char review_options[] =
	"  --store DIRECTORY  of the collector; default " REVIEW_STORE "\n"
	"  --since TIME       30m, 2h, 7d ago, or 2026-01-31, or 2026-01-31T12:00:00Z\n"
	"  --until TIME       likewise\n"
	"  --ip ADDRESS       of the client, or a prefix: 10.20.0.0/16\n"
	"  --model NAME       asked for, or that answered\n"
	"  --host NAME        the client called\n"
	"  --operation NAME   chat, text_completion …\n"
	"  --user NAME        the request's \"user\"\n"
	"  --status NUMBER    of the response\n"
	"  --outcome NAME     success or failure\n"
	"  --json             one JSON object per line\n"
	"  -h, --help\n";

/* ---- options ---- */

static int review_time(const char *text, uint64_t *ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	struct tm tm = {0};
	char *end;
	unsigned long long number = strtoull(text, &end, 10);
	const char *rest;

	if (end != text && *end && !end[1]) {
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (*end != units[i].unit || number > 100000)
				continue;
			*ns = clock_realtime_ns() - number * units[i].seconds * NS_PER_S;
			return 0;
		}
	}
	rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!rest || *rest) {
		memset(&tm, 0, sizeof(tm));
		rest = strptime(text, "%Y-%m-%d", &tm);
	}
	if (!rest || *rest)
		return -EINVAL;
	*ns = (uint64_t)timegm(&tm) * NS_PER_S;
	return 0;
}

static int review_number(const char *text, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno || end == text || *end || *number < 0 ? -EINVAL : 0;
}

enum {
	OPTION_STORE = 256,
	OPTION_SINCE,
	OPTION_UNTIL,
	OPTION_IP,
	OPTION_MODEL,
	OPTION_HOST,
	OPTION_OPERATION,
	OPTION_USER,
	OPTION_STATUS,
	OPTION_OUTCOME,
	OPTION_JSON,
	OPTION_LIMIT,
	OPTION_ID,
	OPTION_BY,
	OPTION_ALL,
	OPTION_KIND,
	OPTION_SOURCES
};

/* Whether the subcommand has the option: one that would have no effect is an error. */
static bool review_has(const struct review *review, int option)
{
	switch (option) {
	case OPTION_LIMIT:
		return review->extras & REVIEW_LIMIT;
	case OPTION_ID:
		return review->extras & REVIEW_ID;
	case OPTION_BY:
		return review->extras & REVIEW_BY;
	case OPTION_ALL:
		return review->extras & REVIEW_ALL;
	case OPTION_KIND:
		return review->extras & REVIEW_KIND;
	case OPTION_SOURCES:
		return review->extras & REVIEW_SOURCES;
	default:
		return true;
	}
}

/* *kind is NULL for "all". */
static int review_kind(const char *text, const char **kind)
{
	static const char *const kinds[] = {
		"exchange", "handshake", "bypass", "source.summary", "source.drop",
		"datapath.state", "datapath.open"};

	*kind = NULL;
	if (strcmp(text, "all") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			*kind = kinds[i];
	return *kind ? 0 : -EINVAL;
}

static int review_option(struct review *review, int option, const char *value)
{
	struct query_filter *filter = &review->filter;
	int64_t number;
	int error = 0;

	switch (option) {
	case OPTION_STORE:
		review->store = value;
		break;
	case OPTION_SINCE:
		error = review_time(value, &filter->since_ns);
		break;
	case OPTION_UNTIL:
		error = review_time(value, &filter->until_ns);
		break;
	case OPTION_IP:
		error = prefix_parse(value, &filter->source);
		filter->has_source = true;
		break;
	case OPTION_MODEL:
		filter->model = value;
		break;
	case OPTION_HOST:
		filter->host = value;
		break;
	case OPTION_OPERATION:
		filter->operation = value;
		break;
	case OPTION_USER:
		filter->user = value;
		break;
	case OPTION_STATUS:
		error = review_number(value, &filter->status);
		break;
	case OPTION_OUTCOME:
		filter->outcome = value;
		break;
	case OPTION_JSON:
		review->json = true;
		break;
	case OPTION_LIMIT:
		error = review_number(value, &number);
		review->limit = (uint64_t)number;
		break;
	case OPTION_ID:
		filter->event_id = value;
		break;
	case OPTION_BY:
		review->by = value;
		break;
	case OPTION_ALL:
		filter->outcome = filter->kind = NULL;
		filter->completions = false;
		break;
	case OPTION_KIND:
		error = review_kind(value, &filter->kind);
		break;
	case OPTION_SOURCES:
		review->sources = true;
		break;
	}
	return error;
}

int review_read(struct review *review, int argc, char **argv, const char *usage)
{
	static const struct option options[] = {{"store", required_argument, NULL, OPTION_STORE},
		{"since", required_argument, NULL, OPTION_SINCE},
		{"until", required_argument, NULL, OPTION_UNTIL},
		{"ip", required_argument, NULL, OPTION_IP},
		{"model", required_argument, NULL, OPTION_MODEL},
		{"host", required_argument, NULL, OPTION_HOST},
		{"operation", required_argument, NULL, OPTION_OPERATION},
		{"user", required_argument, NULL, OPTION_USER},
		{"status", required_argument, NULL, OPTION_STATUS},
		{"outcome", required_argument, NULL, OPTION_OUTCOME},
		{"json", no_argument, NULL, OPTION_JSON},
		{"limit", required_argument, NULL, OPTION_LIMIT},
		{"id", required_argument, NULL, OPTION_ID},
		{"by", required_argument, NULL, OPTION_BY}, {"all", no_argument, NULL, OPTION_ALL},
		{"kind", required_argument, NULL, OPTION_KIND},
		{"sources", no_argument, NULL, OPTION_SOURCES}, {"help", no_argument, NULL, 'h'},
		{0}};
	int option, index = 0;

	optind = 1;
	while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
		if (option == 'h') {
			printf("%s\n%s", usage, review_options);
			return 1;
		}
		if (option != '?' && !review_has(review, option)) {
			fprintf(stderr, "--%s: not an option of %s\n", options[index].name,
				argv[0]);
			option = '?';
		}
		if (option == '?' || review_option(review, option, optarg) < 0) {
			if (option != '?')
				fprintf(stderr, "--%s %s: not understood\n", options[index].name,
					optarg);
			fprintf(stderr, "%s\n%s", usage, review_options);
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "%s: unexpected\n%s\n%s", argv[optind], usage, review_options);
	return -EINVAL;
}

/* ---- lines ---- */

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
