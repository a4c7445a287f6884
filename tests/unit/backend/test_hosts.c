// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "backend/hosts.h"

static void assert_has(const struct hosts *hosts, const char *name, const char *const *expected)
{
	const struct address *addresses;
	size_t n, i;

	if (!hosts_find(hosts, name, &addresses, &n))
		fail_msg("%s is not found", name);
	for (i = 0; expected[i]; i++) {
		assert_true(i < n);
		assert_string_equal(address_format(&addresses[i]).text, expected[i]);
	}
	assert_int_equal(n, i);
}

static void names_and_aliases_are_found(void **state)
{
	struct hosts *hosts = hosts_parse(SLICE("# a comment\n"
						"127.0.0.1\tlocalhost\n"
						"\n"
						"10.0.0.7  One.Example one alias # end\r\n"
						"2001:db8::7 one.example"));

	(void)state;
	assert_non_null(hosts);
	assert_has(hosts, "localhost", (const char *const[]){"127.0.0.1", NULL});
	assert_has(hosts, "one", (const char *const[]){"10.0.0.7", NULL});
	assert_has(hosts, "alias", (const char *const[]){"10.0.0.7", NULL});
	assert_has(hosts, "one.example", (const char *const[]){"10.0.0.7", "2001:db8::7", NULL});
	hosts_free(hosts);
}

static void addresses_come_ipv4_first_and_in_the_files_order(void **state)
{
	struct hosts *hosts = hosts_parse(SLICE("2001:db8::2 n\n10.0.0.9 n\n"
						"2001:db8::1 n\n10.0.0.1 n\n10.0.0.5 n\n"));

	(void)state;
	assert_has(hosts, "n",
		(const char *const[]){
			"10.0.0.9", "10.0.0.1", "10.0.0.5", "2001:db8::2", "2001:db8::1", NULL});
	hosts_free(hosts);
}

static void lines_that_are_none_are_skipped(void **state)
{
	struct hosts *hosts = hosts_parse(SLICE("nonsense name\n10.0.0 short\n10.0.0.1\n"
						"fe80::1%eth0 zoned\n#10.0.0.2 off\n"
						"10.0.0.3 on\n\n\n   \n"));
	const struct address *addresses;
	size_t n;

	(void)state;
	assert_has(hosts, "on", (const char *const[]){"10.0.0.3", NULL});
	assert_false(hosts_find(hosts, "name", &addresses, &n));
	assert_false(hosts_find(hosts, "short", &addresses, &n));
	assert_false(hosts_find(hosts, "zoned", &addresses, &n));
	assert_false(hosts_find(hosts, "off", &addresses, &n));
	assert_false(hosts_find(hosts, "", &addresses, &n));
	hosts_free(hosts);
}

static void nothing_is_found_in_nothing(void **state)
{
	const struct address *addresses;
	size_t n;
	struct hosts *hosts = hosts_parse(SLICE_NONE);

	(void)state;
	assert_non_null(hosts);
	assert_false(hosts_find(hosts, "localhost", &addresses, &n));
	assert_false(hosts_find(NULL, "localhost", &addresses, &n));
	assert_null(hosts_load("/nonexistent/hosts"));
	hosts_free(hosts);
	hosts_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_aliases_are_found),
		cmocka_unit_test(addresses_come_ipv4_first_and_in_the_files_order),
		cmocka_unit_test(lines_that_are_none_are_skipped),
		cmocka_unit_test(nothing_is_found_in_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
