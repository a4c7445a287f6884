// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "cli/cell.h"
#include "cli/command.h"
#include "cli/review.h"
#include "cli/say.h"
#include "collector/row.h"

#define SHOW_NAME_WIDTH 34
#define SHOW_LINE_MAX	100000 /* characters */

static const char usage[] =
	"usage: sallyport show [OPTIONS] ID\n"
	"\n"
	"Shows all of one event: its fields, and the conversation. ID is its event.id.\n";

/* Each line by itself, moved to the right: nothing of it looks like a heading of ours. */
static void show_lines(struct slice text)
{
	do {
		struct slice line = slice_first(text, slice_index(text, '\n'));

		fputs("    ", stdout);
		cell_text(stdout, line, SHOW_LINE_MAX);
		fputc('\n', stdout);
		text = slice_after(text, line.len + 1);
	} while (text.len);
}

static struct slice show_string(yyjson_val *value)
{
	return slice_of(yyjson_get_str(value), yyjson_get_len(value));
}

/* What is no text as JSON. */
static void show_value(yyjson_val *value)
{
	size_t len = 0;
	char *text;

	if (yyjson_is_str(value)) {
		show_lines(show_string(value));
		return;
	}
	text = yyjson_val_write_opts(value, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL, &len, NULL);
	if (text)
		show_lines(slice_of(text, len));
	free(text);
}

static void show_message(yyjson_val *message)
{
	static const char *const members[] = {
		"content", "refusal", "tool_calls", "function_call", "arguments", "output"};
	struct slice role = show_string(yyjson_obj_get(message, "role"));
	bool shown = false;

	fputs("  ", stdout);
	cell_text(stdout, role.len ? role : SLICE("(no role)"), 40);
	fputc('\n', stdout);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		yyjson_val *value = yyjson_obj_get(message, members[i]);

		if (!value || yyjson_is_null(value))
			continue;
		if (i)
			printf("    [%s]\n", members[i]);
		show_value(value);
		shown = true;
	}
	if (!shown)
		show_value(message);
}

static void show_content(struct slice name, struct slice content)
{
	yyjson_doc *doc;
	yyjson_val *message;
	yyjson_arr_iter each;

	if (!content.len)
		return;
	doc = yyjson_read(content.data, content.len, 0);
	printf("\n%.*s\n", SLICE_ARG(name));
	if (!doc || !yyjson_is_arr(yyjson_doc_get_root(doc)))
		show_lines(content);
	yyjson_arr_iter_init(yyjson_doc_get_root(doc), &each);
	while ((message = yyjson_arr_iter_next(&each)))
		show_message(message);
	yyjson_doc_free(doc);
}

static void show_field(const msgpack_object_kv *pair)
{
	char number[40];
	struct slice value = row_text(&pair->val);

	switch (pair->val.type) {
	case MSGPACK_OBJECT_STR:
		break;
	case MSGPACK_OBJECT_BOOLEAN:
		value = pair->val.via.boolean ? SLICE("true") : SLICE("false");
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		value = slice_of(number, (size_t)snprintf(number, sizeof(number), "%llu",
						 (unsigned long long)pair->val.via.u64));
		break;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		value = slice_of(number, (size_t)snprintf(number, sizeof(number), "%lld",
						 (long long)pair->val.via.i64));
		break;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		value = slice_of(number,
			(size_t)snprintf(number, sizeof(number), "%g", pair->val.via.f64));
		break;
	default:
		value = SLICE("(a value that is not shown: see events --json)");
	}
	cell_print(stdout, SHOW_NAME_WIDTH, row_text(&pair->key));
	cell_text(stdout, value, SHOW_LINE_MAX);
	fputc('\n', stdout);
}

static int show_event(void *context, const struct query_event *event)
{
	msgpack_unpacked unpacked;
	size_t offset = 0;
	bool *found = context;

	*found = true;
	cell_print(stdout, SHOW_NAME_WIDTH, SLICE("time"));
	printf("%s\n", review_time_format(event->time_ns).text);
	if (event->conflict) {
		cell_print(stdout, SHOW_NAME_WIDTH, SLICE("CONFLICT"));
		puts("another event has the same identity: one of the two is forged");
	}
	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, event->record.data, event->record.len, &offset) ==
			MSGPACK_UNPACK_SUCCESS &&
		unpacked.data.type == MSGPACK_OBJECT_MAP)
		for (uint32_t i = 0; i < unpacked.data.via.map.size; i++)
			show_field(&unpacked.data.via.map.ptr[i]);
	msgpack_unpacked_destroy(&unpacked);
	for (unsigned kind = 0; kind < CONTENT_KINDS; kind++)
		show_content(schema_fields[row_content_field((enum content_kind)kind)].name,
			event->content[kind]);
	return 0;
}

int cmd_show(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_WORDS, .store = REVIEW_STORE};
	struct query *query = NULL;
	struct why why = {""};
	bool found = false;
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	if (review.nwords != 1) {
		say("expected one ID");
		return 2;
	}
	review.filter.event_id = review.words[0];
	query = review_open(&review, "show", &why);
	error = query ? query_events(query, &review.filter, 0, show_event, &found, &why) : -EIO;
	query_close(query);
	if (error)
		say("%s", why.text);
	else if (!found)
		say("there is no event with this id");
	return error || !found ? 1 : 0;
}
