// SPDX-License-Identifier: GPL-2.0-or-later
/* Streamed answers. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/buf.h"
#include "openai/response.h"

static const struct operation chat = {.family = FAMILY_CHAT, .streams = true};
static const struct operation completion = {
	.family = FAMILY_COMPLETION, .streams = true};

static struct response_reader *reader(size_t content_max)
{
	struct response_reader *r = response_reader_new(&chat, content_max, true);

	assert_non_null(r);
	return r;
}

/* The data is in memory of its own, exactly as long. */
static unsigned event(struct response_reader *r, const char *data)
{
	size_t len = strlen(data);
	char *copy = malloc(len ? len : 1);
	unsigned flags;

	assert_non_null(copy);
	memcpy(copy, data, len);
	flags = response_reader_event(r, slice_of(copy, len), RESPONSE_UNPLACED);
	free(copy);
	return flags;
}

static void assert_text(struct slice actual, const char *expected)
{
	if (!slice_equal(actual, slice_of_string(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(actual), expected);
}

static void assert_output(struct response_reader *r, const char *expected)
{
	response_reader_end(r);
	assert_text(response_reader_facts(r)->output_messages, expected);
}

#define HEAD                                                                                       \
	"{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"               \
	"\"model\":\"gpt-4o-2024-08-06\",\"system_fingerprint\":\"fp_1\","

static void azures_stream_is_read_whole(void **state)
{
	struct response_reader *r = reader(1000);
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	/* The odd first chunk says nothing of the answer, and is not the one with the usage. */
	assert_int_equal(event(r, "{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
				  "\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,"
				  "\"content_filter_results\":{\"hate\":{\"filtered\":false,"
				  "\"severity\":\"safe\"}}}]}"),
		0);
	assert_int_equal(f->id.len, 0);
	assert_int_equal(f->model.len, 0);
	assert_int_equal(
		event(r, HEAD "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
			      "\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
			      "\"finish_reason\":null}],\"usage\":null}"),
		0);
	assert_text(f->id, "chatcmpl-1");
	assert_text(f->model, "gpt-4o-2024-08-06");
	assert_int_equal(event(r, HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},"
				       "\"finish_reason\":null,\"content_filter_results\":{}}],"
				       "\"usage\":null}"),
		0);
	assert_int_equal(
		event(r, HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\\n\"},"
			      "\"finish_reason\":null}]}"),
		0);
	assert_int_equal(event(r, HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
				       "\"stop\"}],\"usage\":null}"),
		0);
	/* The asynchronous filter: no delta, and after the finish. */
	assert_int_equal(
		event(r, "{\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":"
			 "[{\"index\":0,\"finish_reason\":null,\"content_filter_results\":"
			 "{\"hate\":{\"filtered\":false}},\"content_filter_offsets\":"
			 "{\"check_offset\":44,\"start_offset\":44,\"end_offset\":198}}],"
			 "\"usage\":null}"),
		0);
	assert_false(f->has_usage);
	assert_int_equal(event(r, HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":19,"
				       "\"completion_tokens\":10,\"total_tokens\":29,"
				       "\"prompt_tokens_details\":{\"cached_tokens\":7},"
				       "\"completion_tokens_details\":{\"reasoning_tokens\":3}}}"),
		RESPONSE_EVENT_USAGE_ONLY);
	assert_false(f->complete);
	assert_int_equal(event(r, "[DONE]"), RESPONSE_EVENT_DONE);
	assert_true(f->complete);
	assert_true(f->readable);
	assert_int_equal(f->nevents, 8);
	assert_true(f->has_usage);
	assert_int_equal(f->input_tokens, 19);
	assert_int_equal(f->output_tokens, 10);
	assert_int_equal(f->total_tokens, 29);
	assert_int_equal(f->parts[USAGE_CACHE_READ].tokens, 7);
	assert_int_equal(f->parts[USAGE_REASONING].tokens, 3);
	assert_int_equal(f->output_bytes, 6);
	assert_output(r, "[{\"role\":\"assistant\",\"content\":\"Hello\\n\"}]");
	assert_text(f->finish_reasons, "[\"stop\"]");
	assert_text(f->system_fingerprint, "fp_1");
	assert_false(f->output_truncated);
	assert_false(f->has_error);
	response_reader_free(r);
}

static void usage_beside_something_is_taken_and_not_hidden(void **state)
{
	static const struct {
		const char *data;
		unsigned flags;
		bool usage;
	} cases[] = {
		{"{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":"
		 "{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}",
			0, true},
		{"{\"choices\":[],\"prompt_filter_results\":[],\"usage\":{\"total_tokens\":3,"
		 "\"prompt_tokens\":1,\"completion_tokens\":2}}",
			0, true},
		{"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}", 0,
			true},
		{"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2},\"choices\":[]}",
			RESPONSE_EVENT_USAGE_ONLY, true},
		{"{\"usage\":{\"input_tokens\":1,\"output_tokens\":2},\"choices\":[]}",
			RESPONSE_EVENT_USAGE_ONLY, true},
		{"{\"choices\":[],\"usage\":null}", 0, false},
		{"{\"choices\":[],\"usage\":{}}", 0, false},
		{"{\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"total_tokens\":\"3\"}}", 0,
			false},
		{"{\"choices\":[]}", 0, false},
		{"{\"choices\":null,\"usage\":[]}", 0, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response_reader *r = reader(100);
		const struct response_facts *f = response_reader_facts(r);

		assert_int_equal(event(r, cases[i].data), cases[i].flags);
		assert_int_equal(f->has_usage, cases[i].usage);
		if (f->has_usage) {
			assert_int_equal(f->input_tokens, 1);
			assert_int_equal(f->output_tokens, 2);
			assert_int_equal(f->total_tokens, 3);
		}
		response_reader_free(r);
	}
}

static void what_is_no_count_is_not_counted(void **state)
{
	struct response_reader *r = reader(1000);
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	event(r, "{\"choices\":[],\"usage\":{\"prompt_tokens\":-3,\"completion_tokens\":2.0}}");
	assert_false(f->has_usage);
	event(r, "{\"choices\":[],\"usage\":{\"prompt_tokens\":-3,\"completion_tokens\":2}}");
	assert_true(f->has_usage && f->has_output && !f->has_input && !f->has_total);
	event(r, "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":9223372036854775807}}");
	assert_true(f->has_input && f->has_output && !f->has_total);
	response_reader_free(r);
}

static void usage_that_counts_on_is_taken_last(void **state)
{
	struct response_reader *r = reader(100);

	(void)state;
	event(r, "{\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1,"
		 "\"completion_tokens\":1,\"total_tokens\":2}}");
	event(r, "{\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1,"
		 "\"completion_tokens\":5,\"total_tokens\":6}}");
	assert_int_equal(response_reader_facts(r)->total_tokens, 6);
	response_reader_free(r);
}

static void interleaved_choices_are_told_apart(void **state)
{
	struct response_reader *r = reader(1000);

	(void)state;
	event(r, "{\"choices\":[{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"B\"}}]"
		 "}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"A\"}}]"
		 "}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},"
		 "{\"index\":1,\"delta\":{\"content\":\"b\"}}]}");
	event(r, "{\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}");
	assert_output(r, "[{\"role\":\"assistant\",\"content\":\"Aa\"},"
			 "{\"role\":\"assistant\",\"content\":\"Bb\"}]");
	assert_text(response_reader_facts(r)->finish_reasons, "[\"content_filter\",\"length\"]");
	response_reader_free(r);
}

static void tool_calls_are_assembled_by_index(void **state)
{
	struct response_reader *r = reader(1000);

	(void)state;
	event(r,
		"{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,"
		"\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":"
		"{\"name\":\"get\",\"arguments\":\"\"}}]}}]}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
		 "{\"arguments\":\"{\\\"x\\\"\"}}]}}]}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_"
		 "b\","
		 "\"function\":{\"name\":\"put\",\"arguments\":\"{\"}},"
		 "{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":"
		 "{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}");
	assert_int_equal(response_reader_facts(r)->output_bytes, 9);
	assert_output(r,
		"[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_a\",\"type\":"
		"\"function\",\"function\":{\"name\":\"get\",\"arguments\":"
		"\"{\\\"x\\\":1}\"}},{\"id\":\"call_b\",\"type\":\"function\",\"function\":"
		"{\"name\":\"put\",\"arguments\":\"{}\"}}]}]");
	response_reader_free(r);
}

static void ids_and_names_that_are_repeated_count_once(void **state)
{
	struct response_reader *r = reader(1000);
	int i;

	(void)state;
	for (i = 0; i < 2; i++)
		event(r, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\","
			 "\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}]}}]}");
	assert_output(r, "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"type\":"
			 "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"11\"}}]}]");
	response_reader_free(r);
}

/* Of more calls than are told apart the first and the last stay, and those of other choices. */
static void too_many_tool_calls_lose_the_middle_ones(void **state)
{
	struct response_reader *r = reader(100000);
	const struct response_facts *f = response_reader_facts(r);
	char text[256];
	struct slice m;

	(void)state;
	for (int i = -1; i < 1000; i++) {
		snprintf(text, sizeof(text),
			"{\"choices\":[{\"index\":%d,\"delta\":{\"tool_calls\":[{\"index\":%d,\"id\":\"c%d\","
			"\"function\":{\"name\":\"f\",\"arguments\":\"of %d\"}}]}}]}", i >= 0, i < 0 ? 0 : i, i, i);
		event(r, text);
	}
	response_reader_end(r);
	m = f->output_messages;
	assert_true(f->output_truncated);
	assert_in_range(f->output_cut, 745 * 8, 745 * 11);
	assert_non_null(memmem(m.data, m.len, "\"of -1\"", 7));
	assert_non_null(memmem(m.data, m.len, "\"of 0\"", 6));
	assert_null(memmem(m.data, m.len, "\"of 500\"", 8));
	assert_non_null(memmem(m.data, m.len, "\"of 999\"}}]}]", 13));
	response_reader_free(r);
}

static void tool_calls_without_index_go_by_their_ids(void **state)
{
	struct response_reader *r = reader(1000);

	(void)state;
	event(r, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":"
		 "\"f\","
		 "\"arguments\":\"1\"}}]}}]}");
	event(r, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"2\"}}]}}"
		 "]}");
	event(r, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"b\",\"type\":\"custom\","
		 "\"custom\":{\"name\":\"g\",\"input\":\"3\"}}]}}]}");
	assert_output(r,
		"[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
		"\"function\":{\"name\":\"f\",\"arguments\":\"12\"}},{\"id\":\"b\",\"type\":"
		"\"custom\",\"custom\":{\"name\":\"g\",\"input\":\"3\"}}]}]");
	response_reader_free(r);
}

static void other_members_of_a_message_are_kept(void **state)
{
	struct response_reader *r = reader(1000);

	(void)state;
	event(r,
		"{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"refusal\":\"I \"}},"
		"{\"index\":1,\"delta\":{\"role\":\"assistant\",\"function_call\":{\"name\":\"f\","
		"\"arguments\":\"{\"}}},{\"index\":2,\"delta\":{\"reasoning_content\":\"hm\","
		"\"audio\":{\"id\":\"x\",\"data\":\"AAAA\",\"transcript\":\"hi\"}}}]}");
	event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"can't.\"}},"
		 "{\"index\":1,\"delta\":{\"function_call\":{\"arguments\":\"}\"}}}]}");
	assert_output(r, "[{\"role\":\"assistant\",\"refusal\":\"I can't.\"},"
			 "{\"role\":\"assistant\",\"function_call\":{\"name\":\"f\",\"arguments\":"
			 "\"{}\"}},{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"audio\":"
			 "{\"transcript\":\"hi\"}}]");
	response_reader_free(r);
}

static void older_completions_become_messages(void **state)
{
	struct response_reader *r = response_reader_new(&completion, 1000, true);

	(void)state;
	event(r,
		"{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"choices\":[{\"text\":\" One\","
		"\"index\":0,\"logprobs\":{\"tokens\":[\" One\"],\"token_logprobs\":[-0.1],"
		"\"top_logprobs\":[{}],\"text_offset\":[0]},\"finish_reason\":null}],\"model\":"
		"\"m\"}");
	event(r, "{\"choices\":[{\"text\":\" two\",\"index\":0,\"logprobs\":null,"
		 "\"finish_reason\":\"length\"}]}");
	assert_output(r, "[{\"role\":\"assistant\",\"content\":\" One two\"}]");
	assert_text(response_reader_facts(r)->finish_reasons, "[\"length\"]");
	response_reader_free(r);
}

static void an_error_inside_the_stream_is_seen(void **state)
{
	static const struct {
		const char *data, *type, *code, *message;
	} cases[] = {
		{"{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":"
		 "null}}",
			"server_error", "", "m"},
		{"{\"error\":{\"code\":\"429\",\"message\":\"m\"}}", "", "429", "m"},
		{"{\"error\":{\"code\":429,\"message\":\"m\"}}", "", "429", "m"},
		{"{\"error\":\"m\"}", "", "", "m"},
		{"{\"statusCode\":429,\"message\":\"m\"}", "", "429", "m"},
		{"{\"error\":{\"message\":\"m\",\"type\":null,\"param\":\"prompt\",\"code\":"
		 "\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
		 "\"ResponsibleAIPolicyViolation\",\"content_filter_result\":{}}}}",
			"ResponsibleAIPolicyViolation", "content_filter", "m"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response_reader *r = reader(1000);
		const struct response_facts *f = response_reader_facts(r);

		event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}");
		assert_int_equal(event(r, cases[i].data), RESPONSE_EVENT_ERROR);
		assert_output(r, "[{\"role\":\"assistant\",\"content\":\"Hel\"}]");
		assert_true(f->has_error);
		assert_true(f->readable);
		assert_false(f->complete);
		assert_text(f->error_type, cases[i].type);
		assert_text(f->error_code, cases[i].code);
		assert_text(f->error_message, cases[i].message);
		response_reader_free(r);
	}
}

static void an_error_of_null_is_none(void **state)
{
	struct response_reader *r = reader(100);

	(void)state;
	assert_int_equal(event(r, "{\"error\":null,\"choices\":[],\"message\":\"m\"}"), 0);
	response_reader_end(r);
	assert_false(response_reader_facts(r)->has_error);
	assert_int_equal(response_reader_facts(r)->error_message.len, 0);
	response_reader_free(r);
}

static void an_unreadable_event_does_not_stop_the_reading(void **state)
{
	static const char *const bad[] = {"", "{", "{\"a\":NaN}", "[1]", "\"x\"", "null",
		"{\"choices\":[]}x", "data", "\xef\xbb\xbf{}", "[DONE]x"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct response_reader *r = reader(100);
		const struct response_facts *f = response_reader_facts(r);

		assert_int_equal(event(r, bad[i]), RESPONSE_EVENT_UNREADABLE);
		assert_false(f->readable);
		assert_non_null(f->problem);
		assert_int_equal(
			event(r, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}"), 0);
		assert_output(r, "[{\"role\":\"assistant\",\"content\":\"x\"}]");
		assert_int_equal(f->nevents, 2);
		response_reader_free(r);
	}
}

static void shapes_that_are_not_expected_are_passed_over(void **state)
{
	static const char *const odd[] = {
		"{}",
		"{\"choices\":{}}",
		"{\"choices\":[1,null,[],\"x\",{}]}",
		"{\"choices\":[{\"delta\":null}]}",
		"{\"choices\":[{\"delta\":[]}]}",
		"{\"choices\":[{\"delta\":{\"content\":5,\"role\":1,\"refusal\":[],\"audio\":1}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":{}}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":[1,{},{\"function\":7}]}}]}",
		"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":-1}]}}]}",
		"{\"choices\":[{\"delta\":{\"function_call\":\"x\"}}]}",
		"{\"choices\":[{\"index\":\"0\",\"finish_reason\":5,\"text\":7}]}",
		"{\"id\":1,\"model\":null,\"system_fingerprint\":{},\"usage\":\"x\"}",
		"{\"usage\":{\"total_tokens\":1e400,\"prompt_tokens\":99999999999999999999999}}",
		"{\"created\":123456789012345678901234567890,\"x\":-1e-999}",
		"{\"choices\":[{\"index\":1.5},{\"index\":-3},{\"index\":18446744073709551615}]}",
		"{\"statusCode\":\"x\",\"message\":\"m\"}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct response_reader *r = reader(100);

		if (event(r, odd[i]) != 0 || !response_reader_facts(r)->readable)
			fail_msg("%s", odd[i]);
		response_reader_end(r);
		assert_false(response_reader_facts(r)->has_usage);
		response_reader_free(r);
	}
}

static void escapes_of_all_kinds_survive(void **state)
{
	struct response_reader *r = reader(1000);

	(void)state;
	event(r, "{\"choices\":[{\"delta\":{\"content\":\"\\ud83d\\ude00\\u00e4\\u0000\\\\\\\"\"}}]"
		 "}");
	assert_int_equal(event(r, "{\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}"), 0);
	assert_int_equal(event(r, "{\"choices\":[{\"delta\":{\"content\":\"\xff!\"}}]}"), 0);
	assert_output(r,
		"[{\"role\":\"assistant\",\"content\":\"\xf0\x9f\x98\x80\xc3\xa4\\u0000\\\\\\\""
		"\xef\xbf\xbd\xef\xbf\xbd!\"}]");
	assert_true(response_reader_facts(r)->readable);
	response_reader_free(r);
}

static void deep_nesting_in_an_event_is_no_matter(void **state)
{
	static char data[200100];
	struct response_reader *r = reader(100);
	size_t i, n = 100000;

	(void)state;
	memcpy(data, "{\"x\":", 5);
	for (i = 0; i < n; i++) {
		data[5 + i] = '[';
		data[5 + n + i] = ']';
	}
	data[5 + 2 * n] = '}';
	assert_int_equal(event(r, data), 0);
	response_reader_free(r);
}

static void events_around_the_size_of_the_pool_are_read(void **state)
{
	struct response_reader *r = reader(1 << 20);
	struct buf data = BUF_EMPTY;
	size_t size, total = 0;

	(void)state;
	for (size = 1; size < 60000; size += size < 4000 ? 13 : 4096) {
		size_t i;

		/* An array of numbers is what takes most of the parser's memory. */
		buf_append_slice(
			&data, SLICE("{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"x\":[1"));
		for (i = 0; i < size; i++)
			buf_append_slice(&data, SLICE(",1"));
		buf_append_slice(&data, SLICE("]}"));
		assert_int_equal(response_reader_event(r, buf_slice(&data), RESPONSE_UNPLACED), 0);
		buf_clear(&data);
		total++;
	}
	assert_int_equal(response_reader_facts(r)->output_bytes, total);
	buf_free(&data);
	response_reader_free(r);
}

static size_t count_of(const char *text, char wanted)
{
	size_t n = 0;

	while (*text)
		n += *text++ == wanted;
	return n;
}

static void output_is_cut_into_valid_json(void **state)
{
	size_t max;

	(void)state;
	for (max = 0; max < 40; max++) {
		struct response_reader *r = reader(max);
		const struct response_facts *f = response_reader_facts(r);
		yyjson_doc *doc;

		event(r, "{\"choices\":[{\"delta\":{\"content\":\"a\\n\xe2\x82\xac\\u0001\"}}]}");
		event(r,
			"{\"choices\":[{\"delta\":{\"content\":\"b\\\"\"}},{\"index\":1,\"delta\":{"
			"\"tool_calls\":[{\"index\":0,\"id\":\"i\",\"function\":{\"name\":\"f\","
			"\"arguments\":\"{\\\"\"}}]}}]}");
		response_reader_end(r);
		doc = yyjson_read(f->output_messages.data, f->output_messages.len, 0);
		assert_int_equal(doc != NULL, max != 0);
		assert_int_equal(f->output_truncated, max && max < 20);
		assert_int_equal(f->output_bytes, 10);
		yyjson_doc_free(doc);
		response_reader_free(r);
	}
}

static void long_answers_keep_their_beginnings_and_ends(void **state)
{
	struct response_reader *r = reader(1000);
	const struct response_facts *f = response_reader_facts(r);
	yyjson_val *content, *arguments, *message;
	size_t i, fed = 0;
	yyjson_doc *doc;
	char data[200];

	(void)state;
	for (i = 0; i < 5000; i++) {
		fed += (size_t)snprintf(
			data, sizeof(data), "%zu\xe2\x82\xac\xf0\x9f\x98\x80\\n", i);
		snprintf(data, sizeof(data),
			"{\"choices\":[{\"delta\":{\"content\":\"%zu\xe2\x82\xac\xf0\x9f\x98\x80"
			"\\n\"}}]}",
			i);
		assert_int_equal(event(r, data), 0);
	}
	for (i = 0; i < 5000; i++) {
		fed += (size_t)snprintf(data, sizeof(data), "<%zu>", i);
		snprintf(data, sizeof(data),
			"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"i\","
			"\"function\":{\"name\":\"f\",\"arguments\":\"<%zu>\"}}]}}]}",
			i);
		assert_int_equal(event(r, data), 0);
	}
	response_reader_end(r);
	assert_true(f->output_truncated);
	doc = yyjson_read(f->output_messages.data, f->output_messages.len, 0);
	assert_non_null(doc);
	message = yyjson_arr_get_first(yyjson_doc_get_root(doc));
	content = yyjson_obj_get(message, "content");
	arguments = yyjson_ptr_get(message, "/tool_calls/0/function/arguments");
	assert_true(slice_starts_with(slice_of_string(yyjson_get_str(content)),
		SLICE("0\xe2\x82\xac\xf0\x9f\x98\x80\n1\xe2\x82\xac\xf0\x9f\x98\x80\n2")));
	assert_non_null(strstr(yyjson_get_str(content),
		"4998\xe2\x82\xac\xf0\x9f\x98\x80\n4999\xe2\x82\xac\xf0\x9f\x98\x80\n"));
	assert_non_null(strstr(yyjson_get_str(content), "\xe2\x80\xa6"));
	assert_true(slice_starts_with(
		slice_of_string(yyjson_get_str(arguments)), SLICE("<0><1><2><3>")));
	assert_string_equal(
		yyjson_get_str(arguments) + yyjson_get_len(arguments) - 12, "<4998><4999>");
	assert_true(yyjson_get_len(content) > 400 && yyjson_get_len(arguments) > 400);
	/* To the byte: what is there, less two marks, an id and a name, and what is cut are all. */
	assert_int_equal(f->output_cut + yyjson_get_len(content) +
				 count_of(yyjson_get_str(content), '\n') - 3 +
				 yyjson_get_len(arguments) - 3,
		fed);
	yyjson_doc_free(doc);
	response_reader_free(r);
}

static void one_long_delta_keeps_its_beginning_and_end(void **state)
{
	static char data[400000], text[300000];
	struct response_reader *r = reader(4096);
	const struct response_facts *f = response_reader_facts(r);
	yyjson_doc *doc;
	const char *content;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "first", 5);
	memcpy(text + sizeof(text) - 5, "last", 4);
	snprintf(data, sizeof(data), "{\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}", text);
	event(r, data);
	response_reader_end(r);
	assert_true(f->output_messages.len < 4096 + 100 && f->output_messages.len > 3900);
	doc = yyjson_read(f->output_messages.data, f->output_messages.len, 0);
	content = yyjson_get_str(yyjson_ptr_get(yyjson_doc_get_root(doc), "/0/content"));
	assert_true(slice_starts_with(slice_of_string(content), SLICE("firstx")));
	assert_string_equal(content + strlen(content) - 5, "xlast");
	assert_int_equal(f->output_cut + strlen(content) - 3, sizeof(text) - 1);
	yyjson_doc_free(doc);
	response_reader_free(r);
}

static void choices_and_calls_are_bounded(void **state)
{
	struct response_reader *r = reader(1 << 20);
	char data[200];
	unsigned i;

	(void)state;
	event(r, "{\"choices\":[{\"index\":127,\"delta\":{\"content\":\"x\"}}]}");
	for (i = 0; i < 1000; i++) {
		snprintf(data, sizeof(data),
			"{\"choices\":[{\"index\":127,\"delta\":{\"tool_calls\":[{\"index\":%u,"
			"\"id\":\"i\"}]}}]}",
			i);
		assert_int_equal(event(r, data), 0);
	}
	response_reader_end(r);
	assert_true(response_reader_facts(r)->output_truncated);
	response_reader_free(r);

	r = reader(100);
	event(r, "{\"choices\":[{\"index\":128,\"delta\":{\"content\":\"x\"}}]}");
	assert_output(r, "");
	assert_true(response_reader_facts(r)->output_truncated);
	response_reader_free(r);
}

static void a_stream_of_nothing_has_no_output(void **state)
{
	struct response_reader *r = reader(100);
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	assert_output(r, "");
	assert_text(f->finish_reasons, "[]");
	assert_true(f->readable);
	assert_false(f->complete);
	response_reader_free(r);
}

static void a_skipped_event_is_counted_and_not_readable(void **state)
{
	struct response_reader *r = reader(100);

	(void)state;
	response_reader_skipped(r);
	assert_int_equal(response_reader_facts(r)->nevents, 1);
	assert_string_equal(response_reader_facts(r)->problem, "event too long");
	response_reader_free(r);
}

static void tokens_are_estimated_by_the_rule(void **state)
{
	struct response_reader *r = reader(0);

	(void)state;
	assert_int_equal(response_estimate_tokens(r), 0);
	event(r, "{\"choices\":[{\"delta\":{\"content\":\"12345\"}}]}");
	assert_int_equal(response_estimate_tokens(r), 2);
	event(r, "{\"choices\":[{\"delta\":{\"refusal\":\"678\"}}]}");
	assert_int_equal(response_estimate_tokens(r), 2);
	response_reader_free(r);
}

static void memory_does_not_grow_with_the_stream(void **state)
{
	struct response_reader *r = reader(4096);
	size_t i, before = 0;

	(void)state;
	for (i = 0; i < 100000; i++) {
		response_reader_event(r, SLICE(HEAD "\"choices\":[{\"index\":0,\"delta\":{"
						    "\"content\":\" token\"}}],\"usage\":null}"),
			RESPONSE_UNPLACED);
		if (i == 2000)
			before = mallinfo2().uordblks;
	}
	assert_int_equal(mallinfo2().uordblks, before);
	response_reader_end(r);
	assert_true(response_reader_facts(r)->output_messages.len < 4096 + 100);
	assert_true(response_reader_facts(r)->output_truncated);
	assert_int_equal(response_reader_facts(r)->output_bytes, 600000);
	response_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(azures_stream_is_read_whole),
		cmocka_unit_test(usage_beside_something_is_taken_and_not_hidden),
		cmocka_unit_test(what_is_no_count_is_not_counted),
		cmocka_unit_test(usage_that_counts_on_is_taken_last),
		cmocka_unit_test(interleaved_choices_are_told_apart),
		cmocka_unit_test(tool_calls_are_assembled_by_index),
		cmocka_unit_test(ids_and_names_that_are_repeated_count_once),
		cmocka_unit_test(too_many_tool_calls_lose_the_middle_ones),
		cmocka_unit_test(tool_calls_without_index_go_by_their_ids),
		cmocka_unit_test(other_members_of_a_message_are_kept),
		cmocka_unit_test(older_completions_become_messages),
		cmocka_unit_test(an_error_inside_the_stream_is_seen),
		cmocka_unit_test(an_error_of_null_is_none),
		cmocka_unit_test(an_unreadable_event_does_not_stop_the_reading),
		cmocka_unit_test(shapes_that_are_not_expected_are_passed_over),
		cmocka_unit_test(escapes_of_all_kinds_survive),
		cmocka_unit_test(deep_nesting_in_an_event_is_no_matter),
		cmocka_unit_test(events_around_the_size_of_the_pool_are_read),
		cmocka_unit_test(output_is_cut_into_valid_json),
		cmocka_unit_test(long_answers_keep_their_beginnings_and_ends),
		cmocka_unit_test(one_long_delta_keeps_its_beginning_and_end),
		cmocka_unit_test(choices_and_calls_are_bounded),
		cmocka_unit_test(a_stream_of_nothing_has_no_output),
		cmocka_unit_test(a_skipped_event_is_counted_and_not_readable),
		cmocka_unit_test(tokens_are_estimated_by_the_rule),
		cmocka_unit_test(memory_does_not_grow_with_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
