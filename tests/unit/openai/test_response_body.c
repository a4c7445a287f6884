// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers that are one JSON text. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yyjson.h>

#include "openai/response.h"

static const struct operation chat = {.family = FAMILY_CHAT, .streams = true};
static const struct operation completion = {
	.family = FAMILY_COMPLETION, .streams = true};

/* Feeds body in pieces of step bytes, each in memory of its own, and ends it. */
static struct response_reader *read_pieces(
	const struct operation *operation, size_t content_max, struct slice body, size_t step)
{
	struct response_reader *r = response_reader_new(operation, content_max, false);

	assert_non_null(r);
	while (body.len) {
		struct slice piece = slice_first(body, step);
		char *copy = malloc(piece.len);

		assert_non_null(copy);
		memcpy(copy, piece.data, piece.len);
		response_reader_body(r, slice_of(copy, piece.len));
		free(copy);
		body = slice_after(body, piece.len);
	}
	response_reader_end(r);
	return r;
}

static struct response_reader *read_whole(const char *body)
{
	return read_pieces(&chat, 1 << 20, slice_of_string(body), SIZE_MAX);
}

static void assert_text(struct slice actual, const char *expected)
{
	if (!slice_equal(actual, slice_of_string(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(actual), expected);
}

#define FIRST                                                                                      \
	"{\"role\":\"assistant\",\"content\":\"He\\u00e4llo\",\"refusal\":null,"                   \
	"\"annotations\":[]}"
#define SECOND                                                                                     \
	"{ \"role\" : \"assistant\", \"content\": null, \"tool_calls\":[{\"id\":\"c\","            \
	"\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"
#define CHAT                                                                                       \
	"{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\n"                   \
	"\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"message\":" FIRST             \
	",\"logprobs\":null,\"finish_reason\":\"stop\",\"content_filter_results\":{}},"            \
	"{\"finish_reason\":\"tool_calls\",\"index\":1,\"message\":" SECOND "}],"                  \
	"\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29,"            \
	"\"prompt_tokens_details\":{\"cached_tokens\":7,\"audio_tokens\":0},"                      \
	"\"completion_tokens_details\":{\"reasoning_tokens\":3,\"audio_tokens\":0}},"              \
	"\"prompt_filter_results\":[{}],\"system_fingerprint\":\"fp_1\"}\n"

static void facts_of_a_chat_are_read_in_pieces_of_any_size(void **state)
{
	struct slice body = SLICE(CHAT);
	size_t step;

	(void)state;
	for (step = 1; step <= body.len; step += step < 20 ? 1 : 37) {
		struct response_reader *r = read_pieces(&chat, 1 << 20, body, step);
		const struct response_facts *f = response_reader_facts(r);

		assert_true(f->readable);
		assert_true(f->complete);
		assert_text(f->id, "chatcmpl-1");
		assert_text(f->model, "gpt-4o-2024-08-06");
		assert_text(f->system_fingerprint, "fp_1");
		assert_text(f->finish_reasons, "[\"stop\",\"tool_calls\"]");
		assert_text(f->output_messages, "[" FIRST "," SECOND "]");
		assert_false(f->output_truncated);
		assert_true(f->has_usage);
		assert_int_equal(f->input_tokens, 19);
		assert_int_equal(f->output_tokens, 10);
		assert_int_equal(f->total_tokens, 29);
		assert_int_equal(f->parts[USAGE_CACHE_READ].tokens, 7);
		assert_int_equal(f->parts[USAGE_REASONING].tokens, 3);
		assert_int_equal(f->output_bytes, 7 + 2);
		assert_false(f->has_error);
		response_reader_free(r);
	}
}

static void what_is_no_count_is_not_counted(void **state)
{
	static const char *const none[] = {"-3", "3.0", "1e2", "\"3\"", "null", "[3]",
		"9223372036854775808", "99999999999999999999999"};
	char body[200];

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		const struct response_facts *f;
		struct response_reader *r;

		snprintf(body, sizeof(body),
			"{\"usage\":{\"prompt_tokens\":%s,\"completion_tokens\":2}}", none[i]);
		r = read_whole(body);
		f = response_reader_facts(r);
		assert_true(f->has_usage && f->has_output && !f->has_input && !f->has_total);
		assert_int_equal(f->output_tokens, 2);
		response_reader_free(r);
		snprintf(body, sizeof(body), "{\"usage\":{\"total_tokens\":%s}}", none[i]);
		r = read_whole(body);
		assert_false(response_reader_facts(r)->has_usage);
		response_reader_free(r);
	}
}

static void older_completions_become_messages(void **state)
{
	struct slice body = SLICE(
		"{\"id\":\"cmpl-1\",\"choices\":[{\"text\":\" One\\n\",\"index\":0,\"logprobs\":"
		"{\"tokens\":[\" One\"],\"text_offset\":[0]},\"finish_reason\":\"stop\"},{\"text\":"
		"\" "
		"two\",\"index\":1,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":5,"
		"\"completion_tokens\":7}}");
	size_t step;

	(void)state;
	for (step = 1; step < 60; step++) {
		struct response_reader *r = read_pieces(&completion, 1000, body, step);
		const struct response_facts *f = response_reader_facts(r);

		assert_text(f->output_messages, "[{\"role\":\"assistant\",\"content\":\" One\\n\"},"
						"{\"role\":\"assistant\",\"content\":\" two\"}]");
		assert_text(f->finish_reasons, "[\"stop\",\"length\"]");
		assert_int_equal(f->total_tokens, 12);
		response_reader_free(r);
	}
}

static void a_text_in_a_chat_is_not_its_output(void **state)
{
	struct response_reader *r = read_whole("{\"choices\":[{\"message\":{\"content\":\"a\"},"
					       "\"text\":\"b\"},{\"text\":\"c\"}]}");

	(void)state;
	assert_text(response_reader_facts(r)->output_messages, "[{\"content\":\"a\"}]");
	response_reader_free(r);
}

static void errors_are_read_in_all_their_forms(void **state)
{
	static const struct {
		const char *body, *type, *code, *message;
	} cases[] = {
		{"{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"param\":null,"
		 "\"code\":\"insufficient_quota\"}}",
			"invalid_request_error", "insufficient_quota", "m"},
		{"{\"error\":{\"code\":\"401\",\"message\":\"m\"}}", "", "401", "m"},
		{"{\"error\":{\"code\":401,\"message\":\"m\"}}", "", "401", "m"},
		{"{\"error\":\"m\"}", "", "", "m"},
		{"{ \"statusCode\": 429, \"message\": \"m\" }", "", "429", "m"},
		{"{\"message\":\"m\",\"statusCode\":429}", "", "429", "m"},
		{"{\"error\":{\"message\":\"m\",\"type\":null,\"param\":\"prompt\",\"code\":"
		 "\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
		 "\"ResponsibleAIPolicyViolation\",\"content_filter_result\":{\"hate\":{}}}}}",
			"ResponsibleAIPolicyViolation", "content_filter", "m"},
		{"{\"error\":{\"innererror\":{\"code\":\"x\"},\"type\":\"t\",\"message\":\"\"}}",
			"t", "", ""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response_reader *r = read_whole(cases[i].body);
		const struct response_facts *f = response_reader_facts(r);

		assert_true(f->has_error);
		assert_true(f->readable);
		assert_text(f->error_type, cases[i].type);
		assert_text(f->error_code, cases[i].code);
		assert_text(f->error_message, cases[i].message);
		assert_text(f->output_messages, "");
		assert_text(f->finish_reasons, "[]");
		response_reader_free(r);
	}
}

static void what_is_no_error_is_none(void **state)
{
	static const char *const bodies[] = {"{\"error\":null}", "{\"message\":\"m\"}",
		"{\"statusCode\":\"429\",\"message\":\"m\"}"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct response_reader *r = read_whole(bodies[i]);

		assert_false(response_reader_facts(r)->has_error);
		assert_int_equal(response_reader_facts(r)->error_message.len, 0);
		response_reader_free(r);
	}
}

static void long_texts_are_cut_between_characters(void **state)
{
	static char body[4000];
	struct response_reader *r;
	size_t i, len;

	(void)state;
	len = (size_t)snprintf(body, sizeof(body), "{\"error\":{\"message\":\"a");
	for (i = 0; i < 1000; i++)
		len += (size_t)snprintf(body + len, sizeof(body) - len, "\xe2\x82\xac");
	snprintf(body + len, sizeof(body) - len, "\"}}");
	r = read_whole(body);
	assert_int_equal(response_reader_facts(r)->error_message.len, 1 + 341 * 3);
	response_reader_free(r);
}

static void usage_is_counts_only(void **state)
{
	static const struct {
		const char *usage;
		bool has;
	} cases[] = {
		{"null", false},
		{"{}", false},
		{"[1]", false},
		{"{\"prompt_tokens\":\"1\"}", false},
		{"{\"prompt_tokens\":-1}", false},
		{"{\"prompt_tokens\":1.5}", false},
		{"{\"prompt_tokens\":18446744073709551616}", false},
		{"{\"prompt_tokens\":1e3}", false},
		{"{\"prompt_tokens_details\":{\"cached_tokens\":1}}", false},
		{"{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":1}", true},
		{"{\"input_tokens\":0,\"output_tokens\":0}", true},
	};
	char body[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response_reader *r;

		snprintf(body, sizeof(body), "{\"usage\":%s}", cases[i].usage);
		r = read_whole(body);
		assert_int_equal(response_reader_facts(r)->has_usage, cases[i].has);
		response_reader_free(r);
	}
}

static void what_is_not_json_is_named(void **state)
{
	static const struct {
		const char *body, *problem;
	} cases[] = {
		{"", "empty"},
		{"<html>Bad Gateway</html>", "invalid JSON"},
		{"{\"id\":\"x\"", "unfinished JSON"},
		{"{\"id\":\"x\"}{}", "bytes after the JSON value"},
		{"[]", "not a JSON object"},
		{"{\"id\":\"\xff\"}", "invalid UTF-8"},
		{"{\"id\":NaN}", "invalid JSON"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct response_reader *r = read_whole(cases[i].body);

		assert_false(response_reader_facts(r)->readable);
		assert_string_equal(response_reader_facts(r)->problem, cases[i].problem);
		response_reader_free(r);
	}
}

static void a_broken_off_answer_keeps_what_came(void **state)
{
	struct slice body = SLICE(CHAT);
	size_t len;

	(void)state;
	for (len = 0; len < body.len - 1; len++) {
		struct response_reader *r = read_pieces(&chat, 1000, slice_first(body, len), 13);
		const struct response_facts *f = response_reader_facts(r);

		if (len < body.len - 2)
			assert_false(f->complete);
		if (f->output_messages.len) {
			yyjson_doc *doc =
				yyjson_read(f->output_messages.data, f->output_messages.len, 0);

			assert_non_null(doc);
			yyjson_doc_free(doc);
		}
		response_reader_free(r);
	}
}

static void output_is_cut_into_valid_json(void **state)
{
	size_t max;

	(void)state;
	for (max = 0; max < sizeof(FIRST SECOND) + 5; max++) {
		struct response_reader *r = read_pieces(&chat, max, SLICE(CHAT), 7);
		const struct response_facts *f = response_reader_facts(r);
		yyjson_doc *doc = yyjson_read(f->output_messages.data, f->output_messages.len, 0);

		assert_int_equal(doc != NULL, max != 0);
		assert_int_equal(
			f->output_truncated, max && max < sizeof("[" FIRST "," SECOND) - 1);
		assert_true(f->output_messages.len <= max + 10);
		yyjson_doc_free(doc);
		response_reader_free(r);
		r = read_pieces(&completion, max,
			SLICE("{\"choices\":[{\"text\":\"abc\"},{\"text\":\"de\"}]}"), 7);
		f = response_reader_facts(r);
		doc = yyjson_read(f->output_messages.data, f->output_messages.len, 0);
		assert_int_equal(doc != NULL, max != 0);
		yyjson_doc_free(doc);
		response_reader_free(r);
	}
}

/* Each of the strings, in bytes as they are written, stands for 3000 of its units. */
static void long_answers_keep_their_beginnings_and_ends(void **state)
{
	static const char *const fillers[] = {"x", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\n", "\\\\",
		"\\\"", "\\ud83d\\ude00", "\\u20ac"};
	static char body[90000], expected[2][90000];
	size_t i, k, len, step, unit;

	(void)state;
	for (i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		unit = strlen(fillers[i]);
		len = (size_t)snprintf(body, sizeof(body),
			"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"first");
		for (k = 0; k < 3000; k++)
			len += (size_t)snprintf(body + len, sizeof(body) - len, "%s", fillers[i]);
		len += (size_t)snprintf(body + len, sizeof(body) - len,
			"last\",\"tool_calls\":[{\"id\":\"i\",\"function\":{\"name\":\"f\","
			"\"arguments\":\"begin");
		for (k = 0; k < 3000; k++)
			len += (size_t)snprintf(body + len, sizeof(body) - len, "%s", fillers[i]);
		len += (size_t)snprintf(
			body + len, sizeof(body) - len, "end\"}}]}}],\"id\":\"x\"}");
		for (step = 1; step < 100000; step = step * 3 + 1) {
			struct response_reader *r =
				read_pieces(&chat, 2000, slice_of(body, len), step);
			const struct response_facts *f = response_reader_facts(r);
			yyjson_doc *doc =
				yyjson_read(f->output_messages.data, f->output_messages.len, 0);
			struct slice content, arguments;
			yyjson_val *root = yyjson_doc_get_root(doc);

			assert_non_null(doc);
			assert_true(f->complete && f->output_truncated);
			assert_true(f->output_messages.len <= 2000 + 8);
			content = slice_of_string(
				yyjson_get_str(yyjson_ptr_get(root, "/0/content")));
			arguments = slice_of_string(yyjson_get_str(
				yyjson_ptr_get(root, "/0/tool_calls/0/function/arguments")));
			assert_true(slice_starts_with(content, SLICE("first")));
			assert_true(slice_equal(
				slice_after(content, content.len - 4), SLICE("last")));
			assert_true(slice_starts_with(arguments, SLICE("begin")));
			assert_true(slice_equal(
				slice_after(arguments, arguments.len - 3), SLICE("end")));
			assert_int_equal(f->output_cut % unit, 0);
			assert_int_equal(f->output_cut + f->output_messages.len - 6,
				len - strlen("{\"choices\":[{\"message\":}],\"id\":\"x\"}") + 2);
			/* However it comes. */
			snprintf(expected[step != 1], sizeof(expected[0]), "%.*s",
				SLICE_ARG(f->output_messages));
			if (step != 1)
				assert_string_equal(expected[1], expected[0]);
			yyjson_doc_free(doc);
			response_reader_free(r);
		}
	}
}

static void what_is_not_text_keeps_its_beginning(void **state)
{
	static char body[20000];
	struct response_reader *r;
	yyjson_doc *doc;
	size_t len, i;

	(void)state;
	len = (size_t)snprintf(body, sizeof(body), "{\"choices\":[{\"message\":{\"content\":[0");
	for (i = 0; i < 3000; i++)
		len += (size_t)snprintf(body + len, sizeof(body) - len, ",%zu", i);
	len += (size_t)snprintf(body + len, sizeof(body) - len, "]}}]}");
	r = read_pieces(&chat, 2000, slice_of(body, len), 100);
	doc = yyjson_read(response_reader_facts(r)->output_messages.data,
		response_reader_facts(r)->output_messages.len, 0);
	assert_non_null(doc);
	assert_true(response_reader_facts(r)->output_messages.len > 1900);
	assert_true(response_reader_facts(r)->output_messages.len < 2100);
	assert_true(response_reader_facts(r)->output_cut > len - 2100);
	yyjson_doc_free(doc);
	response_reader_free(r);
}

static void memory_does_not_grow_with_the_body(void **state)
{
	static char piece[1 << 16];
	struct response_reader *r = response_reader_new(&chat, 4096, false);
	size_t fed, before = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	response_reader_body(r, SLICE("{\"choices\":[{\"message\":{\"content\":\""));
	for (fed = 0; fed < 20 << 20; fed += sizeof(piece)) {
		assert_int_equal(response_reader_body(r, slice_of(piece, sizeof(piece))), 0);
		if (fed == 1 << 20)
			before = mallinfo2().uordblks;
	}
	assert_int_equal(mallinfo2().uordblks, before);
	response_reader_body(r, SLICE("\"}}],\"usage\":{\"total_tokens\":5}}"));
	response_reader_end(r);
	assert_true(response_reader_facts(r)->complete);
	assert_int_equal(response_reader_facts(r)->total_tokens, 5);
	assert_int_equal(response_reader_facts(r)->output_bytes, 20 << 20);
	assert_true(response_reader_facts(r)->output_messages.len <= 4096 + 8);
	response_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_of_a_chat_are_read_in_pieces_of_any_size),
		cmocka_unit_test(what_is_no_count_is_not_counted),
		cmocka_unit_test(older_completions_become_messages),
		cmocka_unit_test(a_text_in_a_chat_is_not_its_output),
		cmocka_unit_test(errors_are_read_in_all_their_forms),
		cmocka_unit_test(what_is_no_error_is_none),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(usage_is_counts_only),
		cmocka_unit_test(what_is_not_json_is_named),
		cmocka_unit_test(a_broken_off_answer_keeps_what_came),
		cmocka_unit_test(output_is_cut_into_valid_json),
		cmocka_unit_test(long_answers_keep_their_beginnings_and_ends),
		cmocka_unit_test(what_is_not_text_keeps_its_beginning),
		cmocka_unit_test(memory_does_not_grow_with_the_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
