// SPDX-License-Identifier: GPL-2.0-or-later
/* What is kept of one JSON text that is too long: both of its ends, whatever it is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yyjson.h>

#include "openai/abridge.h"
#include "openai/ends.h"
#include "openai/json_scan.h"

static struct buf abridged(struct slice text, size_t max, size_t step, uint64_t *cut)
{
	struct abridge a;
	struct buf got = BUF_EMPTY;

	abridge_init(&a, max);
	for (; text.len; text = slice_after(text, step))
		abridge_feed(&a, slice_first(text, step));
	assert_int_equal(abridge_end(&a, &got), 0);
	assert_false(a.full);
	*cut = a.cut;
	abridge_free(&a);
	return got;
}

static void assert_json(const struct buf *text)
{
	yyjson_doc *doc = yyjson_read(buf_slice(text).data, buf_len(text), 0);

	if (!doc)
		print_error("no JSON: %.*s\n", (int)buf_len(text), buf_slice(text).data);
	assert_non_null(doc);
	yyjson_doc_free(doc);
}

static bool has(const struct buf *text, const char *words)
{
	return memmem(buf_slice(text).data, buf_len(text), words, strlen(words)) != NULL;
}

/* A text of a thousand of the same, the number of each for every %d. */
static struct buf text_of(const char *before, const char *unit, const char *after)
{
	struct buf text = BUF_EMPTY;

	buf_append_slice(&text, slice_of_string(before));
	for (int i = 0; i < 1000; i++) {
		char one[256];
		const char *number = strchr(unit, '#');

		snprintf(one, sizeof(one), "%s%.*s%d%s", i ? "," : "",
			(int)(number - unit), unit, i, number + 1);
		buf_append_slice(&text, slice_of_string(one));
	}
	buf_append_slice(&text, slice_of_string(after));
	return text;
}

/* Nothing in them can be shortened; first and last of each stay, with what is around them. */
static void short_pieces_lose_their_middle(void **state)
{
	static const struct {
		const char *before, *unit, *after, *first, *last;
	} cases[] = {
		{"{\"role\":\"user\",\"content\":[", "{\"type\":\"text\",\"text\":\"word #.\"}", "]}",
			"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"word 0.\"},",
			",{\"type\":\"text\",\"text\":\"word 999.\"}]}"},
		{"[", "\"a string #\"", "]", "[\"a string 0\",", ",\"a string 999\"]"},
		{"[", "1000#", "]", "[10000,10001,", ",1000999]"},
		{"{\"x\":{", "\"member #\":null", "}}", "{\"x\":{\"member 0\":null,", "\"member 999\":null}}"},
		{"[[", "true],[\"#\"", "]]", "[[true],[\"0\",", "\"999\"]]"},
		{" [ ", " { \"a\" : [ # ] } ", " ] ", "{ \"a\" : [ 0 ] }", "[ 999 ] }  ] "},
		{"{\"content\":[", "\"#\"", "],\"role\":\"user\"}", "{\"content\":[\"0\",", "\"999\"],\"role\":\"user\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = text_of(cases[i].before, cases[i].unit, cases[i].after);
		uint64_t cut, same;
		struct buf got = abridged(buf_slice(&text), 2000, SIZE_MAX, &cut);

		assert_in_range(buf_len(&got), 1700, 2000);
		assert_json(&got);
		assert_true(has(&got, cases[i].first));
		assert_true(has(&got, cases[i].last));
		assert_in_range(cut, buf_len(&text) - buf_len(&got), buf_len(&text) - buf_len(&got) + 40);
		for (size_t step = 1; step < 3000; step = step * 3 + 1) {
			struct buf again = abridged(buf_slice(&text), 2000, step, &same);

			assert_true(slice_equal(buf_slice(&again), buf_slice(&got)));
			assert_int_equal(same, cut);
			buf_free(&again);
		}
		buf_free(&got);
		buf_free(&text);
	}
}

/* What is open where the end begins is opened again, by its name. */
static void the_end_says_where_it_stood(void **state)
{
	struct buf text = text_of("{\"first\":[", "\"#\"", "],\"second\":{\"of\":[[");
	struct buf more = text_of("", "\"#\"", "");
	uint64_t cut;
	struct buf got;

	(void)state;
	buf_append_slice(&text, buf_slice(&more));
	buf_append_slice(&text, SLICE("]]}}"));
	got = abridged(buf_slice(&text), 1000, 7, &cut);
	assert_json(&got);
	assert_true(has(&got, "\"],\"second\":{\"of\":[[\""));
	assert_true(has(&got, "\"999\"]]}}"));
	buf_free(&got);
	buf_free(&more);
	buf_free(&text);
}

/* Long words behind many short ones, and the other way round. */
static void the_newest_words_stay_behind_short_ones(void **state)
{
	struct buf text = text_of("[", "\"a string #\"", ",\"");
	uint64_t cut;
	struct buf got;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_append_slice(&text, SLICE("\\ud83d\\ude00 \xc3\xa4 "));
	buf_append_slice(&text, SLICE("the new words\"]"));
	got = abridged(buf_slice(&text), 2000, 13, &cut);
	assert_json(&got);
	assert_true(has(&got, ",\"\xe2\x80\xa6"));
	assert_true(has(&got, " the new words\"]"));
	assert_true(has(&got, "[\"a string 0\",\"a string 1\""));
	buf_free(&got);
	buf_free(&text);
}

static unsigned seed = 18;

static unsigned below(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static void put_string(struct buf *text)
{
	static const char *const units[] = {"x", " ", "\\n", "\\ud83d\\ude00", "\xc3\xa4", "\\\"", "word"};
	unsigned n = below(8) ? below(12) : below(400);

	buf_append_slice(text, SLICE("\""));
	while (n--)
		buf_append_slice(text, slice_of_string(units[below(7)]));
	buf_append_slice(text, SLICE("\""));
}

static void put_value(struct buf *text, unsigned depth)
{
	static const char *const words[] = {"1", "-12.5e7", "true", "null", "0", "{}", "[]"};
	unsigned kind = below(depth < 9 && buf_len(text) < 9000 ? 5 : 2), n = below(depth ? 8 : 40);

	if (kind == 0) {
		buf_append_slice(text, slice_of_string(words[below(7)]));
	} else if (kind == 1) {
		put_string(text);
	} else {
		buf_append_slice(text, kind == 2 ? SLICE("{") : SLICE("["));
		for (unsigned i = 0; i < n; i++) {
			if (i)
				buf_append_slice(text, below(3) ? SLICE(",") : SLICE(" ,\n"));
			if (kind == 2) {
				put_string(text);
				buf_append_slice(text, SLICE(":"));
			}
			put_value(text, depth + 1);
		}
		buf_append_slice(text, kind == 2 ? SLICE("}") : SLICE("]"));
	}
}

/* Whatever comes is JSON within its size, the same in any pieces, and what is missing is counted. */
static void any_text(void **state)
{
	(void)state;
	for (int round = 0; round < 1000; round++) {
		struct buf text = BUF_EMPTY, got, again;
		size_t max = below(4) ? 200 + below(3000) : 10 + below(200);
		uint64_t cut, same;

		put_value(&text, 0);
		got = abridged(buf_slice(&text), max, SIZE_MAX, &cut);
		again = abridged(buf_slice(&text), max, 1 + below(100), &same);
		assert_true(slice_equal(buf_slice(&got), buf_slice(&again)));
		assert_int_equal(cut, same);
		if (buf_len(&text) <= max) {
			assert_true(slice_equal(buf_slice(&got), buf_slice(&text)));
			assert_int_equal(cut, 0);
		} else {
			assert_true(buf_len(&got) <= max + max / 16 + ENDS_MARK + JSON_SCAN_DEPTH);
			assert_true(cut > 0 && cut <= buf_len(&text) + ENDS_MARK * (max / 64 + 1));
		}
		if (buf_len(&got))
			assert_json(&got);
		buf_free(&again);
		buf_free(&got);
		buf_free(&text);
	}
}

/* What is no JSON may lose its end, and nothing else. */
static void what_is_no_json_is_no_danger(void **state)
{
	(void)state;
	for (int round = 0; round < 1000; round++) {
		struct buf text = BUF_EMPTY, got = BUF_EMPTY;
		struct abridge a;
		size_t max = 10 + below(600);

		for (int i = 0; i < 4; i++)
			put_value(&text, 0);
		for (unsigned i = below(5); i && buf_len(&text); i--)
			text.memory[text.start + below((unsigned)buf_len(&text))] = (char)below(256);
		abridge_init(&a, max);
		abridge_feed(&a, buf_slice(&text));
		assert_int_equal(abridge_end(&a, &got), 0);
		assert_true(buf_len(&got) <= max + max / 16 + ENDS_MARK + JSON_SCAN_DEPTH);
		abridge_free(&a);
		buf_free(&got);
		buf_free(&text);
	}
}

/* Memory and work are bounded, whatever is fed. */
static void a_flood_of_short_pieces_is_bounded(void **state)
{
	struct abridge a;
	struct buf got = BUF_EMPTY;
	size_t max = 64 << 10, fed = 1;

	(void)state;
	abridge_init(&a, max);
	abridge_feed(&a, SLICE("["));
	for (int i = 0; i < 500000; i++) {
		abridge_feed(&a, SLICE("{\"text\":\"ab\"},"));
		fed += 14;
		assert_true(a.middle.tail.capacity + a.middle.head.capacity <= 4 * max);
	}
	abridge_feed(&a, SLICE("{}]"));
	assert_int_equal(abridge_end(&a, &got), 0);
	assert_in_range(a.spent, fed / 2, 2 * fed);
	assert_in_range(buf_len(&got), max - max / 32, max);
	abridge_free(&a);
	buf_free(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_pieces_lose_their_middle),
		cmocka_unit_test(the_end_says_where_it_stood),
		cmocka_unit_test(the_newest_words_stay_behind_short_ones),
		cmocka_unit_test(any_text),
		cmocka_unit_test(what_is_no_json_is_no_danger),
		cmocka_unit_test(a_flood_of_short_pieces_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
