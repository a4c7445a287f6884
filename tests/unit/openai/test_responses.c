// SPDX-License-Identifier: GPL-2.0-or-later
/* Responses, and the other families whose bodies are not those of chat completions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "openai/request.h"
#include "openai/response.h"

static const struct operation responses = {.family = FAMILY_RESPONSES};
static const struct operation embeddings = {.family = FAMILY_EMBEDDINGS};
static const struct operation images = {.family = FAMILY_IMAGES};
static const struct operation speech = {.family = FAMILY_SPEECH};
static const struct operation chat = {.family = FAMILY_CHAT};

static void assert_text(struct slice actual, const char *expected)
{
	if (!slice_equal(actual, slice_of_string(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(actual), expected);
}

/* ---- requests ---- */

static struct request_reader *request(
	const struct operation *operation, size_t content_max, const char *body, size_t step)
{
	struct request_reader *r = request_reader_new(operation, content_max);
	struct slice rest = slice_of_string(body);

	assert_non_null(r);
	while (rest.len) {
		request_reader_feed(r, slice_first(rest, step));
		rest = slice_after(rest, step);
	}
	request_reader_end(r);
	return r;
}

static void facts_of_a_response_request_are_read_in_pieces_of_any_size(void **state)
{
	static const char body[] =
		"{\"model\":\"gpt-5\",\"instructions\":\"Be brief.\",\"stream\":true,"
		"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]},"
		"{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"ok\"}],"
		"\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"mcp\",\"server_label\":\"s\"},"
		"{\"type\":\"web_search_preview\"},{\"type\":\"teleport\"}],"
		"\"max_output_tokens\":9,\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},"
		"\"store\":false,\"background\":true,\"service_tier\":\"flex\","
		"\"previous_response_id\":\"resp_1\",\"conversation\":{\"id\":\"conv_1\"},"
		"\"prompt_cache_key\":\"k\",\"safety_identifier\":\"u-1\"}";

	(void)state;
	for (size_t step = 1; step <= sizeof(body); step += step < 40 ? 1 : 37) {
		struct request_reader *r = request(&responses, 1 << 20, body, step);
		const struct request_facts *f = request_reader_facts(r);

		assert_true(f->readable);
		assert_text(f->model, "gpt-5");
		assert_text(f->messages,
			"[{\"role\":\"system\",\"content\":\"Be brief.\"},"
			"{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]},"
			"{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"ok\"}]");
		assert_false(f->messages_truncated);
		assert_int_equal(f->nmessages, 2);
		assert_int_equal(f->tool_kinds,
			1u << REQUEST_TOOL_FUNCTION | 1u << REQUEST_TOOL_MCP |
				1u << REQUEST_TOOL_WEB_SEARCH | 1u << REQUEST_TOOL_OTHER);
		assert_int_equal(f->stream, REQUEST_TRUE);
		assert_true(f->max_tokens.value == 9);
		assert_text(f->effort, "low");
		assert_int_equal(f->store, REQUEST_FALSE);
		assert_int_equal(f->background, REQUEST_TRUE);
		assert_text(f->service_tier, "flex");
		assert_text(f->previous_response_id, "resp_1");
		assert_text(f->conversation, "conv_1");
		assert_text(f->prompt_cache_key, "k");
		assert_text(f->safety_identifier, "u-1");
		request_reader_free(r);
	}
}

static void input_and_instructions_make_one_list(void **state)
{
	static const struct {
		const char *body, *messages;
	} cases[] = {
		{"{\"input\":\"Hi \\\"you\\\"\"}", "[{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"}]"},
		{"{\"input\":\"Hi\",\"instructions\":\"Sing\"}",
			"[{\"role\":\"system\",\"content\":\"Sing\"},{\"role\":\"user\",\"content\":\"Hi\"}]"},
		{"{\"instructions\":\"Sing\",\"input\":[]}",
			"[{\"role\":\"system\",\"content\":\"Sing\"}]"},
		{"{\"instructions\":\"Sing\"}", "[{\"role\":\"system\",\"content\":\"Sing\"}]"},
		{"{\"instructions\":null,\"input\":[{\"a\":1}]}", "[{\"a\":1}]"},
		{"{\"instructions\":[{\"role\":\"developer\"}],\"input\":[1]}",
			"[{\"role\":\"system\",\"content\":[{\"role\":\"developer\"}]},1]"},
		{"{\"input\":[{\"a\":1}]}", "[{\"a\":1}]"},
		{"{\"previous_response_id\":\"r\"}", ""},
		/* The body ends too early: what came is kept. */
		{"{\"instructions\":\"Si", "[{\"role\":\"system\",\"content\":\"Si\"}]"},
		{"{\"input\":\"H", "[{\"role\":\"user\",\"content\":\"H\"}]"},
		{"{\"instructions\":\"S\",\"input\":[{\"a\":\"b",
			"[{\"role\":\"system\",\"content\":\"S\"},{\"a\":\"b\"}]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_reader *r = request(&responses, 1 << 20, cases[i].body, SIZE_MAX);

		assert_text(request_reader_facts(r)->messages, cases[i].messages);
		/* A second time nothing changes. */
		request_reader_end(r);
		assert_text(request_reader_facts(r)->messages, cases[i].messages);
		request_reader_free(r);
	}
}

static void instructions_have_a_part_of_what_is_kept(void **state)
{
	struct buf body = BUF_EMPTY;
	struct request_reader *r;
	const struct request_facts *f;

	(void)state;
	buf_append_slice(&body, SLICE("{\"input\":\"the new words\",\"instructions\":\"begin "));
	for (int i = 0; i < 10000; i++)
		buf_append_slice(&body, SLICE("more "));
	buf_append(&body, "\"}", 3); /* with its NUL */
	r = request(&responses, 4096, buf_slice(&body).data, 1000);
	f = request_reader_facts(r);
	assert_true(f->messages_truncated);
	assert_true(f->messages.len < 2048);
	assert_non_null(memmem(f->messages.data, f->messages.len, "begin more", 10));
	assert_non_null(memmem(f->messages.data, f->messages.len, "the new words", 13));
	request_reader_free(r);
	buf_free(&body);
}

static void what_is_not_of_the_family_is_not_its_messages(void **state)
{
	static const char body[] = "{\"messages\":[{\"role\":\"user\"}],\"input\":[1,2],"
				   "\"instructions\":\"x\",\"prompt\":\"p\"}";
	struct request_reader *r = request(&chat, 1 << 20, body, SIZE_MAX);

	(void)state;
	assert_text(request_reader_facts(r)->messages, "[{\"role\":\"user\"}]");
	assert_int_equal(request_reader_facts(r)->nmessages, 1);
	request_reader_free(r);
	r = request(&images, 1 << 20, body, SIZE_MAX);
	assert_text(request_reader_facts(r)->messages, "\"p\"");
	request_reader_free(r);
	r = request(&speech, 1 << 20, body, SIZE_MAX);
	assert_text(request_reader_facts(r)->messages, "[1,2]");
	request_reader_free(r);
}

static void a_stored_prompt_is_told(void **state)
{
	static const struct {
		const char *body;
		bool stored;
	} cases[] = {{"{\"prompt\":{\"id\":\"pmpt_1\"},\"input\":\"x\"}", true},
		{"{\"prompt\":\"pmpt_1\"}", true}, {"{\"prompt\":null}", false},
		{"{\"input\":[{\"prompt\":{}}]}", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_reader *r = request(&responses, 1000, cases[i].body, SIZE_MAX);

		if (request_reader_facts(r)->stored_prompt != cases[i].stored)
			fail_msg("%s", cases[i].body);
		request_reader_free(r);
	}
}

static void what_an_mcp_server_is_called_with_is_not_kept(void **state)
{
	static const char body[] =
		"{\"tools\":[{\"type\":\"mcp\",\"authorization\":\"two words\",\"server_label\":\"s\"},"
		"{\"headers\":{\"x-a\":[\"secret\",{\"b\":1}],\"c\":\"}\"},\"type\":\"mcp\"},"
		"{\"headers\":null,\"authorization\": 12 }]}";

	(void)state;
	for (size_t step = 1; step <= sizeof(body); step++) {
		struct request_reader *r = request(&responses, 1000, body, step);

		assert_text(request_reader_facts(r)->tools,
			"[{\"type\":\"mcp\",\"authorization\":\"[redacted]\",\"server_label\":\"s\"},"
			"{\"headers\":\"[redacted]\",\"type\":\"mcp\"},"
			"{\"headers\":null,\"authorization\": \"[redacted]\" }]");
		assert_int_equal(request_reader_facts(r)->tool_kinds, 1u << REQUEST_TOOL_MCP);
		request_reader_free(r);
	}
	/* The body ends in the middle of it. */
	for (size_t len = strlen("{\"tools\":["); len < sizeof(body) - 1; len++) {
		struct request_reader *r = request_reader_new(&responses, 1000);
		struct slice tools;

		request_reader_feed(r, slice_of(body, len));
		request_reader_end(r);
		tools = request_reader_facts(r)->tools;
		assert_null(tools.len ? memmem(tools.data, tools.len, "wor", 3) : NULL);
		assert_null(tools.len ? memmem(tools.data, tools.len, "secr", 4) : NULL);
		request_reader_free(r);
	}
}

static void embeddings_are_estimated_by_texts_and_by_numbers_of_tokens(void **state)
{
	static const struct {
		const char *body;
		uint64_t tokens;
	} cases[] = {
		{"{\"input\":\"12345678\"}", 2},
		{"{\"input\":[\"1234\",\"5678\",\"9\"]}", 3},
		{"{\"input\":[1,2,3]}", 3},
		{"{\"input\":[[1,2,3],[4]]}", 4},
		{"{\"input\":[]}", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_reader *r = request(&embeddings, 100, cases[i].body, SIZE_MAX);

		assert_int_equal(request_estimate_tokens(r), cases[i].tokens);
		request_reader_free(r);
	}
}

/* ---- answers ---- */

#define MESSAGE                                                                                    \
	"{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\","       \
	"\"content\":[{\"type\":\"output_text\",\"text\":\"Good \\u00e4nswer\",\"annotations\":[]}]}"
#define CALL                                                                                       \
	"{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\","              \
	"\"arguments\":\"{\\\"a\\\":1}\"}"
#define USAGE                                                                                      \
	"{\"input_tokens\":11,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":7,"      \
	"\"output_tokens_details\":{\"reasoning_tokens\":3},\"total_tokens\":18}"
#define RESPONSE(status, rest)                                                                     \
	"{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"" status "\",\"error\":null,"          \
	"\"model\":\"gpt-5-2025-08-07\",\"service_tier\":\"default\"" rest ",\"output\":[" MESSAGE     \
	"," CALL "],\"usage\":" USAGE "}"

static void assert_usage(const struct response_facts *f)
{
	assert_true(f->has_usage && f->has_input && f->has_output && f->has_total);
	assert_int_equal(f->input_tokens, 11);
	assert_int_equal(f->output_tokens, 7);
	assert_int_equal(f->total_tokens, 18);
	assert_int_equal(f->parts[USAGE_CACHE_READ].tokens, 4);
	assert_int_equal(f->parts[USAGE_REASONING].tokens, 3);
}

static void a_response_is_read_in_pieces_of_any_size(void **state)
{
	static const char body[] = RESPONSE("completed", ",\"incomplete_details\":null");

	(void)state;
	for (size_t step = 1; step <= sizeof(body); step += step < 40 ? 1 : 37) {
		struct response_reader *r = response_reader_new(&responses, 1 << 20, false);
		const struct response_facts *f = response_reader_facts(r);
		struct slice rest = slice_of_string(body);

		while (rest.len) {
			assert_int_equal(response_reader_body(r, slice_first(rest, step)), 0);
			rest = slice_after(rest, step);
		}
		response_reader_end(r);
		assert_true(f->readable && f->complete && !f->has_error);
		assert_text(f->id, "resp_1");
		assert_text(f->model, "gpt-5-2025-08-07");
		assert_text(f->service_tier, "default");
		assert_text(f->finish_reasons, "[\"completed\"]");
		assert_text(f->output_messages, "[" MESSAGE "," CALL "]");
		assert_int_equal(f->output_bytes, strlen("Good \xc3\xa4nswer") + strlen("{\"a\":1}"));
		assert_usage(f);
		response_reader_free(r);
	}
}

static void why_a_response_ended_is_said_by_its_details(void **state)
{
	struct response_reader *r = response_reader_new(&responses, 0, false);

	(void)state;
	response_reader_body(r, SLICE("{\"incomplete_details\":{\"reason\":\"max_output_tokens\"},"
				      "\"status\":\"incomplete\"}"));
	response_reader_end(r);
	assert_text(response_reader_facts(r)->finish_reasons, "[\"max_output_tokens\"]");
	response_reader_free(r);
}

static unsigned event(struct response_reader *r, const char *data)
{
	return response_reader_event(r, slice_of_string(data), RESPONSE_UNPLACED);
}

static const char *const beginning[] = {
	"{\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\","
	"\"model\":\"gpt-5-2025-08-07\",\"output\":[],\"usage\":null}}",
	"{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\"}}",
	"{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"Good \"}",
	"{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"\\u00e4nswer\"}",
};

static struct response_reader *begun(void)
{
	struct response_reader *r = response_reader_new(&responses, 1 << 20, true);

	for (size_t i = 0; i < sizeof(beginning) / sizeof(beginning[0]); i++)
		assert_int_equal(event(r, beginning[i]), 0);
	return r;
}

static void a_stream_ends_with_its_terminal_event(void **state)
{
	static const struct {
		const char *end, *finish;
		unsigned flags;
	} cases[] = {
		{"{\"type\":\"response.completed\",\"response\":" RESPONSE("completed", "") "}",
			"[\"completed\"]", RESPONSE_EVENT_DONE},
		{"{\"type\":\"response.incomplete\",\"response\":" RESPONSE("incomplete",
			 ",\"incomplete_details\":{\"reason\":\"content_filter\"}") "}",
			"[\"content_filter\"]", RESPONSE_EVENT_DONE},
		{"{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":"
		 "\"server_error\",\"message\":\"no\"},\"usage\":" USAGE ",\"service_tier\":\"default\"}}",
			"[\"failed\"]", RESPONSE_EVENT_DONE | RESPONSE_EVENT_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response_reader *r = begun();
		const struct response_facts *f = response_reader_facts(r);

		assert_int_equal(event(r, "{\"type\":\"response.output_item.done\",\"output_index\":0,"
					  "\"item\":" MESSAGE "}"), 0);
		assert_int_equal(event(r, "{\"type\":\"response.output_item.done\",\"output_index\":1,"
					  "\"item\":" CALL "}"), 0);
		assert_false(f->complete);
		assert_int_equal(event(r, cases[i].end), cases[i].flags);
		assert_true(f->complete);
		response_reader_end(r);
		assert_text(f->id, "resp_1");
		assert_text(f->service_tier, "default");
		assert_text(f->finish_reasons, cases[i].finish);
		assert_non_null(memmem(f->output_messages.data, f->output_messages.len, "msg_1", 5));
		assert_non_null(memmem(f->output_messages.data, f->output_messages.len, "fc_1", 4));
		/* Neither twice: once by its own event, once in the response. */
		assert_null(memmem(f->output_messages.data + 20, f->output_messages.len - 20, "msg_1", 5));
		assert_usage(f);
		response_reader_free(r);
	}
}

static void of_a_stream_that_is_cut_the_pieces_are_kept(void **state)
{
	struct response_reader *r = begun();
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	event(r, "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"m\"}}");
	event(r, "{\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":"
		 "\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"\"}}");
	event(r, "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,"
		 "\"delta\":\"{\\\"a\\\"\"}");
	event(r, "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,"
		 "\"delta\":\":1\"}");
	response_reader_end(r);
	assert_false(f->complete);
	assert_text(f->output_messages,
		"[{\"id\":\"m\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":"
		"\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1\"}}]}]");
	response_reader_free(r);
	r = begun();
	response_reader_end(r);
	assert_text(response_reader_facts(r)->output_messages,
		"[{\"role\":\"assistant\",\"content\":\"Good \xc3\xa4nswer\"}]");
	response_reader_free(r);
}

static void a_stream_taken_up_again_has_its_items_in_the_response(void **state)
{
	struct response_reader *r = response_reader_new(&responses, 1 << 20, true);
	const struct response_facts *f;

	(void)state;
	event(r, "{\"type\":\"response.completed\",\"response\":" RESPONSE("completed", "") "}");
	response_reader_end(r);
	f = response_reader_facts(r);
	assert_non_null(memmem(f->output_messages.data, f->output_messages.len, "},{\"id\":\"fc_1\"", 14));
	response_reader_free(r);
}

static void items_beyond_the_limit_are_abridged(void **state)
{
	struct response_reader *r = response_reader_new(&responses, 1000, true);
	const struct response_facts *f = response_reader_facts(r);
	struct buf long_item = BUF_EMPTY;

	(void)state;
	buf_append_slice(&long_item, SLICE("{\"type\":\"response.output_item.done\",\"output_index\":0,"
					   "\"item\":{\"text\":\"begin "));
	for (int i = 0; i < 1000; i++)
		buf_append_slice(&long_item, SLICE("more "));
	buf_append_slice(&long_item, SLICE("end\"}}"));
	for (int i = 0; i < 3; i++)
		response_reader_event(r, buf_slice(&long_item), RESPONSE_UNPLACED);
	response_reader_end(r);
	assert_true(f->output_truncated);
	assert_true(f->output_messages.len < 1100);
	assert_true(f->output_cut > 13000);
	assert_non_null(memmem(f->output_messages.data, f->output_messages.len, "begin more", 10));
	assert_non_null(memmem(f->output_messages.data, f->output_messages.len, "more end\"}]", 11));
	buf_free(&long_item);
	response_reader_free(r);
}

/* The same of answers: many items, or one of many parts, streamed or not. */
static void the_newest_of_many_short_items_is_kept(void **state)
{
	static const char *const bodies[][2] = {
		{"{\"output\":[{\"first\":1}", ",{\"newest\":1}]}"},
		{"{\"output\":[{\"content\":[\"first\"", ",\"newest\"]}]}"},
	};
	struct buf middle = BUF_EMPTY, body = BUF_EMPTY;

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_append_slice(&middle, SLICE(",{\"text\":\"x\"}"));
	for (int i = 0; i < 4; i++) {
		struct response_reader *r = response_reader_new(&responses, 1000, i & 1);
		const struct response_facts *f = response_reader_facts(r);
		struct slice m;

		buf_clear(&body);
		if (i & 1)
			buf_append_slice(&body, SLICE("{\"type\":\"response.completed\",\"response\":"));
		buf_append_slice(&body, slice_of_string(bodies[i / 2][0]));
		buf_append_slice(&body, buf_slice(&middle));
		buf_append_slice(&body, slice_of_string(bodies[i / 2][1]));
		if (i & 1)
			buf_append_slice(&body, SLICE("}"));
		if (i & 1)
			response_reader_event(r, buf_slice(&body), RESPONSE_UNPLACED);
		else
			assert_int_equal(response_reader_body(r, buf_slice(&body)), 0);
		response_reader_end(r);
		m = f->output_messages;
		assert_true(f->output_truncated && f->output_cut > 5000 * 13 - 1000 && m.len <= 1000);
		assert_non_null(memmem(m.data, m.len, "\"first\"", 7));
		assert_non_null(memmem(m.data, m.len, "\"newest\"", 8));
		assert_int_equal(m.data[m.len - 1], ']');
		response_reader_free(r);
	}
	buf_free(&body);
	buf_free(&middle);
}

static void errors_in_a_stream_are_told(void **state)
{
	struct response_reader *r = begun();

	(void)state;
	assert_int_equal(event(r, "{\"type\":\"error\",\"code\":\"rate_limit\",\"message\":\"slow\","
				  "\"param\":null}"), RESPONSE_EVENT_ERROR);
	response_reader_end(r);
	assert_true(response_reader_facts(r)->has_error);
	assert_text(response_reader_facts(r)->error_code, "rate_limit");
	assert_text(response_reader_facts(r)->error_message, "slow");
	response_reader_free(r);
}

static void images_tell_the_prompt_that_was_drawn_and_their_usage(void **state)
{
	struct response_reader *r = response_reader_new(&images, 1000, false);
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	response_reader_body(r, SLICE("{\"created\":1,\"data\":[{\"b64_json\":\"AAAA\",\"revised_prompt\":"
				      "\"A cat\"},{\"revised_prompt\":\"Two\"}],\"usage\":" USAGE "}"));
	response_reader_end(r);
	assert_true(f->readable);
	assert_text(f->output_messages, "[{\"role\":\"assistant\",\"content\":\"A cat\"},"
					"{\"role\":\"assistant\",\"content\":\"Two\"}]");
	assert_usage(f);
	response_reader_free(r);
	r = response_reader_new(&images, 1000, true);
	f = response_reader_facts(r);
	event(r, "{\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}");
	assert_false(f->whole);
	assert_int_equal(event(r, "{\"type\":\"image_generation.completed\",\"usage\":" USAGE "}"), 0);
	assert_true(f->whole && !f->complete);
	assert_usage(f);
	response_reader_end(r);
	response_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_of_a_response_request_are_read_in_pieces_of_any_size),
		cmocka_unit_test(input_and_instructions_make_one_list),
		cmocka_unit_test(instructions_have_a_part_of_what_is_kept),
		cmocka_unit_test(what_is_not_of_the_family_is_not_its_messages),
		cmocka_unit_test(a_stored_prompt_is_told),
		cmocka_unit_test(what_an_mcp_server_is_called_with_is_not_kept),
		cmocka_unit_test(embeddings_are_estimated_by_texts_and_by_numbers_of_tokens),
		cmocka_unit_test(a_response_is_read_in_pieces_of_any_size),
		cmocka_unit_test(why_a_response_ended_is_said_by_its_details),
		cmocka_unit_test(a_stream_ends_with_its_terminal_event),
		cmocka_unit_test(of_a_stream_that_is_cut_the_pieces_are_kept),
		cmocka_unit_test(a_stream_taken_up_again_has_its_items_in_the_response),
		cmocka_unit_test(items_beyond_the_limit_are_abridged),
		cmocka_unit_test(the_newest_of_many_short_items_is_kept),
		cmocka_unit_test(errors_in_a_stream_are_told),
		cmocka_unit_test(images_tell_the_prompt_that_was_drawn_and_their_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
