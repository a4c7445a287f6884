// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keeper/answer.h"

static void token(const char *body, const char *value, uint64_t expires_s, uint64_t refresh_s)
{
	struct answer_token got;
	struct why why = {""};

	assert_int_equal(answer_token(slice_of_string(body), &got, &why), 0);
	assert_true(slice_equal(secret_text(got.token), slice_of_string(value)));
	assert_int_equal(got.expires_s, expires_s);
	assert_int_equal(got.refresh_s, refresh_s);
	secret_free(got.token);
}

static void no_token(const char *body, const char *reason)
{
	struct answer_token got;
	struct why why = {""};

	assert_int_equal(answer_token(slice_of_string(body), &got, &why), -EINVAL);
	assert_null(got.token);
	assert_non_null(strstr(why.text, reason));
}

static void tokens_of_both(void **state)
{
	(void)state;
	token("{\"access_token\":\"eyJ.a.b\",\"expires_in\":\"86399\",\"refresh_in\":\"43199\"}",
		"eyJ.a.b", 86399, 43199);
	token("{\"expires_in\":3599,\"access_token\":\"eyJ.a.b\"}", "eyJ.a.b", 3599, 0);
	/* Whatever a server says, it is not believed for more than a month. */
	token("{\"expires_in\":18446744073709551615,\"access_token\":\"t\"}", "t", 30 * 86400, 0);
	token("{\"expires_in\":10,\"refresh_in\":11,\"access_token\":\"t\"}", "t", 10, 0);
}

static void what_is_no_token(void **state)
{
	(void)state;
	no_token("", "no JSON object");
	no_token("[1]", "no JSON object");
	no_token("{\"access_token\":\"t\"}", "when the token expires");
	no_token("{\"access_token\":\"t\",\"expires_in\":0}", "when the token expires");
	no_token("{\"access_token\":\"t\",\"expires_in\":\"-1\"}", "when the token expires");
	no_token("{\"access_token\":\"t\",\"expires_in\":\"9x\"}", "when the token expires");
	no_token("{\"expires_in\":9}", "no token");
	no_token("{\"access_token\":\"\",\"expires_in\":9}", "no token");
	no_token("{\"access_token\":7,\"expires_in\":9}", "no token");
	/* It would end the header, and begin another one. */
	no_token("{\"access_token\":\"a\\r\\nx: y\",\"expires_in\":9}", "no token");
	no_token("{\"access_token\":\"a\\u0000b\",\"expires_in\":9}", "no token");
	no_token("{\"access_token\":\"\xc3\xa9\",\"expires_in\":9}", "no token");
}

static void secrets(void **state)
{
	struct secret *value;
	struct why why = {""};
	struct buf body = BUF_EMPTY;

	(void)state;
	assert_int_equal(answer_secret(SLICE("{\"value\":\" key-1\\n\"}"), &value, &why), 0);
	assert_true(slice_equal(secret_text(value), SLICE("key-1")));
	secret_free(value);
	assert_int_equal(answer_secret(SLICE("{\"value\":\"two\\nlines\"}"), &value, &why), -EINVAL);
	assert_null(value);
	assert_null(strstr(why.text, "lines"));
	assert_int_equal(answer_secret(SLICE("{\"value\":{\"a\":1,\"b\":2}}"), &value, &why), -EINVAL);
	assert_int_equal(answer_secret(SLICE("{\"value\":[1,2]}"), &value, &why), -EINVAL);
	/* One byte more than a worker takes. */
	for (size_t n = 32768; n <= 32769; n++) {
		buf_clear(&body);
		assert_int_equal(buf_append(&body, "{\"value\":\"", 10), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf_append(&body, "k", 1), 0);
		assert_int_equal(buf_append(&body, "\"}", 2), 0);
		assert_int_equal(answer_secret(buf_slice(&body), &value, &why),
			n == 32768 ? 0 : -EINVAL);
		secret_free(value);
	}
	buf_free(&body);
}

static void only_codes_are_told_of_a_refusal(void **state)
{
	static const struct {
		int status;
		const char *body, *told;
	} cases[] = {
		{403, "{\"error\":{\"code\":\"Forbidden\",\"message\":\"secret\","
		      "\"innererror\":{\"code\":\"AccessDenied\"}}}",
			"answered 403 (Forbidden, AccessDenied)"},
		{401, "{\"error\":\"invalid_client\",\"error_description\":\"secret\","
		      "\"error_codes\":[7000215,1]}",
			"answered 401 (invalid_client, AADSTS7000215)"},
		{429, "<html>secret</html>", "answered 429"},
		{500, "{\"error\":\"a secret with spaces\"}", "answered 500"},
		{500, "{\"error\":{\"code\":\"line\\nline\"}}", "answered 500"},
		{500, "{\"error\":\"0123456789012345678901234567890123456789x\"}", "answered 500"},
		{500, "", "answered 500"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct why why = {""};

		answer_refusal(cases[i].status, slice_of_string(cases[i].body), &why);
		assert_string_equal(why.text, cases[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_of_both),
		cmocka_unit_test(what_is_no_token),
		cmocka_unit_test(secrets),
		cmocka_unit_test(only_codes_are_told_of_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
