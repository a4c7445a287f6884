// SPDX-License-Identifier: GPL-2.0-or-later
/* The guard on hand-made packets on their way out, run by the kernel (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/support/bench.h"

#define BESIDE_IFINDEX 1 /* what they came by: lo, which is there, and is not datapath.inside */

#define TCP4 .source = CLIENT4, .source_port = 40000, .destination_port = 443, .sequence = 1
#define TCP6 .source = CLIENT6, .source_port = 40000, .destination_port = 443, .sequence = 1

static const struct row {
	const char *name;
	struct packet_plan plan;
	int action;
} rows[] = {
	{"SYN to an endpoint", {TCP4, .destination = ENDPOINT4, .flags = TCP_SYN}, TC_ACT_REDIRECT},
	{"IPv6", {TCP6, .destination = ENDPOINT6, .flags = TCP_SYN}, TC_ACT_REDIRECT},
	{"into a prefix", {TCP6, .destination = PREFIXED6, .flags = TCP_SYN}, TC_ACT_REDIRECT},
	{"a later segment", {TCP4, .destination = ENDPOINT4, .flags = TCP_ACK, .payload = 100},
		TC_ACT_REDIRECT},
	{"a reset is not answered", {TCP4, .destination = ENDPOINT4, .flags = TCP_RST},
		TC_ACT_SHOT},
	{"behind extension headers",
		{TCP6, .destination = ENDPOINT6, .flags = TCP_SYN, .extensions = 3}, TC_ACT_SHOT},
	{"somebody else", {TCP4, .destination = OTHER4, .flags = TCP_SYN}, PASSED},
	{"another port",
		{.source = CLIENT4,
			.source_port = 40000,
			.destination_port = 80,
			.destination = ENDPOINT4,
			.flags = TCP_SYN},
		PASSED},
	{"an answer of an endpoint",
		{.source = ENDPOINT4,
			.source_port = 443,
			.destination_port = 40000,
			.destination = CLIENT4,
			.flags = TCP_ACK},
		PASSED},
	{"ping", {TCP4, .destination = ENDPOINT4, .protocol = IPPROTO_ICMP}, PASSED},
	{"ping, IPv6", {TCP6, .destination = ENDPOINT6, .protocol = IPPROTO_ICMPV6}, PASSED},
	{"a fragment", {TCP4, .destination = ENDPOINT4, .flags = TCP_ACK, .fragment = 0x0010},
		PASSED},
};

static struct run guard_run(
	struct bench *bench, const struct packet_plan *plan, uint32_t ingress, uint32_t mark)
{
	const struct __sk_buff skb = {.ingress_ifindex = ingress, .mark = mark};
	struct packet_bytes packet;

	packet_build(plan, &packet);
	return bench_run_bytes(bench, bench->programs.guard_fd, &packet, &skb, 1);
}

static struct beside beside_of(struct bench *bench)
{
	const uint32_t key = BESIDE_IFINDEX;
	struct beside beside = {0};

	(void)bpf_map_lookup_elem(bench->programs.maps.beside_interfaces, &key, &beside);
	return beside;
}

static void what_goes_to_endpoints_beside_the_gate_is_refused(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t before = counted(bench, OUTCOME_BESIDE_REFUSED);
		uint64_t refused = beside_of(bench).refused, n = rows[i].action != PASSED;
		struct run result = guard_run(bench, &rows[i].plan, BESIDE_IFINDEX, 0);

		if (result.action != rows[i].action)
			fail_msg("%s: action %d", rows[i].name, result.action);
		if (counted(bench, OUTCOME_BESIDE_REFUSED) != before + n ||
			beside_of(bench).refused != refused + n)
			fail_msg("%s: not counted as expected", rows[i].name);
		/* What the appliance sends itself. */
		if (guard_run(bench, &rows[i].plan, 0, 0).action != PASSED)
			fail_msg("%s: of the appliance itself", rows[i].name);
	}
}

static void where_it_fails_open_it_passes_and_is_counted_once(void **state)
{
	const struct endpoint endpoint = {.source = ENDPOINT_RESOLVED, .fail = FAIL_OPEN};
	const struct packet_plan syn = {TCP4, .destination = ENDPOINT4, .flags = TCP_SYN};
	struct bench *bench = *state;
	struct address address;
	struct run result;

	address_of(ENDPOINT4, &address);
	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.endpoints, &address, &endpoint, 0), 0);
	result = guard_run(bench, &syn, BESIDE_IFINDEX, 0);
	assert_int_equal(result.action, PASSED);
	assert_int_equal(result.mark, MARK_BESIDE(MARK));
	assert_int_equal(beside_of(bench).passed, 1);
	/* The interface below the one it left by. */
	assert_int_equal(guard_run(bench, &syn, BESIDE_IFINDEX, result.mark).action, PASSED);
	assert_int_equal(beside_of(bench).passed, 1);
	/* The gate's own mark is no pass for what did not come by the gate. */
	result = guard_run(bench, &syn, BESIDE_IFINDEX, MARK_UNSEEN(MARK));
	assert_int_equal(beside_of(bench).passed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			what_goes_to_endpoints_beside_the_gate_is_refused, bench_fresh),
		cmocka_unit_test_setup(
			where_it_fails_open_it_passes_and_is_counted_once, bench_fresh),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
