// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct address parsed(const char *text)
{
	struct address a;

	if (address_parse(text, &a) < 0)
		fail_msg("%s is refused", text);
	return a;
}

static void addresses_are_read_and_written(void **state)
{
	static const char *const table[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:DB8:0::1", "2001:db8::1"},
		{"::", "::"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct address a = parsed(table[i][0]);

		assert_string_equal(address_format(&a).text, table[i][1]);
	}
}

static void what_is_not_exactly_an_address_is_refused(void **state)
{
	static const char *const table[] = {"", " ", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04",
		"1.2.3.4 ", "1.2.3.4/32", "1.2.3.4:80", "[::1]", "fe80::1%eth0", "::1::", "localhost"};
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		if (address_parse(table[i], &a) != -EINVAL)
			fail_msg("'%s' is taken", table[i]);
}

static void loopback_is_this_machine(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} table[] = {
		{"127.0.0.1", true}, {"127.255.0.9", true}, {"::1", true}, {"::ffff:127.0.0.1", true},
		{"126.0.0.1", false}, {"128.0.0.1", false}, {"::", false}, {"::2", false},
		{"2001:db8::1", false}, {"7f00::1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct address a = parsed(table[i].text);

		if (address_is_loopback(&a) != table[i].loopback)
			fail_msg("%s", table[i].text);
	}
}

static void addresses_with_port_are_read_and_written(void **state)
{
	static const char *const table[] = {
		"192.0.2.1:443", "[2001:db8::1]:1", "127.0.0.1:65535"};
	struct address_port ap;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		assert_int_equal(address_port_parse(table[i], &ap), 0);
		assert_string_equal(address_port_format(&ap).text, table[i]);
	}
}

static void what_is_not_exactly_address_and_port_is_refused(void **state)
{
	static const char *const table[] = {"", ":", ":443", "192.0.2.1", "192.0.2.1:",
		"192.0.2.1:0", "192.0.2.1:065", "192.0.2.1:65536", "192.0.2.1:4294967739",
		"192.0.2.1:+1", "192.0.2.1: 1", "192.0.2.1:1 ", "[192.0.2.1]:443", "2001:db8::1",
		"2001:db8::1:443", "[2001:db8::1]", "[2001:db8::1:443", "2001:db8::1]:443",
		"[]:1", "[:1", "host:443",
		"1111111111111111111111111111111111111111111111111111111111111111111111111:443"};
	struct address_port ap;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		if (address_port_parse(table[i], &ap) != -EINVAL)
			fail_msg("'%s' is taken", table[i]);
}

static void prefixes_are_read(void **state)
{
	static const struct {
		const char *text;
		uint8_t bits;
	} table[] = {{"192.0.2.0/24", 120}, {"192.0.2.1", 128}, {"192.0.2.1/32", 128},
		{"0.0.0.0/0", 96}, {"2001:db8::/32", 32}, {"::/0", 0}, {"2001:db8::1", 128},
		{"::ffff:192.0.2.0/120", 120}};
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		if (prefix_parse(table[i].text, &p) < 0)
			fail_msg("%s is refused", table[i].text);
		assert_int_equal(p.bits, table[i].bits);
	}
}

static void what_is_not_exactly_a_prefix_is_refused(void **state)
{
	static const char *const table[] = {"", "/", "/8", "192.0.2.0/", "192.0.2.0/33",
		"192.0.2.0/-1", "192.0.2.0/024", "192.0.2.1/24", "128.0.0.0/0", "2001:db8::/129",
		"2001:db8::1/64", "192.0.2.0/24/24", "192.0.2.0/255.255.255.0"};
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		if (prefix_parse(table[i], &p) != -EINVAL)
			fail_msg("'%s' is taken", table[i]);
}

static void a_prefix_contains_what_begins_with_it(void **state)
{
	static const struct {
		const char *prefix, *address;
		bool inside;
	} table[] = {
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"10.32.0.0/11", "10.63.255.255", true},
		{"10.32.0.0/11", "10.64.0.0", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.0", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct address a = parsed(table[i].address);
		struct prefix p;

		assert_int_equal(prefix_parse(table[i].prefix, &p), 0);
		if (prefix_contains(&p, &a) != table[i].inside)
			fail_msg("%s and %s", table[i].prefix, table[i].address);
	}
}

static void socket_addresses_go_both_ways(void **state)
{
	static const struct {
		const char *text;
		int family;
	} table[] = {{"192.0.2.1:443", AF_INET}, {"[2001:db8::1]:8443", AF_INET6}};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct sockaddr_storage sa;
		struct address_port ap, back;

		assert_int_equal(address_port_parse(table[i].text, &ap), 0);
		assert_int_equal(address_port_to_sockaddr(&ap, &sa),
			table[i].family == AF_INET ? sizeof(struct sockaddr_in)
						   : sizeof(struct sockaddr_in6));
		assert_int_equal(sa.ss_family, table[i].family);
		assert_int_equal(
			address_port_from_sockaddr(&back, (const struct sockaddr *)&sa), 0);
		assert_string_equal(address_port_format(&back).text, table[i].text);
	}
}

static void an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_address(void **state)
{
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	struct address_port ap;

	(void)state;
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &ipv6.sin6_addr);
	assert_int_equal(address_port_from_sockaddr(&ap, (const struct sockaddr *)&ipv6), 0);
	assert_true(address_is_ipv4(&ap.address));
	assert_string_equal(address_port_format(&ap).text, "192.0.2.7:7");
}

static void another_family_is_refused(void **state)
{
	struct sockaddr sa = {.sa_family = AF_UNIX};
	struct address_port ap;

	(void)state;
	assert_int_equal(address_port_from_sockaddr(&ap, &sa), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(what_is_not_exactly_an_address_is_refused),
		cmocka_unit_test(loopback_is_this_machine),
		cmocka_unit_test(addresses_with_port_are_read_and_written),
		cmocka_unit_test(what_is_not_exactly_address_and_port_is_refused),
		cmocka_unit_test(prefixes_are_read),
		cmocka_unit_test(what_is_not_exactly_a_prefix_is_refused),
		cmocka_unit_test(a_prefix_contains_what_begins_with_it),
		cmocka_unit_test(socket_addresses_go_both_ways),
		cmocka_unit_test(an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_address),
		cmocka_unit_test(another_family_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
