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
				size_t matched = 0;

				secret_mask(secret, &matched, slice_first(text, a), false, &out);
				secret_mask(secret, &matched,
					slice_first(slice_after(text, a), b - a), false, &out);
				/* What may yet be the secret did not go out. */
				assert_int_equal(buf_len(&out) + matched, b);
				secret_mask(secret, &matched, slice_after(text, b), true, &out);
				assert_text(&out, rows[i].masked);
				buf_free(&out);
			}
		secret_free(secret);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_without_its_secret),
		cmocka_unit_test(a_mask_keeps_the_length_however_the_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
