// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "openai/error.h"

static void assert_body(enum dialect dialect, int status, const char *code, const char *message,
	const char *expected)
{
	struct buf json = BUF_EMPTY;

	buf_append_slice(&json, SLICE("before"));
	assert_int_equal(error_body(dialect, status, code, message, &json), 0);
	buf_consume(&json, 6);
	assert_int_equal(buf_len(&json), strlen(expected));
	assert_memory_equal(buf_slice(&json).data, expected, strlen(expected));
	buf_free(&json);
}

static void azure_gets_code_and_message(void **state)
{
	(void)state;
	assert_body(DIALECT_AZURE, 502, "origin_unreachable", "No answer.",
		"{\"error\":{\"code\":\"origin_unreachable\",\"message\":\"No answer.\"}}");
	assert_body(DIALECT_AZURE, 403, NULL, "No.",
		"{\"error\":{\"code\":\"403\",\"message\":\"No.\"}}");
}

static void others_get_the_form_of_openai(void **state)
{
	static const struct {
		int status;
		const char *type;
	} types[] = {
		{400, "invalid_request_error"},
		{401, "authentication_error"},
		{403, "permission_error"},
		{404, "invalid_request_error"},
		{429, "rate_limit_error"},
		{502, "server_error"},
	};
	char expected[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(expected, sizeof(expected),
			"{\"error\":{\"message\":\"m\",\"type\":\"%s\",\"param\":null,\"code\":"
			"null}}",
			types[i].type);
		assert_body(DIALECT_OPENAI, types[i].status, NULL, "m", expected);
	}
	assert_body(DIALECT_AZURE_V1, 502, "c", "m",
		"{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,"
		"\"code\":\"c\"}}");
}

static void texts_are_escaped(void **state)
{
	(void)state;
	assert_body(DIALECT_AZURE, 400, "a\"b", "line\nback\\slash\x01\xff\xc3\xa4",
		"{\"error\":{\"code\":\"a\\\"b\",\"message\":"
		"\"line\\nback\\\\slash\\u0001\xef\xbf\xbd\xc3\xa4\"}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(azure_gets_code_and_message),
		cmocka_unit_test(others_get_the_form_of_openai),
		cmocka_unit_test(texts_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
