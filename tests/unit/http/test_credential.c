// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/credential.h"

static void names_of_fields(void **state)
{
	static const char *const credentials[] = {"Authorization", "proxy-authorization", "api-key",
		"API-KEY", "x-api-key", "X_Api_Key", "api_key", "Ocp-Apim-Subscription-Key",
		"cookie", "Cookie2", "Set-Cookie", "x-functions-key", "x-ms-token-aad-access-token",
		"x-amz-security-token", "x-goog-api-key", "X-Auth-Token", "www-authenticate"};
	static const char *const others[] = {"host", "content-type", "idempotency-key",
		"sec-websocket-key", "openai-organization", "openai-project", "x-stainless-lang",
		"x-ms-client-request-id", "user-agent", "authority", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(credentials) / sizeof(*credentials); i++)
		assert_true(credential_field(slice_of_string(credentials[i])));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(credential_field(slice_of_string(others[i])));
}

static void a_key_among_the_subprotocols(void **state)
{
	(void)state;
	assert_true(credential_value(SLICE("Sec-WebSocket-Protocol"),
		SLICE("realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1")));
	assert_false(credential_value(SLICE("Sec-WebSocket-Protocol"), SLICE("realtime")));
	assert_false(credential_value(SLICE("x-note"), SLICE("api-key")));
}

static void a_query_without_its_credentials(void **state)
{
	static const struct {
		const char *path, *left;
	} rows[] = {
		{"/a", "/a"},
		{"/a?", "/a?"},
		{"/a?api-version=1&b=%61pi", "/a?api-version=1&b=%61pi"},
		{"/a?api-key=K", "/a"},
		{"/a?api%2Dkey=K", "/a"},
		{"/a?%61pi-key=K", "/a"},
		{"/a?%61%70%69%2d%6B%65%79=K&v=1", "/a?v=1"},
		{"/a?API_KEY=K&v=1", "/a?v=1"},
		{"/a?+api-key=K", "/a"},
		{"/a?api-key%20=K", "/a"},
		{"/a?v=1&subscription-key=K&w=2", "/a?v=1&w=2"},
		{"/a?v=1;api-key=K", "/a?v=1"},
		{"/a?api-key=K;v=1", "/a?v=1"},
		{"/a?v=1?api-key=K", "/a?v=1"},
		{"/a?v=1&api-key=K&api-key=K", "/a?v=1"},
		{"/a?api-key", "/a"},
		{"/a?sig=K&code=K&token=K", "/a"},
		{"/a?api-key%=K&x%4=1", "/a?x%4=1"},
		{"/a?keyword=K&encoding=1", "/a?keyword=K&encoding=1"},
		{"/a?&&", "/a?&&"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf out = BUF_EMPTY;

		assert_int_equal(credential_strip_query(slice_of_string(rows[i].path), &out), 0);
		if (!slice_equal(buf_slice(&out), slice_of_string(rows[i].left)))
			fail_msg(
				"%s: %.*s", rows[i].path, (int)buf_len(&out), buf_slice(&out).data);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_fields),
		cmocka_unit_test(a_key_among_the_subprotocols),
		cmocka_unit_test(a_query_without_its_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
