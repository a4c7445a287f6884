// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "openai/json_text.h"

static void assert_slice(struct slice actual, struct slice expected)
{
	assert_int_equal(actual.len, expected.len);
	assert_memory_equal(actual.data ? actual.data : "", expected.data, expected.len);
}

static void every_byte_but_plain_ones_stops_the_run(void **state)
{
	char bytes[40];
	size_t at;
	int c;

	(void)state;
	for (c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

		for (at = 0; at < sizeof(bytes); at++) {
			memset(bytes, 'a', sizeof(bytes));
			bytes[at] = (char)c;
			assert_int_equal(
				json_text_plain(bytes, sizeof(bytes)), plain ? sizeof(bytes) : at);
		}
	}
	assert_int_equal(json_text_plain(NULL, 0), 0);
}

static void characters_are_those_of_rfc_3629(void **state)
{
	static const struct {
		struct slice text;
		size_t len;
	} cases[] = {
		{SLICE(""), 0},
		{SLICE("a"), 1},
		{SLICE("\0"), 1},
		{SLICE("\x80"), 0},
		{SLICE("\xc1\xbf"), 0},
		{SLICE("\xc2\x80"), 2},
		{SLICE("\xc2"), 0},
		{SLICE("\xe0\x9f\xbf"), 0},
		{SLICE("\xe0\xa0\x80"), 3},
		{SLICE("\xed\x9f\xbf"), 3},
		{SLICE("\xed\xa0\x80"), 0},
		{SLICE("\xef\xbf\xbf"), 3},
		{SLICE("\xf0\x8f\xbf\xbf"), 0},
		{SLICE("\xf0\x90\x80\x80"), 4},
		{SLICE("\xf4\x8f\xbf\xbf"), 4},
		{SLICE("\xf4\x90\x80\x80"), 0},
		{SLICE("\xf5\x80\x80\x80"), 0},
		{SLICE("\xf0\x9f\x98"), 0},
		{SLICE("\xe2\x82\x28"), 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(json_text_character(cases[i].text), cases[i].len);
}

static void encoded_characters_are_characters(void **state)
{
	uint32_t c;
	char bytes[4];

	(void)state;
	for (c = 1; c < 0x110000; c += 7) {
		size_t len;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		len = json_text_encode(c, bytes);
		assert_int_equal(json_text_character(slice_of(bytes, len)), len);
	}
}

static void a_cut_does_not_split_a_character(void **state)
{
	struct slice text = SLICE("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
	static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
	size_t max;

	(void)state;
	for (max = 0; max < sizeof(expected) / sizeof(expected[0]); max++)
		assert_int_equal(json_text_cut(text, max).len, expected[max]);
}

static void escaped_text_keeps_to_its_room(void **state)
{
	struct slice text = SLICE("q\"b\\n\n\x01\xe2\x82\xac\x7f");
	struct slice all = SLICE("q\\\"b\\\\n\\n\\u0001\xe2\x82\xac\x7f");
	size_t max;

	(void)state;
	for (max = 0; max <= all.len + 1; max++) {
		struct buf b = BUF_EMPTY;
		size_t room = max;
		bool whole = json_text_escape(&b, text, &room);

		assert_int_equal(whole, max >= all.len);
		assert_true(buf_len(&b) <= max);
		assert_int_equal(room, max - buf_len(&b));
		assert_slice(buf_slice(&b), slice_first(all, buf_len(&b)));
		/* Never half an escape. */
		assert_true(!buf_len(&b) || buf_slice(&b).data[buf_len(&b) - 1] != '\\' ||
			    buf_len(&b) == 6);
		buf_free(&b);
	}
}

static void invalid_bytes_are_escaped_as_replacement_characters(void **state)
{
	struct buf b = BUF_EMPTY;
	size_t room = 100;

	(void)state;
	assert_true(json_text_escape(&b,
		SLICE("a\xff"
		      "b\xe2\x82"),
		&room));
	assert_slice(buf_slice(&b), SLICE("a\xef\xbf\xbd"
					  "b\xef\xbf\xbd"));
	buf_free(&b);
}

static void repair_replaces_lone_surrogates_and_bad_bytes_only(void **state)
{
	static const struct {
		struct slice json, repaired;
	} cases[] = {
		{SLICE("{\"a\":\"\\ud83d\\ude00\"}"), SLICE("{\"a\":\"\\ud83d\\ude00\"}")},
		{SLICE("\"\\uD83D\""), SLICE("\"\\ufffd\"")},
		{SLICE("\"\\ude00\\ud83d\""), SLICE("\"\\ufffd\\ufffd\"")},
		{SLICE("\"\\ud83d\\ud83d\\ude00\""), SLICE("\"\\ufffd\\ud83d\\ude00\"")},
		{SLICE("\"\\\\ud83d\""), SLICE("\"\\\\ud83d\"")},
		{SLICE("\"\xff\""), SLICE("\"\xef\xbf\xbd\"")},
		{SLICE("\"\\\xff\""), SLICE("\"\\\xef\xbf\xbd\"")},
		{SLICE("\"\\"), SLICE("\"\\")},
		{SLICE("\"\\u12"), SLICE("\"\\u12")},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_EMPTY;

		assert_int_equal(json_text_repair(&b, cases[i].json), 0);
		assert_slice(buf_slice(&b), cases[i].repaired);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_but_plain_ones_stops_the_run),
		cmocka_unit_test(characters_are_those_of_rfc_3629),
		cmocka_unit_test(encoded_characters_are_characters),
		cmocka_unit_test(a_cut_does_not_split_a_character),
		cmocka_unit_test(escaped_text_keeps_to_its_room),
		cmocka_unit_test(invalid_bytes_are_escaped_as_replacement_characters),
		cmocka_unit_test(repair_replaces_lone_surrogates_and_bad_bytes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
