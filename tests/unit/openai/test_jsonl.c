// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openai/jsonl.h"

static void assert_text(struct slice got, const char *want)
{
	if (!slice_equal(got, slice_of_string(want)))
		fail_msg("expected %s, got %.*s", want, SLICE_ARG(got));
}

static struct jsonl *read_in(struct slice text, size_t step, size_t content_max)
{
	struct jsonl *j = jsonl_new(content_max);

	for (; text.len; text = slice_after(text, step))
		jsonl_feed(j, slice_first(text, step));
	jsonl_end(j);
	return j;
}

#define CALL(id, model)                                                                            \
	"{\"custom_id\":\"" id                                                                     \
	"\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{\"model\":\"" model            \
	"\",\"input\":\"Hello\"}}"

static void calls_are_read_in_pieces_of_any_size(void **state)
{
	static const struct {
		const char *text, *content;
		uint64_t lines;
	} cases[] = {
		{CALL("a", "m") "\n" CALL("b", "m") "\n", "[" CALL("a", "m") "," CALL("b", "m") "]",
			2},
		/* Without an end of line, with CRLF, blank lines, blanks and a byte order mark. */
		{CALL("a", "m") "\n" CALL("b", "m"), "[" CALL("a", "m") "," CALL("b", "m") "]", 2},
		{CALL("a", "m") "\r\n\r\n  \n" CALL("b", "m") "\r\n\n",
			"[" CALL("a", "m") "," CALL("b", "m") "]", 2},
		{"\xef\xbb\xbf\n " CALL("b", "m"), "[" CALL("b", "m") "]", 1},
		{"{}", "[{}]", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 300; step += step < 20 ? 1 : 41) {
			struct jsonl *j = read_in(slice_of_string(cases[i].text), step, 1 << 16);
			const struct jsonl_facts *f = jsonl_facts(j);

			assert_true(f->is_one && !f->truncated);
			assert_int_equal(f->lines, cases[i].lines);
			assert_int_equal(f->bad, 0);
			assert_text(f->content, cases[i].content);
			assert_false(f->has_usage || f->models_differ);
			jsonl_free(j);
		}
}

static void models_that_differ_are_told(void **state)
{
	struct jsonl *j =
		read_in(SLICE(CALL("a", "m") "\n" CALL("b", "m") "\n" CALL("c", "other")), 7, 0);

	(void)state;
	assert_text(jsonl_facts(j)->model, "m");
	assert_true(jsonl_facts(j)->models_differ);
	assert_false(jsonl_facts(j)->content.len);
	jsonl_free(j);
}

static void the_usage_of_all_answers_is_added_up(void **state)
{
	static const char text[] =
		"{\"id\":\"1\",\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":{"
		"\"model\":\"m\","
		"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12,"
		"\"prompt_tokens_details\":{\"cached_tokens\":3}}}},\"error\":null}\n"
		"{\"custom_id\":\"b\",\"response\":{\"status_code\":200,\"body\":{\"model\":\"m\","
		"\"usage\":{\"input_tokens\":100,\"output_tokens\":1,\"output_tokens_details\":"
		"{\"reasoning_tokens\":0}}}}}\n"
		"{\"custom_id\":\"c\",\"response\":{\"status_code\":429,\"body\":{\"error\":{}}}}\n"
		"{\"custom_id\":\"d\",\"response\":null,\"error\":{\"code\":\"x\"}}\n";

	(void)state;
	for (size_t step = 1; step < 300; step += step < 20 ? 1 : 41) {
		struct jsonl *j = read_in(slice_of_string(text), step, 1 << 16);
		const struct jsonl_facts *f = jsonl_facts(j);

		assert_int_equal(f->lines, 4);
		assert_int_equal(f->bad, 0);
		assert_true(f->has_usage && f->has_input && f->has_output && f->has_total);
		assert_int_equal(f->input_tokens, 105);
		assert_int_equal(f->output_tokens, 8);
		assert_int_equal(f->total_tokens, 113);
		assert_int_equal(f->parts[USAGE_CACHE_READ].tokens, 3);
		assert_true(f->parts[USAGE_REASONING].told);
		assert_int_equal(f->parts[USAGE_REASONING].tokens, 0);
		assert_false(f->parts[USAGE_CACHE_WRITE].told);
		jsonl_free(j);
	}
}

static void a_bad_line_is_told_and_the_next_is_read(void **state)
{
	static const struct {
		const char *line, *problem, *kept;
	} cases[] = {
		{"{\"a\":tru}", "invalid JSON", "{}"},
		{"{\"a\":[1,2", "unfinished JSON", "{\"a\":[1]}"},
		{"[1]", "not a JSON object", NULL},
		{"7", "not a JSON object", NULL},
		{"{} {}", "trailing", "{}"},
		{"{\"body\":1,\"body\":2}", "duplicate key", "{\"body\":1,\"body\":2}"},
		{"{\"Body\":1}", "ambiguous key", "{\"Body\":1}"},
		{"{\"a\":\"\xff\"}", "invalid UTF-8", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 100; step += 9) {
			char text[512];
			struct jsonl *j;

			snprintf(text, sizeof(text), "%s\n%s\n%s", CALL("a", "m"), cases[i].line,
				CALL("b", "m"));
			j = read_in(slice_of_string(text), step, 1 << 16);
			assert_int_equal(jsonl_facts(j)->lines, 3);
			assert_int_equal(jsonl_facts(j)->bad, 1);
			if (!strstr(jsonl_facts(j)->problem, cases[i].problem) &&
				!strstr(cases[i].problem, "trailing") &&
				!strstr(cases[i].problem, "unfinished"))
				fail_msg("%s: %s", cases[i].line, jsonl_facts(j)->problem);
			assert_non_null(memmem(jsonl_facts(j)->content.data,
				jsonl_facts(j)->content.len, "\"b\"", 3));
			jsonl_free(j);
		}
}

static void what_is_no_such_file_is_let_be(void **state)
{
	static const char *const texts[] = {
		"%PDF-1.7\n{\"a\":1}", "", "\n \n", "[{}]", "\xef\xbb{", "\xef\xbb\xbf"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct jsonl *j = read_in(slice_of_string(texts[i]), 1, 100);

		assert_false(jsonl_facts(j)->is_one);
		assert_int_equal(jsonl_facts(j)->lines, 0);
		assert_false(jsonl_facts(j)->content.len);
		jsonl_free(j);
	}
}

static void secrets_of_servers_are_not_kept(void **state)
{
	struct jsonl *j = read_in(
		SLICE("{\"body\":{\"tools\":[{\"type\":\"mcp\",\"authorization\":\"hidden\","
		      "\"headers\":{\"x\":\"hidden\"}}],\"mcp_servers\":[{\"authorization_token\":"
		      "\"hidden\"}]}}"),
		5, 1 << 16);

	(void)state;
	assert_text(jsonl_facts(j)->content,
		"[{\"body\":{\"tools\":[{\"type\":\"mcp\",\"authorization\":\"[redacted]\","
		"\"headers\":"
		"\"[redacted]\"}],\"mcp_servers\":[{\"authorization_token\":\"[redacted]\"}]}}]");
	jsonl_free(j);
}

struct heard {
	char text[TEXT_KINDS][512];
};

static uint64_t hear(void *context, const struct text_piece *piece)
{
	char *to = ((struct heard *)context)->text[piece->kind];

	strncat(to, piece->words.data ? piece->words.data : "", piece->words.len);
	if (piece->last)
		strcat(to, "|");
	return 1;
}

static void what_the_lines_say_is_heard(void **state)
{
	static const char text[] = CALL("a",
		"m") "\n{\"note\":\"n\",\"body\":{\"messages\":[{\"content\":\"W\\u00f6rds\"}]}}";

	(void)state;
	for (size_t step = 1; step < 200; step += 13) {
		struct heard heard = {0};
		struct jsonl *j = jsonl_new(0);

		jsonl_tell(j, (struct text_sink){hear, &heard}, TEXT_INPUT);
		for (struct slice rest = slice_of_string(text); rest.len;
			rest = slice_after(rest, step))
			jsonl_feed(j, slice_first(rest, step));
		jsonl_end(j);
		assert_string_equal(heard.text[TEXT_INPUT], "Hello|Wörds|");
		assert_string_equal(heard.text[TEXT_OTHER], "a|POST|/v1/responses|m|n|");
		jsonl_free(j);
	}
}

/* 64 MB in one line, and as much in lines of two bytes. */
static void memory_and_work_do_not_grow_with_the_file(void **state)
{
	static char piece[16384];
	struct jsonl *j = jsonl_new(1 << 16);
	uint64_t spent = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	jsonl_feed(j, SLICE("{\"body\":{\"model\":\"m\",\"input\":\""));
	for (size_t i = 0; i < 4096; i++) {
		jsonl_feed(j, slice_of(piece, sizeof(piece)));
		spent += jsonl_spent(j);
	}
	jsonl_feed(j, SLICE(" the end\"}}\n"));
	assert_in_range(spent / (4096 * sizeof(piece)), 0, 64);
	for (size_t i = 0; i + 1 < sizeof(piece); i += 2) {
		piece[i] = '1';
		piece[i + 1] = '\n';
	}
	for (size_t i = 0; i < 64; i++)
		jsonl_feed(j, slice_of(piece, sizeof(piece)));
	assert_true(jsonl_spent(j) > 64 * sizeof(piece) / 2 * 100);
	jsonl_end(j);
	assert_int_equal(jsonl_facts(j)->lines, 1 + 64 * sizeof(piece) / 2);
	assert_int_equal(jsonl_facts(j)->bad, 64 * sizeof(piece) / 2);
	assert_true(jsonl_facts(j)->truncated && jsonl_facts(j)->content.len <= 1 << 16);
	assert_non_null(
		memmem(jsonl_facts(j)->content.data, jsonl_facts(j)->content.len, " the end", 8));
	jsonl_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_read_in_pieces_of_any_size),
		cmocka_unit_test(models_that_differ_are_told),
		cmocka_unit_test(the_usage_of_all_answers_is_added_up),
		cmocka_unit_test(a_bad_line_is_told_and_the_next_is_read),
		cmocka_unit_test(what_is_no_such_file_is_let_be),
		cmocka_unit_test(secrets_of_servers_are_not_kept),
		cmocka_unit_test(what_the_lines_say_is_heard),
		cmocka_unit_test(memory_and_work_do_not_grow_with_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
