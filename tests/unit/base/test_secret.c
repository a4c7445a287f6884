// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/secret.h"

static const struct {
	const char *secret, *text, *replaced, *masked;
} rows[] = {
	{"abcdefgh", "", "", ""},
	{"abcdefgh", "abcdefgh", "#", "********"},
	{"abcdefgh", "xabcdefghx", "x#x", "x********x"},
	{"abcdefgh", "abcdefghabcdefgh", "##", "****************"},
	{"abcdefgh", "abcdefg", "abcdefg", "abcdefg"},
	{"abcdefgh", "ababcdefgh", "ab#", "ab********"},
	{"abcdefghij", "x abcdefgh", "x #", "x abcdefgh"},
	{"abcdefghij", "x abcdefghi!", "x abcdefghi!", "x abcdefghi!"},
	{"aaaaaaab", "aaaaaaaaaab!", "aaa#!", "aaa********!"},
	{"abcabcabd", "abcabcabcabd", "abc#", "abc*********"},
	{"abababab", "abababababababab", "##", "****************"},
	{"short", "a short text", "a short text", "a short text"},
	/* as JSON writes it, also in JSON in JSON */
	{"ab/def+h=\"", "\"ab\\/def+h=\\\"\"", "\"#\"", "\"************\""},
	{"ab/def+hi", "x ab\\\\\\/def\\u002bhi", "x #", "x *****************"},
	{"abcdefgh", "\\u0061\\u0062cdef\\u0067\\u0068\\n", "#\\n",
		"****************************\\n"},
	{"abc\\defgh", "abc\\\\defgh abc\\defgh", "# #", "********** *********"},
	{"abcdefgh", "\\nabcdefgh \\u00", "\\n# \\u00", "\\n******** \\u00"},
	/* as a URL */
	{"ab/def+h=", "k=ab%2Fdef%2bh%3D&", "k=#&", "k=***************&"},
	{"ab/def+h=", "%%2ab/def%2Bh%3", "%%2ab/def%2Bh%3", "%%2ab/def%2Bh%3"},
	{"ab12cdef", "100%ab12cdef", "100%#", "100%********"},
	{"ab%2Fdefgh", "ab%2Fdefgh", "#", "**********"},
	/* where a text was cut */
	{"abcdefghijkl", "x abcdefgh\xe2\x80\xa6 y", "x # y", "x abcdefgh\xe2\x80\xa6 y"},
	{"abcdefghijkl",
		"x\xe2\x80\xa6"
		"efghijkl y",
		"x# y",
		"x\xe2\x80\xa6"
		"efghijkl y"},
	{"abcdefghijkl", "abcd\xe2\x80\xa6ijkl\xe2\x80\xa6", "#\xe2\x80\xa6",
		"abcd\xe2\x80\xa6ijkl\xe2\x80\xa6"},
	{"abcdefghijkl", "abcd\xe2\x80\xa6jkl", "abcd\xe2\x80\xa6jkl", "abcd\xe2\x80\xa6jkl"},
	{"abcdefghijkl", "\"abcdefghij\"}]", "\"#\"}]", "\"abcdefghij\"}]"},
};

static struct secret *secret_of(size_t row)
{
	struct secret *secret = secret_new(slice_of_string(rows[row].secret));

	assert_non_null(secret);
	assert_true(slice_equal(secret_text(secret), slice_of_string(rows[row].secret)));
	return secret;
}

static void assert_text(const struct buf *got, const char *expected)
{
	if (!slice_equal(buf_slice(got), slice_of_string(expected)))
		fail_msg("%.*s, not %s", (int)buf_len(got), buf_slice(got).data, expected);
}

static void a_text_without_its_secret(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct secret *secret = secret_of(i);
		struct slice text = slice_of_string(rows[i].text);
		struct buf out = BUF_EMPTY;

		assert_int_equal(secret_replace(secret, text, SLICE("#"), &out), 0);
		assert_text(&out, rows[i].replaced);
		assert_int_equal(secret_found(secret, text),
			!slice_equal(text, slice_of_string(rows[i].replaced)));
		buf_free(&out);
		secret_free(secret);
	}
}

static void a_mask_keeps_the_length_however_the_text_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct secret *secret = secret_of(i);
		struct slice text = slice_of_string(rows[i].text);

		for (size_t a = 0; a <= text.len; a++)
			for (size_t b = a; b <= text.len; b++) {
				struct buf out = BUF_EMPTY;
				struct secret_masking masking = {.literal = {.at = 0}};

				secret_mask(secret, &masking, slice_first(text, a), false, &out);
				secret_mask(secret, &masking,
					slice_first(slice_after(text, a), b - a), false, &out);
				/* What may yet be the secret did not go out. */
				assert_int_equal(buf_len(&out) + buf_len(&masking.literal.held) +
							 buf_len(&masking.written.held),
					b);
				secret_mask(secret, &masking, slice_after(text, b), true, &out);
				assert_text(&out, rows[i].masked);
				buf_free(&out);
			}
		secret_free(secret);
	}
}

/* Places are found once, whatever else is in the text. */
static void the_work_is_linear(void **state)
{
	struct secret *secret = secret_new(SLICE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab/"));
	static const char *const units[] = {
		"%", "\\", "\xe2\x80\xa6", "aaaaaaaa", "%61", "\\u0061", "\\\\\\/"};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		for (size_t tail = 0; tail < 2; tail++) {
			struct secret_masking masking = {.literal = {.at = 0}};
			struct buf text = BUF_EMPTY, out = BUF_EMPTY;

			while (buf_len(&text) < 1 << 20)
				buf_append_slice(&text, slice_of_string(units[i]));
			buf_append_slice(&text, slice_of_string(tail ? "\\" : "%"));
			assert_int_equal(
				secret_replace(secret, buf_slice(&text), SLICE("#"), &out), 0);
			assert_true(buf_len(&out) > 0);
			buf_clear(&out);
			assert_int_equal(
				secret_mask(secret, &masking, buf_slice(&text), true, &out), 0);
			assert_int_equal(buf_len(&out), buf_len(&text));
			buf_free(&text);
			buf_free(&out);
		}
	secret_free(secret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_without_its_secret),
		cmocka_unit_test(a_mask_keeps_the_length_however_the_text_is_cut),
		cmocka_unit_test(the_work_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
