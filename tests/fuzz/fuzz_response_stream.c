// SPDX-License-Identifier: GPL-2.0-or-later
/* After the first byte, which says what is kept, each line is an event: its data, with or without
 * "data: " before it. What our own scanner takes for JSON is readable to the event's reader as
 * well, what is kept of the stream is JSON, and its texts stand where they are told to. */
#include <stdint.h>
#include <stdlib.h>

#include "openai/json_scan.h"
#include "openai/response.h"
#include "openai/response_body.h"
#include "told.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void enter(void *context, struct json_scan *scan, const struct json_value *value)
{
	(void)scan;
	*(bool *)context = value->type == JSON_OBJECT;
}

static bool is_json(struct slice text, bool *object)
{
	static const struct json_handler handler = {NULL, 0, enter, enter, NULL, NULL};
	struct json_scan *scan = json_scan_new(&handler, object);
	bool json;

	*object = false;
	json_scan_feed(scan, text);
	json = json_scan_end(scan) == JSON_FINE;
	json_scan_free(scan);
	return json;
}

static void feed(struct response_reader *r, struct slice data, struct told *told)
{
	uint64_t before = response_reader_facts(r)->nevents;
	bool object, json = is_json(data, &object);
	unsigned flags;

	told->body = data;
	flags = response_reader_event(r, data, 0);
	demand(response_reader_facts(r)->nevents == before + 1);
	if (json && !slice_starts_with(data, SLICE("\xef\xbb\xbf")))
		demand(object == !(flags & RESPONSE_EVENT_UNREADABLE));
	demand(!(flags & RESPONSE_EVENT_USAGE_ONLY) || response_reader_facts(r)->has_usage);
	demand(!(flags & RESPONSE_EVENT_ERROR) || response_reader_facts(r)->has_error);
	demand(!(flags & RESPONSE_EVENT_DONE) || response_reader_facts(r)->complete);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum family families[] = {
		FAMILY_CHAT, FAMILY_COMPLETION, FAMILY_RESPONSES, FAMILY_IMAGES};
	/* Bits 1 and 2 together: one of these. */
	static const enum family newer[] = {FAMILY_MESSAGES, FAMILY_TRANSCRIPTION};
	const struct operation operation = {
		.family = size && (data[0] & 6) == 6 ? newer[data[0] & 1]
			: families[size ? (data[0] & 1) | (data[0] >> 6 & 2) : 0]};
	unsigned how = size ? data[0] : 0;
	size_t content_max = how & 2 ? 1 << 20 : how & 4 ? 40 : how & 8 ? 400 : 0;
	struct slice rest = slice_after(slice_of((const char *)data, size), 1);
	struct response_reader *r = response_reader_new(&operation, content_max, true);
	const struct response_facts *facts = response_reader_facts(r);
	struct told told = {0};
	bool object;

	response_reader_tell(r, (struct text_sink){told_hear, &told});
	while (rest.len) {
		struct slice line = slice_first(rest, slice_index(rest, '\n'));

		rest = slice_after(rest, line.len + 1);
		if (slice_starts_with(line, SLICE("data: ")))
			line = slice_after(line, 6);
		/* As of an event that is too long: in two pieces. */
		if (slice_starts_with(line, SLICE("long: "))) {
			line = slice_after(line, 6);
			response_long_begin(r);
			response_long_feed(r, slice_first(line, line.len / 2));
			response_long_feed(r, slice_after(line, line.len / 2));
			response_long_end(r);
		} else if (line.len) {
			feed(r, line, &told);
		}
	}
	response_reader_end(r);
	demand(!facts->output_messages.len || is_json(facts->output_messages, &object));
	demand(is_json(facts->finish_reasons, &object));
	demand(content_max || !facts->output_messages.len);
	demand((facts->problem == NULL) == facts->readable);
	response_reader_free(r);
	told_free(&told);
	return 0;
}
