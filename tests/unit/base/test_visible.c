// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/visible.h"

static const struct {
	struct slice text;
	const char *drawn, *json;
} cases[] = {
	{SLICE("plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x98\x80"),
		"plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x98\x80",
		"plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x98\x80"},
	{SLICE("a\xe2\x80\xae"
	       "b"),
		"a<U+202E>b", "a\\u202eb"},
	{SLICE("\xe2\x81\xa6\xe2\x80\xa8\xe2\x80\x8b"), "<U+2066><U+2028><U+200B>",
		"\\u2066\\u2028\\u200b"},
	{SLICE("\xc2\x80\xc2\x9b\xc2\x9f\x7f"), "<U+0080><U+009B><U+009F><U+007F>",
		"\\u0080\\u009b\\u009f\\u007f"},
	{SLICE("\xef\xbb\xbf\xc2\xad\xe2\x80\x8d"), "<U+FEFF><U+00AD><U+200D>",
		"\\ufeff\\u00ad\\u200d"},
	/* a tag character, in which texts are hidden */
	{SLICE("\xf3\xa0\x81\x81"), "<U+E0041>", "\\udb40\\udc41"},
	/* not UTF-8: a lone byte, an overlong form of ESC, a surrogate, a cut sequence */
	{SLICE("\x9b"
	       "x"),
		"\xef\xbf\xbd"
		"x",
		"\\ufffdx"},
	{SLICE("\xc0\x9b"), "\xef\xbf\xbd\xef\xbf\xbd", "\\ufffd\\ufffd"},
	{SLICE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "\\ufffd\\ufffd\\ufffd"},
	{SLICE("\xe2\x80"), "\xef\xbf\xbd", "\\ufffd"},
	{SLICE_NONE, "", ""},
};

static void hostile_text_is_drawn_and_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf drawn = BUF_EMPTY, json = BUF_EMPTY;

		assert_int_equal(visible_draw(cases[i].text, 100, &drawn, NULL), 0);
		assert_int_equal(visible_json(cases[i].text, &json), 0);
		if (!slice_equal(buf_slice(&drawn), slice_of_string(cases[i].drawn)))
			fail_msg("case %zu was drawn as %.*s", i, SLICE_ARG(buf_slice(&drawn)));
		if (!slice_equal(buf_slice(&json), slice_of_string(cases[i].json)))
			fail_msg("case %zu was escaped as %.*s", i, SLICE_ARG(buf_slice(&json)));
		buf_free(&drawn);
		buf_free(&json);
	}
}

static void controls_of_a_line_are_drawn(void **state)
{
	struct buf drawn = BUF_EMPTY;

	(void)state;
	assert_int_equal(visible_draw(SLICE("a\tb\nc\r\x1b[31m\0d"), 100, &drawn, NULL), 0);
	assert_true(slice_equal(buf_slice(&drawn), SLICE("a b\xe2\x86\xb5"
							 "c<U+000D><U+001B>[31m<U+0000>d")));
	buf_free(&drawn);
}

static void the_length_is_that_of_characters(void **state)
{
	struct buf drawn = BUF_EMPTY;
	size_t characters;

	(void)state;
	assert_int_equal(visible_draw(SLICE("\xc3\xa9\xe2\x80\xae"
					    "abc"),
				 3, &drawn, &characters),
		0);
	assert_true(slice_equal(buf_slice(&drawn), SLICE("\xc3\xa9<U+202E>a")));
	assert_int_equal(characters, 10);
	buf_free(&drawn);
}

/* What is between the values of a document stays, what is in them is escaped already. */
static void the_structure_of_json_stays(void **state)
{
	struct buf json = BUF_EMPTY;

	(void)state;
	assert_int_equal(visible_json(SLICE("{\n  \"a\\u001b\": \"\xe2\x80\xae\"\n}"), &json), 0);
	assert_true(slice_equal(buf_slice(&json), SLICE("{\n  \"a\\u001b\": \"\\u202e\"\n}")));
	buf_free(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text_is_drawn_and_escaped),
		cmocka_unit_test(controls_of_a_line_are_drawn),
		cmocka_unit_test(the_length_is_that_of_characters),
		cmocka_unit_test(the_structure_of_json_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
