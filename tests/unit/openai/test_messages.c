// SPDX-License-Identifier: GPL-2.0-or-later
/* Anthropic's messages: request, answer and stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openai/request.h"
#include "openai/response.h"

static const struct operation messages = {
	.name = "messages", .family = FAMILY_MESSAGES, .streams = true};

static void assert_text(struct slice got, const char *want)
{
	if (!slice_equal(got, slice_of_string(want)))
		fail_msg("expected %s, got %.*s", want, SLICE_ARG(got));
}

#define TOOLS                                                                                      \
	"[{\"name\":\"weather\",\"input_schema\":{\"type\":\"object\"}},"                          \
	"{\"type\":\"web_search_20250305\",\"name\":\"web_search\"},"                              \
	"{\"type\":\"bash_20250124\",\"name\":\"bash\"}]"
#define BODY                                                                                       \
	"{\"model\":\"claude-sonnet\",\"max_tokens\":100,\"stream\":true,\"temperature\":0.5,"     \
	"\"system\":[{\"type\":\"text\",\"text\":\"Be kind.\"}],"                                  \
	"\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"},"                                 \
	"{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\"," \
	"\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":["  \
	"{\"type\":\"text\",\"text\":\"sunny\"}]},{\"type\":\"image\",\"source\":{\"data\":\"\"}}" \
	"]}],"                                                                                     \
	"\"mcp_servers\":[{\"url\":\"https://m\",\"authorization_token\":\"hidden\"}],"            \
	"\"tools\":" TOOLS "}"

static void a_request_is_read_in_pieces_of_any_size(void **state)
{
	static const char body[] = BODY;

	(void)state;
	for (size_t step = 1; step <= sizeof(body); step += step < 40 ? 1 : 37) {
		struct request_reader *r = request_reader_new(&messages, 1 << 16);
		const struct request_facts *f = request_reader_facts(r);
		struct slice rest = slice_of_string(body);

		for (; rest.len; rest = slice_after(rest, step))
			assert_int_equal(request_reader_feed(r, slice_first(rest, step)), 0);
		assert_int_equal(request_reader_end(r), 0);
		assert_text(f->model, "claude-sonnet");
		assert_true(f->stream == REQUEST_TRUE && f->max_tokens.present);
		assert_int_equal(f->nmessages, 3);
		assert_int_equal(
			f->tool_kinds, 1u << REQUEST_TOOL_FUNCTION | 1u << REQUEST_TOOL_WEB_SEARCH |
					       1u << REQUEST_TOOL_SHELL | 1u << REQUEST_TOOL_MCP);
		assert_text(f->tools, TOOLS);
		assert_int_equal(
			strncmp(f->messages.data,
				"[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":"
				"\"Be kind.\"}]},{\"role\":\"user\",\"content\":\"Hello\"},",
				95),
			0);
		assert_null(memmem(f->messages.data, f->messages.len, "hidden", 6));
		/* "Be kind.", "Hello", "sunny" and the tools; three messages; an image. */
		assert_int_equal(request_estimate_tokens(r),
			(8 + 5 + 5 + sizeof(TOOLS) - 1 + 3) / 4 + 12 + 85);
		request_reader_free(r);
	}
}

static void the_cache_is_part_of_the_input(void **state)
{
	static const char body[] =
		"{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
		"\"claude\","
		"\"content\":[{\"type\":\"text\",\"text\":\"Fine\"},{\"type\":\"tool_use\",\"id\":"
		"\"t\","
		"\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\",\"usage\":{"
		"\"input_tokens\":10,\"cache_creation_input_tokens\":20,\"cache_read_input_"
		"tokens\":300,"
		"\"output_tokens\":7,\"service_tier\":\"standard\"}}";

	(void)state;
	for (size_t step = 1; step <= sizeof(body); step += step < 40 ? 1 : 37) {
		struct response_reader *r = response_reader_new(&messages, 1 << 16, false);
		const struct response_facts *f = response_reader_facts(r);
		struct slice rest = slice_of_string(body);

		for (; rest.len; rest = slice_after(rest, step))
			assert_int_equal(response_reader_body(r, slice_first(rest, step)), 0);
		response_reader_end(r);
		assert_true(f->readable && f->complete && f->has_usage);
		assert_text(f->id, "msg_1");
		assert_text(f->model, "claude");
		assert_text(f->service_tier, "standard");
		assert_text(f->finish_reasons, "[\"tool_use\"]");
		assert_text(f->output_messages, "[{\"role\":\"assistant\",\"content\":[{\"type\":"
						"\"text\",\"text\":\"Fine\"},"
						"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
						"\"f\",\"input\":{\"a\":1}}]}]");
		assert_int_equal(f->input_tokens, 330);
		assert_int_equal(f->output_tokens, 7);
		assert_int_equal(f->total_tokens, 337);
		assert_int_equal(f->parts[USAGE_CACHE_READ].tokens, 300);
		assert_int_equal(f->parts[USAGE_CACHE_WRITE].tokens, 20);
		assert_false(f->parts[USAGE_REASONING].told);
		assert_int_equal(f->output_bytes, 4 + 7);
		response_reader_free(r);
	}
}

static unsigned event(struct response_reader *r, const char *data)
{
	return response_reader_event(r, slice_of_string(data), RESPONSE_UNPLACED);
}

static void begin(struct response_reader *r)
{
	event(r, "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\","
		 "\"content\":"
		 "[],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":300,\"output_"
		 "tokens\":1,"
		 "\"service_tier\":\"priority\"}}}");
}

static void a_stream_counts_what_it_says_last(void **state)
{
	struct response_reader *r = response_reader_new(&messages, 1 << 16, true);
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	begin(r);
	/* A client that leaves here has used this much. */
	assert_int_equal(f->total_tokens, 311);
	event(r, "{\"type\":\"ping\"}");
	event(r, "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
		 "\"text\",\"text\":\"\"}}");
	event(r, "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
		 "\"text\":\"Fi\"}}");
	event(r, "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
		 "\"text\":\"ne\"}}");
	event(r, "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_"
		 "use\",\"id\":"
		 "\"t\",\"name\":\"f\",\"input\":{}}}");
	event(r, "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_"
		 "delta\","
		 "\"partial_json\":\"{}\"}}");
	event(r, "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{"
		 "\"output_tokens\":17}}");
	assert_false(f->complete);
	assert_int_equal(event(r, "{\"type\":\"message_stop\"}"), RESPONSE_EVENT_DONE);
	response_reader_end(r);
	assert_true(f->complete && f->readable && !f->has_error);
	assert_text(f->id, "msg_1");
	assert_text(f->service_tier, "priority");
	assert_text(f->finish_reasons, "[\"tool_use\"]");
	assert_int_equal(f->input_tokens, 310);
	assert_int_equal(f->output_tokens, 17);
	assert_int_equal(f->total_tokens, 327);
	assert_int_equal(f->parts[USAGE_CACHE_READ].tokens, 300);
	assert_text(f->output_messages, "[{\"role\":\"assistant\",\"content\":\"Fine\",\"tool_"
					"calls\":[{\"id\":\"t\",\"type\":\"function\","
					"\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]");
	response_reader_free(r);
}

static void an_error_in_the_stream_is_its_end(void **state)
{
	struct response_reader *r = response_reader_new(&messages, 1 << 16, true);
	const struct response_facts *f = response_reader_facts(r);

	(void)state;
	begin(r);
	assert_int_equal(
		event(r, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
			 "\"Overloaded\"}}"),
		RESPONSE_EVENT_ERROR);
	response_reader_end(r);
	assert_true(f->has_error && !f->complete);
	assert_text(f->error_type, "overloaded_error");
	assert_text(f->error_message, "Overloaded");
	response_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read_in_pieces_of_any_size),
		cmocka_unit_test(the_cache_is_part_of_the_input),
		cmocka_unit_test(a_stream_counts_what_it_says_last),
		cmocka_unit_test(an_error_in_the_stream_is_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
