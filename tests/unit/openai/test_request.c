// SPDX-License-Identifier: GPL-2.0-or-later
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

#include "base/buf.h"
#include "openai/request.h"
#include "openai/request_tool.h"

static const struct operation chat = {.family = FAMILY_CHAT};
static const struct operation completion = {.family = FAMILY_COMPLETION};

/* Feeds body in pieces of step bytes, each in memory of its own, and ends it. */
static struct request_reader *read_pieces(
	const struct operation *operation, size_t content_max, struct slice body, size_t step)
{
	struct request_reader *r = request_reader_new(operation, content_max);

	assert_non_null(r);
	while (body.len) {
		struct slice piece = slice_first(body, step);
		char *copy = malloc(piece.len);

		assert_non_null(copy);
		memcpy(copy, piece.data, piece.len);
		request_reader_feed(r, slice_of(copy, piece.len));
		free(copy);
		body = slice_after(body, piece.len);
	}
	request_reader_end(r);
	return r;
}

static struct request_reader *read_whole(const char *body)
{
	return read_pieces(&chat, 1 << 20, slice_of_string(body), SIZE_MAX);
}

static void assert_text(struct slice actual, const char *expected)
{
	if (!slice_equal(actual, slice_of_string(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(actual), expected);
}

#define MESSAGES                                                                                   \
	"[{\"role\":\"system\",\"content\":\"Be \\\"brief\\\".\"},"                                \
	"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is it?\"},"            \
	"{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"                             \
	"png;base64,iVBORw0KGgo=\"}}]},"                                                           \
	"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"         \
	"\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]}]"
#define TOOLS "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

static void facts_of_a_chat_are_read_in_pieces_of_any_size(void **state)
{
	struct slice body =
		SLICE("{ \"model\" : \"gpt-4o\",\n\"messages\":" MESSAGES ",\"tools\":" TOOLS
		      ",\"stream\":true,\"max_tokens\":16,"
		      "\"temperature\":0.25,\"top_p\":1e-1,\"n\":2,\"user\":\"\\u00e4\","
		      "\"stream_options\":{\"include_usage\":false},\"seed\":[{}]}");
	size_t step;

	(void)state;
	for (step = 1; step <= body.len; step += step < 20 ? 1 : 37) {
		struct request_reader *r = read_pieces(&chat, 1 << 20, body, step);
		const struct request_facts *f = request_reader_facts(r);

		assert_true(f->readable);
		assert_null(f->problem);
		assert_text(f->model, "gpt-4o");
		assert_text(f->user, "\xc3\xa4");
		assert_int_equal(f->stream, REQUEST_TRUE);
		assert_true(f->stream_options);
		assert_int_equal(f->include_usage, REQUEST_FALSE);
		assert_true(f->max_tokens.present && f->max_tokens.value == 16);
		assert_true(f->temperature.present && f->temperature.value == 0.25);
		assert_true(f->top_p.present && f->top_p.value == 0.1);
		assert_text(f->top_p.text, "1e-1");
		assert_true(f->n.present && f->n.value == 2);
		assert_text(f->messages, MESSAGES);
		assert_false(f->messages_truncated);
		assert_text(f->tools, TOOLS);
		assert_false(f->tools_truncated);
		assert_int_equal(f->nmessages, 3);
		assert_int_equal(f->bytes, body.len);
		request_reader_free(r);
	}
}

static void what_is_absent_or_null_is_absent(void **state)
{
	struct request_reader *r = read_whole("{\"stream\":null,\"max_tokens\":null,\"n\":\"2\","
					      "\"temperature\":1e999,\"model\":null,\"user\":7}");
	const struct request_facts *f = request_reader_facts(r);

	(void)state;
	assert_true(f->readable);
	assert_int_equal(f->stream, REQUEST_ABSENT);
	assert_int_equal(f->include_usage, REQUEST_ABSENT);
	assert_false(f->stream_options);
	assert_false(f->max_tokens.present);
	assert_false(f->n.present);
	assert_false(f->temperature.present); /* JSON, and no number of a computer's */
	assert_int_equal(f->model.len, 0);
	assert_int_equal(f->user.len, 0);
	assert_int_equal(f->messages.len, 0);
	assert_int_equal(f->tools.len, 0);
	request_reader_free(r);
}

static void the_newer_limit_wins_wherever_it_stands(void **state)
{
	static const char *const bodies[] = {
		"{\"max_tokens\":1,\"max_completion_tokens\":2}",
		"{\"max_completion_tokens\":2,\"max_tokens\":1}",
		"{\"max_completion_tokens\":2}",
		"{\"max_tokens\":2,\"max_completion_tokens\":null}",
		"{\"max_completion_tokens\":null,\"max_tokens\":2}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct request_reader *r = read_whole(bodies[i]);

		assert_true(request_reader_facts(r)->max_tokens.value == 2);
		assert_text(request_reader_facts(r)->max_tokens.text, "2");
		request_reader_free(r);
	}
}

static void prompts_and_functions_are_kept_too(void **state)
{
	static const struct {
		struct slice body;
		const char *prompt;
	} cases[] = {
		{SLICE("{\"prompt\":\"Once\",\"messages\":[1]}"), "\"Once\""},
		{SLICE("{\"prompt\":[\"a\",\"b\"]}"), "[\"a\",\"b\"]"},
		{SLICE("{\"prompt\":[[1,2],[3]]}"), "[[1,2],[3]]"},
	};
	struct request_reader *r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = read_pieces(&completion, 1000, cases[i].body, 3);
		assert_text(request_reader_facts(r)->messages, cases[i].prompt);
		request_reader_free(r);
	}
	r = read_whole("{\"functions\":[{\"name\":\"f\"}],\"prompt\":\"x\"}");
	assert_text(request_reader_facts(r)->tools, "[{\"name\":\"f\"}]");
	assert_int_equal(request_reader_facts(r)->messages.len, 0);
	request_reader_free(r);
}

/* Each of them is offered, whatever else is said of tools, and in whatever order. */
static void all_tools_of_a_chat_count(void **state)
{
	static const struct {
		const char *body;
		unsigned kinds;
	} cases[] = {
		{"{\"functions\":[{\"name\":\"f\"}],\"tools\":null}", 1u << REQUEST_TOOL_FUNCTION},
		{"{\"tools\":null,\"functions\":[{\"name\":\"f\"}]}", 1u << REQUEST_TOOL_FUNCTION},
		{"{\"functions\":[{\"name\":\"f\"}],\"tools\":[{\"type\":\"custom\"}]}",
			1u << REQUEST_TOOL_FUNCTION | 1u << REQUEST_TOOL_CUSTOM},
		{"{\"web_search_options\":{},\"tools\":[]}", 1u << REQUEST_TOOL_WEB_SEARCH},
		{"{\"web_search_options\":null,\"tools\":[]}", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_reader *r = read_whole(cases[i].body);

		if (request_reader_facts(r)->tool_kinds != cases[i].kinds)
			fail_msg("%s", cases[i].body);
		request_reader_free(r);
	}
}

static void content_is_cut_into_valid_json(void **state)
{
	struct slice body = SLICE("{\"messages\":" MESSAGES ",\"tools\":" TOOLS "}");
	size_t max;

	(void)state;
	for (max = 0; max < sizeof(MESSAGES) + 2; max++) {
		struct request_reader *r = read_pieces(&chat, max, body, 11);
		const struct request_facts *f = request_reader_facts(r);
		yyjson_doc *doc = yyjson_read(f->messages.data, f->messages.len, 0);

		assert_int_equal(f->messages_truncated, max && max < sizeof(MESSAGES) - 1);
		assert_int_equal(f->tools_truncated, max && max < sizeof(TOOLS) - 1);
		assert_true(f->messages.len <= max + 8);
		assert_int_equal(doc != NULL, max != 0);
		yyjson_doc_free(doc);
		request_reader_free(r);
	}
}

/* What is too long loses its middle, whatever it is, and how much is known. */
static void what_is_too_long_keeps_its_beginning_and_its_end(void **state)
{
	static const struct {
		const struct operation *operation;
		struct slice before, after;
		bool tools;
	} cases[] = {
		{&chat, SLICE("{\"messages\":[{\"role\":\"user\",\"content\":\"begin"), SLICE(" end\"}]}"), false},
		{&chat, SLICE("{\"messages\":[{\"content\":\"begin"), SLICE(" end\",\"role\":\"user\"}]}"), false},
		{&chat, SLICE("{\"messages\":\"begin"), SLICE(" end\"}"), false},
		{&completion, SLICE("{\"prompt\":\"begin"), SLICE(" end\"}"), false},
		{&completion, SLICE("{\"prompt\":[\"a\",\"begin"), SLICE(" end\"]}"), false},
		{&chat, SLICE("{\"tools\":[{\"function\":{\"description\":\"begin"), SLICE(" end\"}}]}"), true},
		{&completion, SLICE("{\"prompt\":\"thrown away\",\"prompt\":\"begin"), SLICE(" end\"}"), false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 7; step < 100000; step *= 9) {
			struct buf body = BUF_EMPTY;
			const struct request_facts *f;
			struct request_reader *r;
			yyjson_doc *doc;
			struct slice kept;

			buf_append_slice(&body, cases[i].before);
			for (int n = 0; n < 50000; n++)
				buf_append(&body, "x", 1);
			buf_append_slice(&body, cases[i].after);
			r = read_pieces(cases[i].operation, 4096, buf_slice(&body), step);
			f = request_reader_facts(r);
			kept = cases[i].tools ? f->tools : f->messages;
			assert_true(kept.len <= 4096 && kept.len > 3000);
			assert_true(cases[i].tools ? f->tools_truncated : f->messages_truncated);
			assert_in_range(cases[i].tools ? f->tools_cut : f->messages_cut, 46000, 47100);
			doc = yyjson_read(kept.data, kept.len, 0);
			assert_non_null(doc);
			yyjson_doc_free(doc);
			assert_non_null(memmem(kept.data, kept.len, "begin", 5));
			assert_non_null(memmem(kept.data, kept.len, "\xe2\x80\xa6", 3));
			assert_non_null(memmem(kept.data, kept.len, "x end", 5));
			request_reader_free(r);
			buf_free(&body);
		}
}

static void what_is_not_json_is_named(void **state)
{
	static const struct {
		const char *body, *problem;
	} cases[] = {
		{"", "empty"},
		{"   ", "empty"},
		{"model=gpt-4o", "invalid JSON"},
		{"{\"model\":NaN}", "invalid JSON"},
		{"{\"model\":\"\xff\"}", "invalid UTF-8"},
		{"{\"model\":\"\\x\"}", "invalid escape"},
		{"{\"model\":\"a\nb\"}", "control character in string"},
		{"{\"model\":\"a\"} x", "bytes after the JSON value"},
		{"{\"model\":\"a\"", "unfinished JSON"},
		{"[1]", "not a JSON object"},
		{"\"{}\"", "not a JSON object"},
		{"12", "not a JSON object"},
		{"{\"model\":\"a\",\"model\":\"b\"}", "duplicate key"},
		{"{\"x\":1,\"mod\\u0065l\":\"a\",\"model\":\"b\"}", "duplicate key"},
		{"{\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
			"duplicate key"},
		{"{\"messages\":[{\"content\":\"a\",\"content\":\"b\"}]}", "duplicate key"},
		{"{\"messages\":[{\"content\":[{\"text\":\"a\",\"\\u0074ext\":\"b\"}]}]}",
			"duplicate key"},
		{"{\"Messages\":[]}", "ambiguous key"},
		{"{\"messages\":[],\"MESSAGES\":[]}", "ambiguous key"},
		{"{\"me\\u017fsages\":[]}", "ambiguous key"},
		{"{\"to\xc5\xbfls\":[],\"messages\\u0000\":1}", "ambiguous key"},
		{"{\"tool\xe2\x84\xaa\":[],\"\xe2\x84\xaa\":1,\"functIons\":1}", "ambiguous key"},
		{"{\"messages\":[{\"Content\":\"a\"}]}", "ambiguous key"},
		{"{\"messages\":[{\"content\":[{\"tExt\":\"a\"}]}]}", "ambiguous key"},
		{"{\"Messages\":[1", "ambiguous key"},
	};
	size_t i, step;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (step = 1; step < 100; step += 24) {
			struct request_reader *r =
				read_pieces(&chat, 100, slice_of_string(cases[i].body), step);
			const struct request_facts *f = request_reader_facts(r);

			assert_false(f->readable);
			assert_string_equal(f->problem, cases[i].problem);
			assert_int_equal(f->bytes, strlen(cases[i].body));
			request_reader_free(r);
		}
}

static void keys_that_nobody_takes_for_others_are_fine(void **state)
{
	struct request_reader *r = read_whole(
		"{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"Name\":1,\"N\":{\"Content\":1}}],"
		"\"metadata\":{\"Messages\":1,\"messages\":2},\"Seed\":1,\"\xc3\xa4\":1,"
		"\"messages_of_a_day_that_has_more_than_48_bytes_in_its_key\":1,\"tools\":[],"
		"\"functions\":[]}");

	(void)state;
	assert_true(request_reader_facts(r)->readable);
	request_reader_free(r);
}

static void kept_json_is_json_to_everybody(void **state)
{
	static const struct {
		struct slice body;
		const char *messages;
	} cases[] = {
		{SLICE("{\"messages\":[\"a\\ud83d\"]}"), "[\"a\\ufffd\"]"},
		{SLICE("{\"messages\":[\"\\ude00b\\ud83d\\ude00\"],\"user\":\"\\ud800\"}"),
			"[\"\\ufffdb\\ud83d\\ude00\"]"},
		{SLICE("{\"messages\":[\"\\ud83d\\ud83d\\ude00"), "[\"\\ufffd\\ud83d\\ude00\"]"},
		{SLICE("{\"messages\":[\"a\\ud83d"), "[\"a\"]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 20; step++) {
			struct request_reader *r = read_pieces(&chat, 100, cases[i].body, step);

			assert_text(request_reader_facts(r)->messages, cases[i].messages);
			request_reader_free(r);
		}
}

static void facts_before_the_problem_stay(void **state)
{
	struct request_reader *r = request_reader_new(&chat, 1000);

	(void)state;
	assert_int_equal(
		request_reader_feed(r, SLICE("{\"model\":\"m\",\"messages\":[{\"role\":")), 0);
	assert_true(request_reader_facts(r)->readable);
	assert_int_equal(request_reader_feed(r, SLICE("\"user\",\"content\":\"half")), 0);
	assert_int_equal(request_reader_feed(r, SLICE(" a\n")), -EBADMSG);
	assert_int_equal(request_reader_feed(r, SLICE("more")), -EBADMSG);
	assert_int_equal(request_reader_end(r), -EBADMSG);
	assert_text(request_reader_facts(r)->model, "m");
	assert_text(
		request_reader_facts(r)->messages, "[{\"role\":\"user\",\"content\":\"half a\"}]");
	assert_int_equal(request_reader_end(r), -EBADMSG);
	assert_text(
		request_reader_facts(r)->messages, "[{\"role\":\"user\",\"content\":\"half a\"}]");
	request_reader_free(r);
}

static void of_two_members_with_one_name_the_last_is_kept(void **state)
{
	/* Of a list that is cut, the rest is put together behind what memory there is. */
	struct slice cut = SLICE("{\"messages\":\"old\",\"messages\":[\"aaaaaaaaaaaaaaaa\","
				 "\"cccccccccccccccc\"]}");
	struct request_reader *r = read_pieces(&chat, 32, cut, SIZE_MAX);

	(void)state;
	assert_text(request_reader_facts(r)->messages, "[\"cccccccccccccccc\"]");
	request_reader_free(r);
	r = read_whole("{\"messages\":[1],\"messages\":[2,3],\"model\":\"a\","
			   "\"model\":\"b\"}");
	assert_text(request_reader_facts(r)->messages, "[2,3]");
	assert_text(request_reader_facts(r)->model, "b");
	assert_int_equal(request_reader_end(r), -EBADMSG);
	request_reader_free(r);
}

static void keys_are_compared_up_to_a_limit_only(void **state)
{
	struct buf body = BUF_EMPTY;
	int n;

	(void)state;
	for (n = 127; n <= 129; n++) {
		struct request_reader *r;
		int i;

		buf_append_slice(&body, SLICE("{"));
		for (i = 0; i < n; i++)
			buf_printf(&body, "%s\"k%d\":0", i ? "," : "", i);
		buf_append_slice(&body, SLICE("}"));
		r = read_pieces(&chat, 10, buf_slice(&body), 100);
		if (n > 128)
			assert_string_equal(request_reader_facts(r)->problem, "too many keys");
		else
			assert_true(request_reader_facts(r)->readable);
		request_reader_free(r);
		buf_clear(&body);
	}
	buf_free(&body);
}

static const struct {
	const char *body, *edited; /* NULL: no edit */
} splices[] = {
	{"{\"stream\":true}", "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
	{"\xef\xbb\xbf {\"stream\":true \n} ",
		"\xef\xbb\xbf {\"stream\":true \n,\"stream_options\":{\"include_usage\":true}} "},
	{"{\"stream_options\":null,\"stream\":true}",
		"{\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
	{"{\"stream_options\":{},\"stream\":true}",
		"{\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
	{"{\"stream_options\": { } ,\"stream\":true}",
		"{\"stream_options\": { \"include_usage\":true} ,\"stream\":true}"},
	{"{\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}}",
		"{\"stream\":true,\"stream_options\":{\"include_obfuscation\":false,"
		"\"include_usage\":true}}"},
	{"{\"stream\":true,\"stream_options\":{\"include_usage\":false}}",
		"{\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
	{"{\"stream\":true,\"stream_options\":{\"include_usage\": null ,\"x\":1}}",
		"{\"stream\":true,\"stream_options\":{\"include_usage\": true ,\"x\":1}}"},
	{"{\"stream\":true,\"\\u0073tream_options\":{\"include\\u005fusage\":false}}",
		"{\"stream\":true,\"\\u0073tream_options\":{\"include\\u005fusage\":true}}"},
	{"{\"stream\":true,\"stream_options\":{\"include_usage\":true}}", NULL},
	{"{\"stream\":true,\"stream_options\":{\"include_usage\":1}}", NULL},
	{"{\"stream\":true,\"stream_options\":[]}", NULL},
	{"{\"stream\":true,\"stream_options\":\"\"}", NULL},
	{"{\"stream\":false}", NULL},
	{"{\"stream\":\"true\"}", NULL},
	{"{\"stream\":null}", NULL},
	{"{}", NULL},
	{"{\"stream\":true", NULL},
	{"{\"stream\":true}}", NULL},
	{"{\"stream\":true,\"stream\":true}", NULL},
	{"[{\"stream\":true}]", NULL},
};

static void a_model_is_renamed_where_it_stands(void **state)
{
	static const struct {
		const char *body, *renamed; /* NULL: it is not */
	} cases[] = {
		{"{\"model\":\"a\"}", "{\"model\":\"other\"}"},
		{"{\"x\":{\"model\":\"b\"}, \"model\" : \"\\u0061\" }",
			"{\"x\":{\"model\":\"b\"}, \"model\" : \"other\" }"},
		{"{\"model\":\"\"}", "{\"model\":\"other\"}"},
		{"{\"model\":null}", NULL},
		{"{\"model\":[\"a\"]}", NULL},
		{"{\"user\":\"a\"}", NULL},
		/* It is not the same to every parser. */
		{"{\"model\":\"a\",\"model\":\"b\"}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_reader *r = read_whole(cases[i].body);
		struct request_splice s;
		char got[128];

		assert_int_equal(
			request_rename_model(r, SLICE("other"), &s), cases[i].renamed != NULL);
		if (cases[i].renamed) {
			snprintf(got, sizeof(got), "%.*s%.*s%s", (int)s.offset, cases[i].body,
				SLICE_ARG(s.insert), cases[i].body + s.offset + s.remove);
			assert_string_equal(got, cases[i].renamed);
		}
		request_reader_free(r);
	}
}

static void usage_is_injected_by_one_edit(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(splices) / sizeof(splices[0]); i++) {
		struct slice body = slice_of_string(splices[i].body);
		struct request_reader *r = read_pieces(&chat, 0, body, 5);
		struct request_splice s;
		struct buf edited = BUF_EMPTY;
		bool injected = request_inject_usage(r, &s);

		if (injected != (splices[i].edited != NULL))
			fail_msg("%s", splices[i].body);
		request_reader_free(r);
		if (!injected)
			continue;
		buf_append_slice(&edited, slice_first(body, (size_t)s.offset));
		buf_append_slice(&edited, s.insert);
		buf_append_slice(&edited, slice_after(body, (size_t)s.offset + s.remove));
		assert_text(buf_slice(&edited), splices[i].edited);
		/* Nothing is left to do with the result. */
		r = read_pieces(&chat, 0, buf_slice(&edited), SIZE_MAX);
		assert_true(request_reader_facts(r)->readable);
		assert_int_equal(request_reader_facts(r)->include_usage, REQUEST_TRUE);
		assert_false(request_inject_usage(r, &s));
		request_reader_free(r);
		buf_free(&edited);
	}
}

static void the_tail_edit_comes_with_the_piece_that_closes_the_body(void **state)
{
	struct request_reader *r = request_reader_new(&chat, 0);
	struct request_splice s;

	(void)state;
	request_reader_feed(r, SLICE("{\"stream\":true,\"a\":[1,"));
	assert_true(request_may_inject_later(r));
	assert_false(request_inject_later(r, 0, &s));
	request_reader_feed(r, SLICE("2] } "));
	assert_true(request_inject_later(r, 22, &s));
	assert_int_equal(s.offset, 22 + 3);
	assert_int_equal(s.remove, 0);
	assert_text(s.insert, ",\"stream_options\":{\"include_usage\":true}");
	request_reader_feed(r, SLICE(" "));
	assert_true(request_inject_later(r, 25, &s));
	assert_false(request_inject_later(r, 26, &s));
	request_reader_free(r);
}

/* Feeds byte by byte and lets go what may go: what comes out asks for usage. */
static void edits_are_made_while_the_body_goes(void **state)
{
	static const struct {
		const char *body, *edited; /* NULL: none */
	} cases[] = {
		{"{\"stream\":true}", "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
		{"{\"stream\":true,\"stream_options\":null}",
			"{\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
		{"{\"stream_options\":{},\"stream\":true}",
			"{\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
		{"{\"stream_options\" : { \"a\":1 } ,\"stream\":true}",
			"{\"stream_options\" : { \"a\":1 ,\"include_usage\":true} ,\"stream\":true}"},
		{"{\"stream\":true,\"stream_options\":{\"include_usage\": false,\"a\":{}}}",
			"{\"stream\":true,\"stream_options\":{\"include_usage\": true,\"a\":{}}}"},
		{"{\"stream\":true,\"stream_options\":{\"include_usage\":null}}",
			"{\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
		{"{\"stream\":true,\"stream_options\":{\"include_usage\":true}}", NULL},
		{"{\"stream\":true,\"stream_options\":{\"include_usage\":0}}", NULL},
		{"{\"stream\":true,\"stream_options\":1}", NULL},
		{"{\"stream\":false,\"stream_options\":{}}", NULL},
		{"{}", NULL},
		{"{\"stream\":true,\"stream\":true}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request_reader *r = request_reader_new(&chat, 0);
		struct slice body = slice_of_string(cases[i].body);
		struct buf out = BUF_EMPTY;
		bool injected = false;
		size_t gone = 0;

		for (size_t fed = 1; fed <= body.len; fed++) {
			struct request_splice s;
			size_t to;

			request_reader_feed(r, slice_of(body.data + fed - 1, 1));
			if (!injected && request_inject_later(r, gone, &s)) {
				injected = true;
				assert_true(s.offset >= gone && s.offset + s.remove <= fed);
				buf_append(&out, body.data + gone, (size_t)s.offset - gone);
				buf_append_slice(&out, s.insert);
				gone = (size_t)s.offset + s.remove;
			}
			to = injected ? fed : (size_t)request_settled(r);
			assert_true(to >= gone && to <= fed);
			buf_append(&out, body.data + gone, to - gone);
			gone = to;
		}
		buf_append(&out, body.data + gone, body.len - gone);
		assert_text(buf_slice(&out), cases[i].edited && injected ? cases[i].edited : cases[i].body);
		assert_int_equal(injected, cases[i].edited != NULL);
		request_reader_free(r);
		buf_free(&out);
	}
}

static void tokens_are_estimated_by_the_rule(void **state)
{
	struct request_reader *r;

	(void)state;
	/* 8 bytes of text, 2 messages, an image that counts the same at any size */
	r = read_whole("{\"messages\":[{\"role\":\"user\",\"content\":\"1234\"},{\"content\":["
		       "{\"type\":\"text\",\"text\":\"5678\"},{\"image_url\":{\"url\":\"data:xxxxxx"
		       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}]}]}");
	assert_int_equal(request_estimate_tokens(r), 2 + 2 * 4 + 85);
	request_reader_free(r);
	r = read_pieces(&completion, 0, SLICE("{\"prompt\":[\"12345\",\"6\"]}"), 2);
	assert_int_equal(request_estimate_tokens(r), 2);
	request_reader_free(r);
	r = read_pieces(&completion, 0, SLICE("{\"prompt\":[[1,2],[3]]}"), 2);
	assert_int_equal(request_estimate_tokens(r), 3);
	request_reader_free(r);
	r = read_whole("");
	assert_int_equal(request_estimate_tokens(r), 0);
	request_reader_free(r);
}

#ifdef SALLYPORT_SANITIZE
static size_t memory_used(void)
{
	return 0;
}
#else
static size_t memory_used(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}
#endif

static void memory_does_not_grow_with_the_body(void **state)
{
	static char piece[1 << 16];
	struct request_reader *r = request_reader_new(&chat, 4096);
	size_t fed, before = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	request_reader_feed(
		r, SLICE("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\""));
	for (fed = 0; fed < 100 << 20; fed += sizeof(piece)) {
		assert_int_equal(request_reader_feed(r, slice_of(piece, sizeof(piece))), 0);
		if (fed == 1 << 20)
			before = memory_used();
	}
	assert_int_equal(memory_used(), before);
	request_reader_feed(r, SLICE("\"}],\"stream\":true}"));
	assert_int_equal(request_reader_end(r), 0);
	assert_int_equal(request_reader_facts(r)->stream, REQUEST_TRUE);
	assert_true(request_reader_facts(r)->messages_truncated);
	assert_true(request_reader_facts(r)->messages.len <= 4096 + 8);
	assert_true(request_reader_facts(r)->bytes > 100 << 20);
	request_reader_free(r);
}

static void memory_does_not_grow_with_the_number_of_values(void **state)
{
	struct request_reader *r = request_reader_new(&chat, 4096);
	size_t i, before = 0;

	(void)state;
	request_reader_feed(r, SLICE("{\"messages\":["));
	for (i = 0; i < 200000; i++) {
		request_reader_feed(r, SLICE("{\"content\":[{\"text\":\"a\\n\"},{}],\"k\":1.5},"));
		if (i == 1000)
			before = memory_used();
	}
	assert_int_equal(memory_used(), before);
	request_reader_feed(r, SLICE("{}]}"));
	assert_int_equal(request_reader_end(r), 0);
	assert_int_equal(request_reader_facts(r)->nmessages, 200001);
	request_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_of_a_chat_are_read_in_pieces_of_any_size),
		cmocka_unit_test(what_is_absent_or_null_is_absent),
		cmocka_unit_test(the_newer_limit_wins_wherever_it_stands),
		cmocka_unit_test(prompts_and_functions_are_kept_too),
		cmocka_unit_test(all_tools_of_a_chat_count),
		cmocka_unit_test(content_is_cut_into_valid_json),
		cmocka_unit_test(what_is_too_long_keeps_its_beginning_and_its_end),
		cmocka_unit_test(what_is_not_json_is_named),
		cmocka_unit_test(keys_that_nobody_takes_for_others_are_fine),
		cmocka_unit_test(kept_json_is_json_to_everybody),
		cmocka_unit_test(facts_before_the_problem_stay),
		cmocka_unit_test(of_two_members_with_one_name_the_last_is_kept),
		cmocka_unit_test(keys_are_compared_up_to_a_limit_only),
		cmocka_unit_test(a_model_is_renamed_where_it_stands),
		cmocka_unit_test(usage_is_injected_by_one_edit),
		cmocka_unit_test(the_tail_edit_comes_with_the_piece_that_closes_the_body),
		cmocka_unit_test(edits_are_made_while_the_body_goes),
		cmocka_unit_test(tokens_are_estimated_by_the_rule),
		cmocka_unit_test(memory_does_not_grow_with_the_body),
		cmocka_unit_test(memory_does_not_grow_with_the_number_of_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
