// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/authority.h"
#include "http/head.h"

static void test_parse(void **state)
{
	/* clang-format off */
	static const struct {
		struct slice text, host;
		uint16_t port; /* and an empty host: refused */
	} cases[] = {
		{SLICE("a"), SLICE("a"), 0},
		{SLICE("My-host_1.example.com."), SLICE("My-host_1.example.com."), 0},
		{SLICE("a:1"), SLICE("a"), 1},
		{SLICE("a:65535"), SLICE("a"), 65535},
		{SLICE("a:00080"), SLICE("a"), 80},
		{SLICE("192.0.2.1:443"), SLICE("192.0.2.1"), 443},
		{SLICE("[::1]"), SLICE("[::1]"), 0},
		{SLICE("[::ffff:192.0.2.1]:80"), SLICE("[::ffff:192.0.2.1]"), 80},
		{SLICE(""), SLICE(""), 0}, {SLICE(":80"), SLICE(""), 0}, {SLICE("a:"), SLICE(""), 0},
		{SLICE("a:0"), SLICE(""), 0}, {SLICE("a:65536"), SLICE(""), 0},
		{SLICE("a:000080"), SLICE(""), 0}, {SLICE("a:-1"), SLICE(""), 0},
		{SLICE("a:8a"), SLICE(""), 0}, {SLICE("a b"), SLICE(""), 0},
		{SLICE("a@b"), SLICE(""), 0}, {SLICE("a/b"), SLICE(""), 0},
		{SLICE("a\0b"), SLICE(""), 0}, {SLICE("::1"), SLICE(""), 0},
		{SLICE("[]"), SLICE(""), 0}, {SLICE("[::1"), SLICE(""), 0},
		{SLICE("[fe80::1%25eth0]"), SLICE(""), 0}, {SLICE("[::1]a"), SLICE(""), 0},
		{SLICE("\xc3\xa4"), SLICE(""), 0}, {SLICE("a,b"), SLICE(""), 0},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct authority authority;

		assert_int_equal(authority_parse(cases[i].text, &authority), cases[i].host.len > 0);
		if (!cases[i].host.len)
			continue;
		assert_true(slice_equal(authority.host, cases[i].host));
		assert_int_equal(authority.port, cases[i].port);
	}
}

static void test_equal(void **state)
{
	const struct authority a = {SLICE("Example.com"), 0}, b = {SLICE("example.COM"), 443};
	const struct authority c = {SLICE("example.com"), 80}, d = {SLICE("example.com."), 0};

	(void)state;
	assert_true(authority_equal(&a, &b, 443));
	assert_false(authority_equal(&a, &b, 80));
	assert_false(authority_equal(&b, &c, 443));
	assert_false(authority_equal(&a, &d, 443));
}

static void test_list(void **state)
{
	struct slice list = SLICE(", a,,\tb c ,"), element;

	(void)state;
	assert_true(head_list_next(&list, &element));
	assert_true(slice_equal(element, SLICE("a")));
	assert_true(head_list_next(&list, &element));
	assert_true(slice_equal(element, SLICE("b c")));
	assert_false(head_list_next(&list, &element));
}

static void test_host(void **state)
{
	struct header headers[] = {{.name = SLICE("A"), .value = SLICE("b")},
		{.name = SLICE("hOST"), .value = SLICE("Example.com:8443")}};
	struct head head = {.headers = headers, .nheaders = 2};

	(void)state;
	assert_true(slice_equal(head_host(&head), SLICE("Example.com")));
	assert_int_equal(head_port(&head), 8443);
	head.nheaders = 1;
	assert_null(head_host(&head).data);
	assert_int_equal(head_port(&head), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
