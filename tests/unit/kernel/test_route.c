// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/endpoint_map.h"
#include "kernel/route.h"

static const struct route route = {.inside = "eth0", .mark = 0x5a11, .table = 5111};

static void a_rule_names_interface_mark_and_table(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct rtattr *attributes[FRA_MAX + 1];
		struct netlink_request request;
		const struct fib_rule_hdr *fixed;

		route_build_rule(&request, &route, families[i], RTM_NEWRULE, NLM_F_CREATE);
		fixed = NLMSG_DATA(&request.header);
		netlink_attributes(&request.header, sizeof(*fixed), attributes, FRA_MAX);
		assert_int_equal(request.header.nlmsg_type, RTM_NEWRULE);
		assert_int_equal(request.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
		assert_int_equal(fixed->family, families[i]);
		assert_int_equal(fixed->action, FR_ACT_TO_TBL);
		assert_string_equal(RTA_DATA(attributes[FRA_IIFNAME]), "eth0");
		assert_int_equal(netlink_u32(attributes[FRA_FWMARK]), 0x5a11);
		assert_int_equal(netlink_u32(attributes[FRA_FWMASK]), UINT32_MAX);
		assert_int_equal(netlink_u32(attributes[FRA_TABLE]), 5111);
		assert_int_equal(netlink_u32(attributes[FRA_PRIORITY]), ROUTE_PRIORITY);
		assert_int_equal(netlink_u8(attributes[FRA_PROTOCOL]), ROUTE_PROTOCOL);
	}
}

static void the_route_is_local_to_everything(void **state)
{
	const struct rtattr *attributes[RTA_MAX + 1];
	struct netlink_request request;
	const struct rtmsg *fixed;

	(void)state;
	route_build_local(&request, &route, AF_INET6, 1, RTM_NEWROUTE, NLM_F_REPLACE);
	fixed = NLMSG_DATA(&request.header);
	netlink_attributes(&request.header, sizeof(*fixed), attributes, RTA_MAX);
	assert_int_equal(fixed->rtm_family, AF_INET6);
	assert_int_equal(fixed->rtm_type, RTN_LOCAL);
	assert_int_equal(fixed->rtm_scope, RT_SCOPE_HOST);
	assert_int_equal(fixed->rtm_dst_len, 0);
	assert_int_equal(fixed->rtm_protocol, ROUTE_PROTOCOL);
	assert_int_equal(netlink_u32(attributes[RTA_TABLE]), 5111);
	assert_int_equal(netlink_u32(attributes[RTA_OIF]), 1);
}

static void a_request_takes_no_more_than_it_holds(void **state)
{
	const struct rtmsg fixed = {0};
	char large[NETLINK_REQUEST_MAX];
	struct netlink_request request;
	unsigned taken = 0;

	(void)state;
	memset(large, 0, sizeof(large));
	netlink_start(&request, RTM_NEWROUTE, 0, &fixed, sizeof(fixed));
	assert_int_equal(netlink_add(&request, 1, large, sizeof(large)), -EMSGSIZE);
	assert_int_equal(netlink_add(&request, 1, large, SIZE_MAX), -EMSGSIZE);
	while (netlink_add_u32(&request, 1, 7) == 0)
		taken++;
	assert_in_range(taken, 1, NETLINK_REQUEST_MAX / 8);
	assert_true(request.header.nlmsg_len <= NETLINK_REQUEST_MAX);
}

static void broken_attributes_end_the_list(void **state)
{
	const struct rtattr *attributes[RTA_MAX + 1];
	const struct rtmsg fixed = {0};
	struct netlink_request request;
	struct rtattr *second;

	(void)state;
	for (unsigned length = 0; length < 64; length++) {
		netlink_start(&request, RTM_NEWROUTE, 0, &fixed, sizeof(fixed));
		netlink_add_u32(&request, RTA_TABLE, 5);
		second = (void *)(request.memory + request.header.nlmsg_len);
		netlink_add_u32(&request, RTA_OIF, 6);
		second->rta_len = (unsigned short)length;
		netlink_attributes(&request.header, sizeof(fixed), attributes, RTA_MAX);
		assert_int_equal(netlink_u32(attributes[RTA_TABLE]), 5);
		/* Only 4 to 8 bytes fit; the value needs 8. */
		assert_true((attributes[RTA_OIF] != NULL) == (length >= 4 && length <= 8));
		assert_int_equal(netlink_u32(attributes[RTA_OIF]), length == 8 ? 6 : 0);
	}
}

static void endpoints_are_addresses_that_a_service_can_have(void **state)
{
	static const char *const yes[] = {
		"20.1.2.3", "10.0.0.5", "192.168.1.1", "100.64.0.1", "2603:1030::1", "fd00::5"};
	static const char *const no[] = {"0.0.0.0", "0.1.2.3", "127.0.0.53", "169.254.169.254",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "febf::1",
		"ff02::1"};
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		assert_int_equal(address_parse(yes[i], &address), 0);
		if (!endpoint_address_usable(&address))
			fail_msg("%s is refused", yes[i]);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		assert_int_equal(address_parse(no[i], &address), 0);
		if (endpoint_address_usable(&address))
			fail_msg("%s is taken", no[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_names_interface_mark_and_table),
		cmocka_unit_test(the_route_is_local_to_everything),
		cmocka_unit_test(a_request_takes_no_more_than_it_holds),
		cmocka_unit_test(broken_attributes_end_the_list),
		cmocka_unit_test(endpoints_are_addresses_that_a_service_can_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
