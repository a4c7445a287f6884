// SPDX-License-Identifier: GPL-2.0-or-later
/* The XDP program on hand-made packets, run by the kernel (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bpf/parse.h"
#include "kernel/programs.h"
#include "tests/support/packet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SERVER4	     "203.0.113.1"
#define SERVER6	     "2001:db8:4::1"

static int setup(void **state)
{
	static struct programs programs;
	const struct config_datapath config = {
		.max_sources = 4096, .max_flows = 64, .max_endpoints = 64};
	struct why why = {""};

	if (programs_load(&programs, &config, NULL, false, &why) < 0)
		fail_msg("%s", why.text);
	*state = &programs;
	return 0;
}

static int teardown(void **state)
{
	programs_free(*state);
	return 0;
}

static int run_bytes(
	struct programs *programs, const struct packet_bytes *packet, int repeat, uint32_t *ns)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->bytes,
		.data_size_in = (uint32_t)packet->len, .repeat = repeat);

	if (bpf_prog_test_run_opts(programs->account_fd, &options) < 0)
		fail_msg("test run: %s", strerror(errno));
	if (ns)
		*ns = options.duration;
	return (int)options.retval;
}

static int run(struct programs *programs, const struct packet_plan *plan)
{
	struct packet_bytes packet;

	packet_build(plan, &packet);
	return run_bytes(programs, &packet, 1, NULL);
}

static struct source_counters counted(struct programs *programs, const char *source)
{
	struct source_counters each[1024], sum = {0};
	struct address address;

	memset(each, 0, sizeof(each));
	assert_int_equal(address_parse(source, &address), 0);
	bpf_map_lookup_elem(programs->maps.sources, &address, each);
	for (size_t cpu = 0; cpu < COUNT(each); cpu++) {
		sum.packets += each[cpu].packets;
		sum.bytes += each[cpu].bytes;
		sum.syns += each[cpu].syns;
		for (int drop = 0; drop < DROP_COUNT; drop++)
			sum.drops[drop] += each[cpu].drops[drop];
	}
	return sum;
}

static uint64_t drops(const struct source_counters *counters)
{
	uint64_t sum = 0;

	for (int drop = 0; drop < DROP_COUNT; drop++)
		sum += counters->drops[drop];
	return sum;
}

static void each_source_is_counted_apart(void **state)
{
	struct packet_plan one = {.source = "10.0.0.1",
		.destination = SERVER4,
		.flags = TCP_SYN,
		.destination_port = 443};
	struct packet_plan two = {.source = "2001:db8::2",
		.destination = SERVER6,
		.flags = TCP_ACK,
		.destination_port = 443,
		.payload = 100};
	struct source_counters counters;

	assert_int_equal(run(*state, &one), XDP_PASS);
	one.flags = TCP_ACK;
	one.payload = 46;
	assert_int_equal(run(*state, &one), XDP_PASS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(run(*state, &two), XDP_PASS);
	counters = counted(*state, "10.0.0.1");
	assert_int_equal(counters.packets, 2);
	assert_int_equal(counters.bytes, 14 + 20 + 20 + 14 + 20 + 20 + 46);
	assert_int_equal(counters.syns, 1);
	assert_int_equal(drops(&counters), 0);
	counters = counted(*state, "2001:db8::2");
	assert_int_equal(counters.packets, 3);
	assert_int_equal(counters.bytes, 3 * (14 + 40 + 20 + 100));
	assert_int_equal(counters.syns, 0);
}

static void what_is_no_tcp_is_counted_too(void **state)
{
	struct packet_plan plan = {
		.source = "10.0.0.2", .destination = SERVER4, .protocol = IPPROTO_UDP};

	assert_int_equal(run(*state, &plan), XDP_PASS);
	plan.vlans = 2;
	plan.vlan = 5;
	assert_int_equal(run(*state, &plan), XDP_PASS);
	plan.fragment = 0x2000;
	assert_int_equal(run(*state, &plan), XDP_PASS);
	assert_int_equal(counted(*state, "10.0.0.2").packets, 3);
	assert_int_equal(counted(*state, "10.0.0.2").syns, 0);
}

struct row {
	const char *name;
	struct packet_plan plan;
	enum drop drop;
};

static const struct row rows[] = {
	{"IP length beyond the frame",
		{.source = "10.0.1.1", .destination = SERVER4, .bad_length = true}, DROP_MALFORMED},
	{"IPv6 length beyond the frame",
		{.source = "2001:db8::1:1", .destination = SERVER6, .bad_length = true},
		DROP_MALFORMED},
	{"version 5 as IPv4", {.source = "10.0.1.2", .destination = SERVER4, .version = 5},
		DROP_MALFORMED},
	{"TCP header longer than its packet",
		{.source = "10.0.1.3", .destination = SERVER4, .flags = TCP_ACK, .tcp_offset = 15},
		DROP_MALFORMED},
	{"TCP header shorter than any",
		{.source = "10.0.1.4", .destination = SERVER4, .flags = TCP_ACK, .tcp_offset = 4},
		DROP_MALFORMED},
	{"from loopback", {.source = "127.0.0.9", .destination = SERVER4, .flags = TCP_SYN},
		DROP_MARTIAN},
	{"from a group", {.source = "224.0.0.9", .destination = SERVER4, .flags = TCP_SYN},
		DROP_MARTIAN},
	{"from everybody", {.source = "255.255.255.255", .destination = SERVER4, .flags = TCP_SYN},
		DROP_MARTIAN},
	{"from ::1", {.source = "::1", .destination = SERVER6, .flags = TCP_SYN}, DROP_MARTIAN},
	{"from a group, IPv6", {.source = "ff02::9", .destination = SERVER6, .flags = TCP_SYN},
		DROP_MARTIAN},
	{"SYN and FIN", {.source = "10.0.1.5", .destination = SERVER4, .flags = TCP_SYN | TCP_FIN},
		DROP_FLAGS},
	{"SYN and RST", {.source = "10.0.1.6", .destination = SERVER4, .flags = TCP_SYN | TCP_RST},
		DROP_FLAGS},
	{"no flags", {.source = "10.0.1.7", .destination = SERVER4}, DROP_FLAGS},
};

static void what_no_stack_sends_is_dropped_for_a_reason(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		int action = run(*state, &rows[i].plan);
		struct source_counters counters = counted(*state, rows[i].plan.source);

		if (action != XDP_DROP || counters.drops[rows[i].drop] != 1 ||
			drops(&counters) != 1)
			fail_msg("%s: action %d, %llu drops for the reason expected", rows[i].name,
				action, counters.drops[rows[i].drop]);
	}
}

/* An IPv6 packet from ::ffff:10.0.2.1 must not count as 10.0.2.1. */
static void mapped_addresses_on_the_wire_are_martians(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [14] = 2, [15] = 1};
	struct packet_plan plan = {
		.source = "2001:db8::3", .destination = SERVER6, .flags = TCP_SYN};
	struct packet_bytes packet;

	packet_build(&plan, &packet);
	memcpy(packet.bytes + 22, mapped, 16);
	assert_int_equal(run_bytes(*state, &packet, 1, NULL), XDP_DROP);
	packet_build(&plan, &packet);
	memcpy(packet.bytes + 38, mapped, 16);
	assert_int_equal(run_bytes(*state, &packet, 1, NULL), XDP_DROP);
	assert_int_equal(counted(*state, "2001:db8::3").drops[DROP_MARTIAN], 1);
}

static void honest_packets_pass(void **state)
{
	static const struct packet_plan plans[] = {
		{.source = "0.0.0.0", .destination = "255.255.255.255", .protocol = IPPROTO_UDP},
		{.source = "::", .destination = "ff02::1", .protocol = IPPROTO_ICMPV6},
		{.source = "fe80::1", .destination = "ff02::2", .protocol = IPPROTO_ICMPV6},
		{.source = "10.0.3.1", .destination = SERVER4, .flags = TCP_SYN | 0xc0},
		{.source = "10.0.3.1", .destination = SERVER4, .flags = TCP_RST},
		{.source = "10.0.3.1",
			.destination = SERVER4,
			.flags = TCP_ACK | 0x20,
			.tcp_options = 40,
			.ip_options = 40},
		{.source = "2001:db8::4",
			.destination = SERVER6,
			.flags = TCP_SYN,
			.extensions = 6},
		{.source = "2001:db8::4",
			.destination = SERVER6,
			.flags = TCP_SYN,
			.extensions = 7},
		{.source = "10.0.3.1",
			.destination = SERVER4,
			.flags = TCP_SYN,
			.fragment = 0x2000},
	};

	for (size_t i = 0; i < COUNT(plans); i++)
		if (run(*state, &plans[i]) != XDP_PASS)
			fail_msg("plan %zu is dropped", i);
}

static void frames_that_are_not_ip_pass_uncounted(void **state)
{
	struct packet_bytes arp = {.bytes = {[12] = 0x08, [13] = 0x06}, .len = 42};
	struct packet_bytes small = {.bytes = {[12] = 0x81}, .len = 14};
	uint64_t before = counted(*state, "::").packets;

	assert_int_equal(run_bytes(*state, &arp, 1, NULL), XDP_PASS);
	assert_int_equal(run_bytes(*state, &small, 1, NULL), XDP_PASS);
	assert_int_equal(counted(*state, "::").packets, before);
}

/* Whatever the length: no verdict but pass or drop, and cut headers are dropped. */
static void a_packet_cut_anywhere_is_dropped(void **state)
{
	static const struct packet_plan plans[] = {
		{.source = "10.0.4.1", .destination = SERVER4, .flags = TCP_SYN},
		{.source = "2001:db8::5",
			.destination = SERVER6,
			.flags = TCP_SYN,
			.extensions = 3},
	};

	for (size_t i = 0; i < COUNT(plans); i++) {
		struct packet_bytes packet;
		size_t whole;

		packet_build(&plans[i], &packet);
		whole = packet.len;
		for (packet.len = 15; packet.len < whole; packet.len++)
			if (run_bytes(*state, &packet, 1, NULL) != XDP_DROP)
				fail_msg("plan %zu passes with %zu bytes", i, packet.len);
	}
}

/* Not a test of speed, which is the machine's: it prints what the design counts with. */
static void the_cost_per_packet_is_told(void **state)
{
	static const int repeat = 200000;
	struct packet_plan plan = {.source = "10.0.5.1", .destination = SERVER4, .flags = TCP_ACK};
	struct packet_plan plan6 = {
		.source = "2001:db8::6", .destination = SERVER6, .flags = TCP_ACK};
	struct packet_bytes packet;
	uint32_t ns4, ns6;

	packet_build(&plan, &packet);
	run_bytes(*state, &packet, repeat, &ns4);
	packet_build(&plan6, &packet);
	run_bytes(*state, &packet, repeat, &ns6);
	printf("          account: %u ns IPv4, %u ns IPv6\n", ns4, ns6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_source_is_counted_apart),
		cmocka_unit_test(what_is_no_tcp_is_counted_too),
		cmocka_unit_test(what_no_stack_sends_is_dropped_for_a_reason),
		cmocka_unit_test(mapped_addresses_on_the_wire_are_martians),
		cmocka_unit_test(honest_packets_pass),
		cmocka_unit_test(frames_that_are_not_ip_pass_uncounted),
		cmocka_unit_test(a_packet_cut_anywhere_is_dropped),
		cmocka_unit_test(the_cost_per_packet_is_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
