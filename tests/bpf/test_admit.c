// SPDX-License-Identifier: GPL-2.0-or-later
/* The XDP program on hand-made packets, run by the kernel (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/admission_map.h"
#include "tests/support/bench.h"

#define SERVER4 "203.0.113.1"
#define SERVER6 "2001:db8:4::1"

static int admitted(struct bench *bench, const struct packet_plan *plan)
{
	return bench_run(bench, bench->programs.admit_fd, plan).action;
}

static int admitted_bytes(struct bench *bench, const struct packet_bytes *packet)
{
	return bench_run_bytes(bench, bench->programs.admit_fd, packet, NULL, 1).action;
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
		int action = admitted(*state, &rows[i].plan);
		struct source_counters counters = counted_source(*state, rows[i].plan.source);

		if (action != XDP_DROP || counters.drops[rows[i].drop] != 1 ||
			drops_of(&counters) != 1)
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
	assert_int_equal(admitted_bytes(*state, &packet), XDP_DROP);
	packet_build(&plan, &packet);
	memcpy(packet.bytes + 38, mapped, 16);
	assert_int_equal(admitted_bytes(*state, &packet), XDP_DROP);
	assert_int_equal(counted_source(*state, "2001:db8::3").drops[DROP_MARTIAN], 1);
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
		if (admitted(*state, &plans[i]) != XDP_PASS)
			fail_msg("plan %zu is dropped", i);
}

static void frames_that_are_not_ip_pass_uncounted(void **state)
{
	struct packet_bytes arp = {.bytes = {[12] = 0x08, [13] = 0x06}, .len = 42};
	struct packet_bytes small = {.bytes = {[12] = 0x81}, .len = 14};
	uint64_t before = counted_source(*state, "::").packets;

	assert_int_equal(admitted_bytes(*state, &arp), XDP_PASS);
	assert_int_equal(admitted_bytes(*state, &small), XDP_PASS);
	assert_int_equal(counted_source(*state, "::").packets, before);
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
			if (admitted_bytes(*state, &packet) != XDP_DROP)
				fail_msg("plan %zu passes with %zu bytes", i, packet.len);
	}
}

/* Not a test of speed, which is the machine's: it prints what the design counts with. */
static void the_cost_per_packet_is_told(void **state)
{
	static const int repeat = 200000;
	struct bench *bench = *state;
	struct packet_plan plan = {.source = "10.0.5.1", .destination = SERVER4, .flags = TCP_ACK};
	struct packet_plan plan6 = {
		.source = "2001:db8::6", .destination = SERVER6, .flags = TCP_ACK};
	struct packet_bytes packet;
	uint32_t ns[2];

	packet_build(&plan, &packet);
	ns[0] = bench_run_bytes(bench, bench->programs.admit_fd, &packet, NULL, repeat).ns;
	packet_build(&plan6, &packet);
	ns[1] = bench_run_bytes(bench, bench->programs.admit_fd, &packet, NULL, repeat).ns;
	printf("          admit: %u ns IPv4, %u ns IPv6\n", ns[0], ns[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_no_stack_sends_is_dropped_for_a_reason, bench_fresh),
		cmocka_unit_test_setup(mapped_addresses_on_the_wire_are_martians, bench_fresh),
		cmocka_unit_test_setup(honest_packets_pass, bench_fresh),
		cmocka_unit_test_setup(frames_that_are_not_ip_pass_uncounted, bench_fresh),
		cmocka_unit_test_setup(a_packet_cut_anywhere_is_dropped, bench_fresh),
		cmocka_unit_test_setup(the_cost_per_packet_is_told, bench_fresh),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
