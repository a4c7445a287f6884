// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yyjson.h>

#include "openai/json_mend.h"
#include "openai/json_scan.h"

enum { ROOT = JSON_ROOT, A, B, LIST, ITEM, INNER, OTHER };

static const struct json_rule rules[] = {
	{ROOT, A, "a"},
	{ROOT, B, "b"},
	{ROOT, LIST, "list"},
	{LIST, ITEM, JSON_ELEMENT},
	{ITEM, INNER, "inner"},
	{ROOT, OTHER, JSON_ANY},
};

/* What the scanner told, one line per value. */
struct told {
	struct buf lines, raw, text;
	struct json_keep keep_raw, keep_text;
	uint8_t raw_node;
	uint64_t hash;
};

static void enter(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct told *t = context;

	buf_printf(&t->lines, "+%d %.*s #%d @%d\n", v->node, SLICE_ARG(v->key), (int)v->index,
		(int)v->start);
	if (v->node == OTHER)
		t->hash = v->key_hash;
	if (v->node == t->raw_node)
		json_scan_keep_raw(scan, &t->keep_raw);
	if (v->node == A || v->node == INNER)
		json_scan_keep_text(scan, &t->keep_text);
}

static void leave(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct told *t = context;

	(void)scan;
	buf_printf(&t->lines, "-%d %.*s%s @%d\n", v->node, SLICE_ARG(v->number),
		v->empty ? "empty" : "", (int)v->end);
}

static const struct json_handler handler = {rules, 6, enter, leave, NULL, NULL};

static void told_init(struct told *t, uint8_t raw_node, size_t max)
{
	*t = (struct told){.raw_node = raw_node};
	t->keep_raw = (struct json_keep){.into = &t->raw, .max = max};
	t->keep_text = (struct json_keep){.into = &t->text, .max = max};
}

static void told_free(struct told *t)
{
	buf_free(&t->lines);
	buf_free(&t->raw);
	buf_free(&t->text);
}

/* Feeds text in pieces of step bytes, each in memory of its own. */
static enum json_problem feed(struct told *t, struct slice text, size_t step)
{
	struct json_scan *scan = json_scan_new(&handler, t);
	enum json_problem problem;

	assert_non_null(scan);
	while (text.len) {
		struct slice piece = slice_first(text, step);
		char *copy = malloc(piece.len);

		assert_non_null(copy);
		memcpy(copy, piece.data, piece.len);
		json_scan_feed(scan, slice_of(copy, piece.len));
		free(copy);
		text = slice_after(text, piece.len);
	}
	problem = json_scan_end(scan);
	json_scan_free(scan);
	return problem;
}

static void assert_content(const struct buf *b, const char *expected)
{
	assert_int_equal(buf_len(b), strlen(expected));
	assert_memory_equal(buf_len(b) ? buf_slice(b).data : "", expected, strlen(expected));
}

struct document {
	struct slice text;
	enum json_problem problem;
};

static const struct document documents[] = {
	{SLICE("{}"), JSON_FINE},
	{SLICE(" \t\r\n[ ] \n"), JSON_FINE},
	{SLICE("0"), JSON_FINE},
	{SLICE("-0.5e+10"), JSON_FINE},
	{SLICE("1E400"), JSON_FINE},
	{SLICE("\"\""), JSON_FINE},
	{SLICE("null"), JSON_FINE},
	{SLICE("\xef\xbb\xbf{}"), JSON_FINE},
	{SLICE("{\"a\":[true,false,null,{}],\"b\":{\"c\":1.5}}"), JSON_FINE},
	{SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\""), JSON_FINE},
	{SLICE("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f\""), JSON_FINE},
	{SLICE("\"\\ud83d\""), JSON_FINE},
	{SLICE("99999999999999999999999999999999999999999999999999999999999999999"), JSON_FINE},
	{SLICE(""), JSON_EMPTY},
	{SLICE("  \n"), JSON_EMPTY},
	{SLICE("\xef\xbb\xbf"), JSON_EMPTY},
	{SLICE("\xef\xbb"), JSON_UNFINISHED},
	{SLICE("\xef\xbb{}"), JSON_SYNTAX},
	{SLICE("\xef\xbb\xbf\xef\xbb\xbf{}"), JSON_SYNTAX},
	{SLICE("{"), JSON_UNFINISHED},
	{SLICE("{\"a\""), JSON_UNFINISHED},
	{SLICE("{\"a\":1"), JSON_UNFINISHED},
	{SLICE("[1,"), JSON_UNFINISHED},
	{SLICE("\"a"), JSON_UNFINISHED},
	{SLICE("tru"), JSON_UNFINISHED},
	{SLICE("-"), JSON_UNFINISHED},
	{SLICE("1."), JSON_UNFINISHED},
	{SLICE("1e"), JSON_UNFINISHED},
	{SLICE("{} x"), JSON_TRAILING},
	{SLICE("{}{}"), JSON_TRAILING},
	{SLICE("1 2"), JSON_TRAILING},
	{SLICE("{}\xef\xbb\xbf"), JSON_TRAILING},
	{SLICE("{}\0"), JSON_TRAILING},
	{SLICE("{,}"), JSON_SYNTAX},
	{SLICE("{\"a\":1,}"), JSON_SYNTAX},
	{SLICE("[1,]"), JSON_SYNTAX},
	{SLICE("[,1]"), JSON_SYNTAX},
	{SLICE("[1 2]"), JSON_SYNTAX},
	{SLICE("[1}"), JSON_SYNTAX},
	{SLICE("{\"a\" 1}"), JSON_SYNTAX},
	{SLICE("{\"a\":}"), JSON_SYNTAX},
	{SLICE("{a:1}"), JSON_SYNTAX},
	{SLICE("{'a':1}"), JSON_SYNTAX},
	{SLICE("{1:1}"), JSON_SYNTAX},
	{SLICE("]"), JSON_SYNTAX},
	{SLICE("[01]"), JSON_SYNTAX},
	{SLICE("[+1]"), JSON_SYNTAX},
	{SLICE("[.5]"), JSON_SYNTAX},
	{SLICE("[1.]"), JSON_SYNTAX},
	{SLICE("[1.e5]"), JSON_SYNTAX},
	{SLICE("[1e+]"), JSON_SYNTAX},
	{SLICE("[-a]"), JSON_SYNTAX},
	{SLICE("[0x10]"), JSON_SYNTAX},
	{SLICE("[1_000]"), JSON_SYNTAX},
	{SLICE("NaN"), JSON_SYNTAX},
	{SLICE("[-Infinity]"), JSON_SYNTAX},
	{SLICE("[nul]"), JSON_SYNTAX},
	{SLICE("[True]"), JSON_SYNTAX},
	{SLICE("[nulll]"), JSON_SYNTAX},
	{SLICE("[1]//"), JSON_TRAILING},
	{SLICE("/**/[1]"), JSON_SYNTAX},
	{SLICE("\v[]"), JSON_SYNTAX},
	{SLICE("[\"\n\"]"), JSON_CONTROL},
	{SLICE("[\"\0\"]"), JSON_CONTROL},
	{SLICE("[\"\x1f\"]"), JSON_CONTROL},
	{SLICE("[\"\\a\"]"), JSON_BAD_ESCAPE},
	{SLICE("[\"\\\0\"]"), JSON_BAD_ESCAPE},
	{SLICE("[\"\\u12g4\"]"), JSON_BAD_ESCAPE},
	{SLICE("[\"\\U0041\"]"), JSON_BAD_ESCAPE},
	{SLICE("[\"\xff\"]"), JSON_BAD_UTF8},
	{SLICE("[\"\x80\"]"), JSON_BAD_UTF8},
	{SLICE("[\"\xc0\xaf\"]"), JSON_BAD_UTF8},
	{SLICE("[\"\xe2\x82\"]"), JSON_BAD_UTF8},
	{SLICE("[\"\xed\xa0\x80\"]"), JSON_BAD_UTF8},
	{SLICE("[\"\xe0\x80\xaf\"]"), JSON_BAD_UTF8},
	{SLICE("[\"\xf4\x90\x80\x80\"]"), JSON_BAD_UTF8},
	{SLICE("\xff\xfe{\0}\0"), JSON_SYNTAX},
	{SLICE("model=gpt-4o"), JSON_SYNTAX},
	{SLICE("--boundary\r\n"), JSON_SYNTAX},
};

static void each_document_has_its_problem_in_pieces_of_any_size(void **state)
{
	size_t i, step;

	(void)state;
	for (i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		for (step = 1; step <= documents[i].text.len + 1; step++) {
			struct told t;

			told_init(&t, 0, 0);
			assert_string_equal(json_problem_name(feed(&t, documents[i].text, step)),
				json_problem_name(documents[i].problem));
			told_free(&t);
		}
}

/* A second opinion. yyjson refuses byte order marks and lone surrogates; we read them. */
static void yyjson_agrees_on_what_is_json(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct slice text = documents[i].text;
		yyjson_doc *doc;

		if (slice_starts_with(text, SLICE("\xef\xbb\xbf")) ||
			slice_equal(text, SLICE("\"\\ud83d\"")))
			continue;
		doc = yyjson_read_opts((char *)(uintptr_t)text.data, text.len,
			YYJSON_READ_BIGNUM_AS_RAW, NULL, NULL);
		assert_int_equal(doc != NULL, documents[i].problem == JSON_FINE);
		yyjson_doc_free(doc);
	}
}

static void nesting_is_allowed_up_to_its_limit(void **state)
{
	char text[2 * (JSON_SCAN_DEPTH + 1)];
	size_t depth;

	(void)state;
	for (depth = JSON_SCAN_DEPTH - 1; depth <= JSON_SCAN_DEPTH + 1; depth++) {
		struct told t;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		told_init(&t, 0, 0);
		assert_int_equal(feed(&t, slice_of(text, 2 * depth), 7),
			depth <= JSON_SCAN_DEPTH ? JSON_FINE : JSON_TOO_DEEP);
		told_free(&t);
	}
}

static void watched_values_are_told_with_their_places(void **state)
{
	struct slice text =
		SLICE("{\"a\":\"x\", \"q\":[1],\"list\":[{\"inner\":-1.5},[]],\"b\":{}}");
	size_t step;

	(void)state;
	for (step = 1; step <= text.len; step++) {
		struct told t;

		told_init(&t, 0, 100);
		assert_int_equal(feed(&t, text, step), JSON_FINE);
		assert_content(&t.lines, "+1  #0 @0\n"
					 "+2 a #0 @5\n-2  @8\n"
					 "+7 q #1 @14\n-7  @17\n"
					 "+4 list #2 @25\n"
					 "+5  #0 @26\n+6 inner #0 @35\n-6 -1.5 @39\n-5  @40\n"
					 "+5  #1 @41\n-5 empty @43\n"
					 "-4  @44\n"
					 "+3 b #3 @49\n-3 empty @51\n"
					 "-1  @52\n");
		told_free(&t);
	}
}

static void a_number_that_is_too_long_is_left_out(void **state)
{
	struct slice text = SLICE("{\"a\":1000000000000000000000000000000000000000000000000,"
				  "\"b\":100000000000000000000000000000000000000000000000}");
	struct told t;

	(void)state;
	told_init(&t, 0, 0);
	assert_int_equal(feed(&t, text, 10), JSON_FINE);
	assert_content(&t.lines, "+1  #0 @0\n+2 a #0 @5\n-2  @54\n"
				 "+3 b #1 @59\n-3 100000000000000000000000000000000000000000000000 "
				 "@107\n-1  @108\n");
	told_free(&t);
}

static void a_top_level_number_ends_with_the_text(void **state)
{
	struct told t;

	(void)state;
	told_init(&t, ROOT, 100);
	assert_int_equal(feed(&t, SLICE(" 12.5"), 2), JSON_FINE);
	assert_content(&t.lines, "+1  #0 @1\n-1 12.5 @5\n");
	assert_content(&t.raw, "12.5");
	told_free(&t);
}

static void raw_bytes_and_decoded_text_are_kept_alongside(void **state)
{
	struct slice text = SLICE("{\"list\": [ {\"inner\":\"\\u00e4\\n\\ud83d\\ude00\\ud83d!"
				  "\\ude00\\ud83d\\ud83d\\ude00\\ud83d\"} , 2 ],\"b\":1}");
	size_t step;

	(void)state;
	for (step = 1; step <= text.len; step++) {
		struct told t;

		told_init(&t, LIST, 1000);
		assert_int_equal(feed(&t, text, step), JSON_FINE);
		assert_content(&t.raw, "[ {\"inner\":\"\\u00e4\\n\\ud83d\\ude00\\ud83d!"
				       "\\ude00\\ud83d\\ud83d\\ude00\\ud83d\"} , 2 ]");
		assert_content(&t.text, "\xc3\xa4\n\xf0\x9f\x98\x80\xef\xbf\xbd!"
					"\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd");
		assert_false(t.keep_raw.cut);
		assert_false(t.keep_text.cut);
		told_free(&t);
	}
}

static void kept_bytes_are_cut_between_characters(void **state)
{
	struct slice text = SLICE("{\"a\":\"12\xe2\x82\xac"
				  "34\",\"b\":\"12\xe2\x82\xac"
				  "34\"}");
	static const size_t texts[] = {0, 1, 2, 2, 2, 5, 6, 7, 7, 7, 7};
	static const size_t raws[] = {0, 1, 2, 3, 3, 3, 6, 7, 8, 9, 9};
	size_t step, max;

	(void)state;
	for (step = 1; step <= text.len; step++)
		for (max = 0; max < sizeof(texts) / sizeof(texts[0]); max++) {
			struct told t;

			told_init(&t, B, max);
			assert_int_equal(feed(&t, text, step), JSON_FINE);
			assert_int_equal(buf_len(&t.text), texts[max]);
			assert_int_equal(buf_len(&t.raw), raws[max]);
			assert_int_equal(t.keep_text.cut, max < 7);
			assert_int_equal(t.keep_raw.cut, max < 9);
			told_free(&t);
		}
}

static void equal_keys_have_equal_hashes_however_written(void **state)
{
	struct told plain, escaped, other;

	(void)state;
	told_init(&plain, 0, 0);
	told_init(&escaped, 0, 0);
	told_init(&other, 0, 0);
	feed(&plain, SLICE("{\"model\":1}"), 100);
	feed(&escaped, SLICE("{\"m\\u006Fde\\u006c\":1}"), 3);
	feed(&other, SLICE("{\"Model\":1}"), 3);
	assert_true(plain.hash == escaped.hash);
	assert_true(plain.hash != other.hash);
	assert_true(slice_equal(buf_slice(&plain.lines), slice_of_string("+1  #0 @0\n"
									 "+7 model #0 @9\n"
									 "-7 1 @10\n"
									 "-1  @11\n")));
	told_free(&plain);
	told_free(&escaped);
	told_free(&other);
}

static void a_key_with_a_nul_or_a_long_one_is_another_key(void **state)
{
	char text[100];
	struct told t;
	int len;

	(void)state;
	told_init(&t, 0, 0);
	feed(&t, SLICE("{\"a\\u0000\":1}"), 100);
	assert_true(slice_starts_with(buf_slice(&t.lines), SLICE("+1  #0 @0\n+7 a")));
	told_free(&t);

	told_init(&t, 0, 0);
	len = snprintf(text, sizeof(text), "{\"%060d\":1}", 1);
	feed(&t, slice_of(text, (size_t)len), 100);
	assert_content(&t.lines, "+1  #0 @0\n+7 000000000000000000000000000000000000000000000000"
				 " #0 @64\n-7 1 @65\n-1  @66\n");
	told_free(&t);
}

static void every_beginning_is_mended_to_json(void **state)
{
	struct slice text =
		SLICE("[{\"role\":\"us\\\"er\\u00e4\\ud83d\\ude00\",\"content\":[{\"type\":"
		      "\"te\xe2\x82\xac\"},"
		      "-12.5e3,true,null,{},[],\"\\\\\",\"\\\\ud83d\"]},{\"a\\\"\":{\"b\":[[]]}}]");
	size_t len, before = 0;

	(void)state;
	for (len = 0; len <= text.len; len++) {
		struct buf b = BUF_EMPTY;
		yyjson_doc *doc;

		buf_append(&b, text.data, len);
		assert_int_equal(json_mend(&b), 0);
		if (!len) {
			assert_int_equal(buf_len(&b), 0);
			buf_free(&b);
			continue;
		}
		doc = yyjson_read(buf_slice(&b).data, buf_len(&b), 0);
		assert_non_null(doc);
		yyjson_doc_free(doc);
		/* It keeps what it can: it only grows, but for brackets that come and go. */
		assert_true(buf_len(&b) + 4 >= before);
		before = buf_len(&b);
		if (len == text.len)
			assert_true(slice_equal(buf_slice(&b), text));
		buf_free(&b);
	}
}

static void mending_takes_back_what_is_half_there(void **state)
{
	static const struct {
		const char *cut, *mended;
	} cases[] = {
		{"\"abc", "\"abc\""},
		{"\"abc\\", "\"abc\""},
		{"\"abc\\u12", "\"abc\""},
		{"\"abc\\ud83d", "\"abc\""},
		{"\"abc\\ud83d\\ude0", "\"abc\""},
		{"\"abc\\ud83d\\ude00", "\"abc\\ud83d\\ude00\""},
		{"\"abc\\\\ud83d", "\"abc\\\\ud83d\""},
		{"\"abc\xe2\x82", "\"abc\""},
		{"[1,23", "[1]"},
		{"[1,tru", "[1]"},
		{"[1,true", "[1]"},
		{"[1,true ", "[1,true]"},
		{"{\"a\":1,\"b", "{\"a\":1}"},
		{"{\"a\":1,\"b\"", "{\"a\":1}"},
		{"{\"a\":1,\"b\":", "{\"a\":1}"},
		{"{\"a\":1,\"b\":\"", "{\"a\":1,\"b\":\"\"}"},
		{"{\"a\":[{\"b\":\"x\"}", "{\"a\":[{\"b\":\"x\"}]}"},
		{"{", "{}"},
		{"12", ""},
		{" ", ""},
		{"]", ""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_EMPTY;

		buf_append_slice(&b, slice_of_string(cases[i].cut));
		assert_int_equal(json_mend(&b), 0);
		assert_content(&b, cases[i].mended);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_document_has_its_problem_in_pieces_of_any_size),
		cmocka_unit_test(yyjson_agrees_on_what_is_json),
		cmocka_unit_test(nesting_is_allowed_up_to_its_limit),
		cmocka_unit_test(watched_values_are_told_with_their_places),
		cmocka_unit_test(a_number_that_is_too_long_is_left_out),
		cmocka_unit_test(a_top_level_number_ends_with_the_text),
		cmocka_unit_test(raw_bytes_and_decoded_text_are_kept_alongside),
		cmocka_unit_test(kept_bytes_are_cut_between_characters),
		cmocka_unit_test(equal_keys_have_equal_hashes_however_written),
		cmocka_unit_test(a_key_with_a_nul_or_a_long_one_is_another_key),
		cmocka_unit_test(every_beginning_is_mended_to_json),
		cmocka_unit_test(mending_takes_back_what_is_half_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
