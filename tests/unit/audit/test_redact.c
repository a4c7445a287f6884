// SPDX-License-Identifier: GPL-2.0-or-later
/* Credentials never come through; what only looks a little like them does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "audit/redact.h"
#include "audit/text.h"

#define R "[redacted]"

struct text_case {
	struct slice text;
	const char *expected; /* NULL: unchanged */
};

static void check_texts(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf out = BUF_EMPTY;
		struct slice expected = cases[i].expected ?
			slice_of_string(cases[i].expected) : cases[i].text;
		/* Exactly as long as the text: a sanitizer sees one byte too many. */
		char *copy = malloc(cases[i].text.len + !cases[i].text.len);

		memcpy(copy, cases[i].text.data, cases[i].text.len);
		assert_int_equal(text_append(slice_of(copy, cases[i].text.len), &out), 0);
		if (!slice_equal(buf_slice(&out), expected))
			fail_msg("%.*s became %.*s", SLICE_ARG(cases[i].text),
				SLICE_ARG(buf_slice(&out)));
		buf_free(&out);
		free(copy);
	}
}

static void test_credentials(void **state)
{
	static const struct text_case cases[] = {
		{SLICE("my key is sk-abcdefghij0123456789 ok"), "my key is " R " ok"},
		{SLICE("sk-proj-abc_DEF-0123456789abcdef"), R},
		{SLICE("\"sk-svcacct-0123456789abcdef01\""), "\"" R "\""},
		{SLICE("cut at its end: sk-abc"), "cut at its end: " R},
		{SLICE("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl."), R},
		{SLICE("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"), R},
		{SLICE("(eyJhbGciOiJIUzI1NiJ9"), "(" R},
		{SLICE("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn and"), NULL},
		{SLICE("eyJhbGciOiJkaXIifQ.a2V5a2V5a2V5.aXY.Y2lwaGVy.dGFn and"), R " and"},
		{SLICE("api-key: 0123456789abcdef0123456789abcdef\r\n"), "api-key: " R "\r\n"},
		{SLICE("{\"api-key\":\"0123456789abcdef\"}"), "{\"api-key\":\"" R "\"}"},
		{SLICE("{\\\"Api-Key\\\": \\\"0123456789abcdef\\\"}"),
			"{\\\"Api-Key\\\": \\\"" R "\\\"}"},
		{SLICE("OPENAI_API_KEY=abc123def"), "OPENAI_API_KEY=" R},
		{SLICE("apikey = 'abc123def'"), "apikey = '" R "'"},
		{SLICE("Ocp-Apim-Subscription-Key: abc123def"), "Ocp-Apim-Subscription-Key: " R},
		{SLICE("https://x/y?subscription-key=abc123def&a=b"),
			"https://x/y?subscription-key=" R "&a=b"},
		{SLICE("access_token=abc123def&"), "access_token=" R "&"},
		{SLICE("AccountKey=abc123def==;"), "AccountKey=" R ";"},
		{SLICE("Authorization: Bearer abc"), "Authorization: Bearer " R},
		{SLICE("authorization: Basic dXNlcjpwYXNz\n"), "authorization: Basic " R "\n"},
		{SLICE("\"Authorization\": \"Bearer abc.def\", "),
			"\"Authorization\": \"Bearer " R "\", "},
		{SLICE("Authorization: rawtoken99 "), "Authorization: " R " "},
		{SLICE("curl -H 'bearer 0123456789abc'"), "curl -H 'bearer " R "'"},
		{SLICE("Bearer%20abcdef0123 x"), "Bearer%20" R " x"},
		{SLICE("sk-abcdefghij0123456789 sk-abcdefghij0123456789"), R " " R},
		/* In JSON an escape ends the word before it. */
		{SLICE("\"it is:\\nsk-abcdefghij0123456789\""), "\"it is:\\n" R "\""},
		{SLICE("\"\\\\tsk-abcdefghij0123456789\""), "\"\\\\t" R "\""},
		{SLICE("\"\\neyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0\""), "\"\\n" R "\""},
		{SLICE("\"\\nBearer abcdef0123\""), "\"\\nBearer " R "\""},
	};

	(void)state;
	check_texts(cases, sizeof(cases) / sizeof(cases[0]));
}

/* What was JSON is JSON. */
static void test_json(void **state)
{
	static const struct text_case cases[] = {
		{SLICE("{\"api_key\":1234567,\"a\":1}"), "{\"api_key\":\"" R "\",\"a\":1}"},
		{SLICE("{\"access_token\" : -12345.6e+10}"), "{\"access_token\" : \"" R "\"}"},
		{SLICE("{\"authorization\":1234567 }"), "{\"authorization\":\"" R "\" }"},
		{SLICE("{\"my api_key=\":1234567}"), "{\"my api_key=\":\"" R "\"}"},
		{SLICE("{\"api_key\":\"\\u0041bcdefgh\"}"), "{\"api_key\":\"" R "\"}"},
		{SLICE("{\"x\":\"api_key=\\u0041bcdefgh\"}"), "{\"x\":\"api_key=" R "\"}"},
		{SLICE("{\"x\":\"api_key=\\\\u0041bcdefgh\"}"), "{\"x\":\"api_key=\\\\" R "\"}"},
		{SLICE("{\"x\":\"{\\\"api_key\\\":1234567}\"}"), "{\"x\":\"{\\\"api_key\\\":" R "}\"}"},
		{SLICE("{\"api_key\":false,\"b\":\"api_key:\",\"abcdefgh\":1}"), NULL},
	};

	(void)state;
	check_texts(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_prose(void **state)
{
	static const struct text_case cases[] = {
		{SLICE(""), NULL}, {SLICE("k"), NULL}, {SLICE("J"), NULL}, {SLICE("z"), NULL},
		{SLICE("b"), NULL}, {SLICE("key"), NULL}, {SLICE("token"), NULL},
		{SLICE("a risk-averse task-oriented desk-bound person"), NULL},
		{SLICE("sk-short then more"), NULL},
		{SLICE("the bearer of good news"), NULL},
		{SLICE("bearer authentication is used"), NULL},
		{SLICE("an API key is a secret"), NULL},
		{SLICE("\"max_tokens\": 1000000"), NULL},
		{SLICE("authorization is needed"), NULL},
		{SLICE("the keyboard: it is the key: to success"), NULL},
		{SLICE("eyJ and eyJx. too short"), NULL},
		{SLICE("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), NULL},
	};

	(void)state;
	check_texts(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_repair(void **state)
{
	static const struct text_case cases[] = {
		{SLICE("a\xff" "b"), "a\xef\xbf\xbd" "b"},
		{SLICE("\xc3"), "\xef\xbf\xbd"},
		{SLICE("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd"},
		{SLICE("\xe0\x80\xaf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{SLICE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		/* table 3-8 of The Unicode Standard */
		{SLICE("\xf4\x91\x92\x93\xff" "A\x80\xbf" "B"),
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "A"
			"\xef\xbf\xbd\xef\xbf\xbd" "B"},
		{SLICE("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf" "A"),
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "A"},
		{SLICE("\xff" "api-key=\"abc123def\"\xe2\x82"),
			"\xef\xbf\xbd" "api-key=\"" R "\"\xef\xbf\xbd"},
	};

	(void)state;
	check_texts(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_urls(void **state)
{
	static const struct text_case cases[] = {
		{SLICE("/openai/v1/chat/completions"), NULL},
		{SLICE("/x?api-version=2024-10-21"), NULL},
		{SLICE("/x?api-version=1&subscription-key=abc"),
			"/x?api-version=1&subscription-key=" R},
		{SLICE("/x?SUBSCRIPTION-KEY=abc&y=1#key=z"),
			"/x?SUBSCRIPTION-KEY=" R "&y=1#key=" R},
		{SLICE("/x?subscription%2Dkey=abc"), "/x?subscription%2Dkey=" R},
		{SLICE("/x?%61pi-key=a"), "/x?%61pi-key=" R},
		{SLICE("/x?key=&code=1;sig=2"), "/x?key=&code=" R ";sig=" R},
		{SLICE("/x?keys=1&monkey=2&%"), NULL},
		{SLICE("/x?=&&?"), NULL},
		{SLICE("https://user:pass@host/x"), "https://" R "@host/x"},
		{SLICE("https://user:pass@host?key=1"), "https://" R "@host?key=" R},
		{SLICE("https://host/x@y"), NULL},
		{SLICE(""), NULL}, {SLICE("?"), NULL}, {SLICE(":"), NULL}, {SLICE("://@"), NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_EMPTY;
		struct slice expected = cases[i].expected ?
			slice_of_string(cases[i].expected) : cases[i].text;

		if (slice_equal(cases[i].text, SLICE("://@")))
			expected = SLICE("://" R "@");
		assert_int_equal(redact_url(cases[i].text, &out), 0);
		if (!slice_equal(buf_slice(&out), expected))
			fail_msg("%.*s became %.*s", SLICE_ARG(cases[i].text),
				SLICE_ARG(buf_slice(&out)));
		buf_free(&out);
	}
}

static void test_headers(void **state)
{
	char own[] = "X-Own-Word";
	char *const configured[] = {own};

	(void)state;
	assert_true(redact_header(SLICE("Authorization"), NULL, 0));
	assert_true(redact_header(SLICE("API-KEY"), NULL, 0));
	assert_true(redact_header(SLICE("set-cookie"), NULL, 0));
	assert_true(redact_header(SLICE("x-own-word"), configured, 1));
	assert_false(redact_header(SLICE("x-own-word"), NULL, 0));
	assert_false(redact_header(SLICE("content-type"), configured, 1));
}

/* Text made to be slow must not be: 4 MiB of beginnings of credentials. */
static void test_hostile_text_is_linear(void **state)
{
	static const struct slice units[] = {SLICE("-eyJ"), SLICE("eyJ"), SLICE("sk-"),
		SLICE(" bearer"), SLICE("authorization:"), SLICE("api-key="), SLICE(" eyJa."),
		SLICE("kkkk"), SLICE("\xf0\x9f\x98"), SLICE("bearer+")};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct buf text = BUF_EMPTY, out = BUF_EMPTY;

		while (buf_len(&text) < 4u << 20)
			buf_append_slice(&text, units[i]);
		buf_append_slice(&text, SLICE(" !"));
		assert_int_equal(text_append(buf_slice(&text), &out), 0);
		buf_free(&text);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_prose),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_hostile_text_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
