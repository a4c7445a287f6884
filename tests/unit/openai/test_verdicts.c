// SPDX-License-Identifier: GPL-2.0-or-later
/* What the provider's filter found, and what the model refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openai/response.h"

static const struct operation chat = {.name = "chat", .family = FAMILY_CHAT, .streams = true};
static const struct operation responses = {
	.name = "responses", .family = FAMILY_RESPONSES, .streams = true};
static const struct operation messages = {.name = "messages", .family = FAMILY_MESSAGES};

#define SAFE "\"sexual\":{\"filtered\":false,\"severity\":\"safe\"}"
#define PROMPT                                                                                     \
	"[{\"prompt_index\":0,\"content_filter_results\":{" SAFE                                   \
	",\"jailbreak\":{\"filtered\":false,"                                                      \
	"\"detected\":true}}}]"
#define ANSWER                                                                                     \
	"{" SAFE                                                                                   \
	",\"hate\":{\"filtered\":true,\"severity\":\"high\"},\"bad name\":{\"filtered\":true}}"

static void assert_said(struct response_reader *r, const char *verdicts, bool refused)
{
	const struct response_facts *f;

	response_reader_end(r);
	f = response_reader_facts(r);
	if (!slice_equal(f->verdicts, slice_of_string(verdicts)))
		fail_msg("expected %s, got %.*s", verdicts, SLICE_ARG(f->verdicts));
	assert_int_equal(f->refused, refused);
	response_reader_free(r);
}

static void body(
	const struct operation *operation, const char *json, const char *verdicts, bool refused)
{
	for (size_t step = 1; step < 400; step = step * 2 + 1) {
		struct response_reader *r = response_reader_new(operation, 0, false);

		for (struct slice rest = slice_of_string(json); rest.len;
			rest = slice_after(rest, step))
			assert_int_equal(response_reader_body(r, slice_first(rest, step)), 0);
		assert_said(r, verdicts, refused);
	}
}

static void of_a_body(void **state)
{
	(void)state;
	body(&chat,
		"{\"prompt_filter_results\":" PROMPT
		",\"choices\":[{\"content_filter_results\":" ANSWER
		",\"message\":{\"content\":\"x\",\"refusal\":null}}]}",
		"[\"prompt.jailbreak.detected\",\"hate.filtered\",\"hate.high\"]", false);
	body(&chat, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"I cannot.\"}}]}",
		"", true);
	body(&chat,
		"{\"error\":{\"code\":\"content_filter\",\"innererror\":{\"code\":"
		"\"ResponsibleAIPolicyViolation\",\"content_filter_result\":" ANSWER "}}}",
		"[\"prompt.hate.filtered\",\"prompt.hate.high\"]", false);
	body(&responses,
		"{\"content_filters\":[{\"source_type\":\"prompt\",\"content_filter_results\":{"
		"\"jailbreak\":{\"detected\":true}}},{\"source_type\":\"completion\","
		"\"content_filter_results\":" ANSWER
		"}],\"output\":[{\"type\":\"message\",\"content\":["
		"{\"type\":\"refusal\",\"refusal\":\"No.\"}]}]}",
		"[\"prompt.jailbreak.detected\",\"hate.filtered\",\"hate.high\"]", true);
	body(&messages, "{\"content\":[],\"stop_reason\":\"refusal\"}", "", true);
}

static void of_a_stream(void **state)
{
	struct response_reader *r = response_reader_new(&chat, 0, true);

	(void)state;
	response_reader_event(r, SLICE("{\"choices\":[],\"prompt_filter_results\":" PROMPT "}"), 0);
	for (int i = 0; i < 3; i++)
		response_reader_event(r,
			SLICE("{\"choices\":[{\"index\":0,\"content_filter_offsets\":{},"
			      "\"content_filter_results\":" ANSWER "}]}"),
			0);
	response_reader_event(
		r, SLICE("{\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"No\"}}]}"), 0);
	assert_said(r, "[\"prompt.jailbreak.detected\",\"hate.filtered\",\"hate.high\"]", true);
	r = response_reader_new(&responses, 0, true);
	response_reader_event(
		r, SLICE("{\"type\":\"response.refusal.delta\",\"delta\":\"No\"}"), 0);
	response_reader_event(r,
		SLICE("{\"type\":\"response.completed\",\"response\":{\"content_filters\":["
		      "{\"source_type\":\"completion\",\"content_filter_results\":" ANSWER "}]}}"),
		0);
	assert_said(r, "[\"hate.filtered\",\"hate.high\"]", true);
}

static void verdicts_are_bounded(void **state)
{
	struct response_reader *r = response_reader_new(&chat, 0, true);
	const struct response_facts *f;
	char json[256];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(json, sizeof(json),
			"{\"choices\":[{\"content_filter_results\":{\"c%d\":{\"filtered\":true},"
			"\"\\\"x\":{\"filtered\":true}}}]}",
			i);
		response_reader_event(r, slice_of_string(json), 0);
	}
	response_reader_end(r);
	f = response_reader_facts(r);
	assert_in_range(f->verdicts.len, 1000, 2100);
	assert_null(memchr(f->verdicts.data, '\\', f->verdicts.len));
	response_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_body),
		cmocka_unit_test(of_a_stream),
		cmocka_unit_test(verdicts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
