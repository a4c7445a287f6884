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

#include "base/clock.h"
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

/* --- prefixes --- */

static void admission(struct bench *bench, const char *const *allow, const char *const *deny)
{
	struct prefix allowed[4], denied[4];
	struct config_admission config = {.allow = allowed, .deny = denied};
	struct why why = {""};

	for (; allow && allow[config.nallow]; config.nallow++)
		assert_int_equal(prefix_parse(allow[config.nallow], &allowed[config.nallow]), 0);
	for (; deny && deny[config.ndeny]; config.ndeny++)
		assert_int_equal(prefix_parse(deny[config.ndeny], &denied[config.ndeny]), 0);
	if (admission_map_set(bench->programs.maps.admission, &config, &why))
		fail_msg("%s", why.text);
	bench->settings.admission = config.nallow || config.ndeny;
	bench_settings(bench);
}

static bool may_send(struct bench *bench, const char *source)
{
	struct packet_plan plan = {.source = source,
		.destination = strchr(source, ':') ? SERVER6 : SERVER4,
		.protocol = IPPROTO_UDP};

	return admitted(bench, &plan) == XDP_PASS;
}

static void the_longest_prefix_decides_who_may_send(void **state)
{
	static const char *const deny[] = {"10.0.0.0/8", "2001:db8:66::/48", NULL};
	static const char *const within[] = {"10.1.0.0/16", "10.1.2.0/24", NULL};
	static const char *const but[] = {"10.1.2.3/32", NULL};
	struct bench *bench = *state;

	assert_true(may_send(bench, "10.1.1.1"));
	admission(bench, NULL, deny);
	assert_false(may_send(bench, "10.1.1.1"));
	assert_false(may_send(bench, "2001:db8:66::1"));
	assert_true(may_send(bench, "11.1.1.1"));
	assert_true(may_send(bench, "2001:db8:67::1"));
	/* Who is not allowed may not, of both families. */
	admission(bench, within, but);
	assert_true(may_send(bench, "10.1.1.1"));
	assert_true(may_send(bench, "10.1.2.4"));
	assert_false(may_send(bench, "10.1.2.3"));
	assert_false(may_send(bench, "10.2.1.1"));
	assert_false(may_send(bench, "11.1.1.1"));
	assert_false(may_send(bench, "2001:db8:67::1"));
	/* And all of it is gone at once. */
	admission(bench, NULL, NULL);
	assert_true(may_send(bench, "2001:db8:67::1"));
	assert_true(may_send(bench, "10.1.2.3"));
	assert_int_equal(counted_source(bench, "10.1.2.3").drops[DROP_DENIED], 1);
	assert_int_equal(counted_source(bench, "10.1.1.1").drops[DROP_DENIED], 1);
}

/* --- rates and numbers --- */

static void a_source_has_so_many_syns_and_the_next_one_when_its_time_has_come(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN), ack = segment(false, TCP_ACK);
	struct packet_plan other = segment(true, TCP_SYN);
	struct source_limit limit;
	struct address address;

	bench->settings.syn_interval_ns = 3600 * NS_PER_S;
	bench->settings.syn_burst_ns = 5 * bench->settings.syn_interval_ns;
	bench_settings(bench);
	for (int i = 0; i < 5; i++)
		assert_int_equal(admitted(bench, &syn), XDP_PASS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(admitted(bench, &syn), XDP_DROP);
	/* Only SYNs, and only of this source. */
	assert_int_equal(admitted(bench, &ack), XDP_PASS);
	assert_int_equal(admitted(bench, &other), XDP_PASS);
	assert_int_equal(counted_source(bench, CLIENT4).drops[DROP_SYN_RATE], 3);
	/* An hour later. */
	address_of(CLIENT4, &address);
	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.limits, &address, &limit), 0);
	limit.full_ns -= bench->settings.syn_interval_ns;
	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.limits, &address, &limit, BPF_ANY), 0);
	assert_int_equal(admitted(bench, &syn), XDP_PASS);
	assert_int_equal(admitted(bench, &syn), XDP_DROP);
}

/* Through XDP, and through TC when that lets it pass. */
static bool opens(struct bench *bench, uint16_t port, uint8_t flags)
{
	struct packet_plan plan = segment(false, flags);

	plan.source_port = port;
	if (admitted(bench, &plan) != XDP_PASS)
		return false;
	run(bench, &plan);
	return true;
}

static void swept(struct bench *bench, uint64_t ns, uint32_t active, uint32_t opening)
{
	struct source_active found = {.swept_ns = ns, .active = active, .opening = opening};
	struct source_limit limit;
	struct address address;

	address_of(CLIENT4, &address);
	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.limits, &address, &limit), 0);
	found.attempts = limit.attempts;
	found.ended = limit.ended;
	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.actives, &address, &found, BPF_ANY), 0);
}

static void a_source_has_so_many_connections_at_a_time(void **state)
{
	struct bench *bench = *state;

	bench->settings.connections_max = 3;
	bench_settings(bench);
	for (uint16_t port = 1; port <= 3; port++)
		assert_true(opens(bench, port, TCP_SYN));
	assert_false(opens(bench, 4, TCP_SYN));
	assert_true(opens(bench, 1, TCP_ACK));
	/* One less, one more. */
	assert_true(opens(bench, 2, TCP_RST));
	assert_true(opens(bench, 4, TCP_SYN));
	assert_false(opens(bench, 5, TCP_SYN));
	/* The same numbers again: still one connection. */
	assert_true(opens(bench, 2, TCP_RST));
	assert_false(opens(bench, 5, TCP_SYN));
	/* The sweep knows better: two have gone by their timeouts. */
	swept(bench, clock_monotonic_ns(), 1, 0);
	assert_true(opens(bench, 5, TCP_SYN));
	assert_true(opens(bench, 6, TCP_SYN));
	assert_false(opens(bench, 7, TCP_SYN));
	/* An old one knows nothing. */
	swept(bench, clock_monotonic_ns() - SWEEP_STALE_NS - NS_PER_S, 100, 0);
	assert_true(opens(bench, 7, TCP_SYN));
	assert_int_equal(counted_source(bench, CLIENT4).drops[DROP_CONNECTIONS], 4);
}

/* --- XDP or TC --- */

static void where_xdp_is_not_native_tc_drops_the_same(void **state)
{
	static const char *const deny[] = {"10.1.0.0/16", NULL};
	static const struct {
		enum xdp_mode mode;
		uint8_t flags;
		int admit, steer;
	} ways[] = {
		{XDP_MODE_NATIVE, TCP_SYN, XDP_DROP, PASSED},
		{XDP_MODE_NATIVE, TCP_ACK, XDP_DROP, PASSED},
		{XDP_MODE_GENERIC, TCP_SYN, XDP_DROP, PASSED},
		{XDP_MODE_GENERIC, TCP_ACK, XDP_PASS, TC_ACT_SHOT},
		{XDP_MODE_OFF, TCP_SYN, XDP_PASS, TC_ACT_SHOT},
		{XDP_MODE_OFF, TCP_ACK, XDP_PASS, TC_ACT_SHOT},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(ways); i++) {
		struct packet_plan plan = segment(false, ways[i].flags);
		struct source_counters counters;
		int xdp;

		bench_fresh(state);
		bench->settings.xdp = ways[i].mode;
		admission(bench, NULL, deny);
		xdp = admitted(bench, &plan);
		if (xdp != ways[i].admit ||
			(xdp == XDP_PASS && run(bench, &plan).action != ways[i].steer))
			fail_msg("way %zu: XDP says %d", i, xdp);
		/* Whoever dropped it, it is counted once. */
		counters = counted_source(bench, CLIENT4);
		assert_int_equal(counters.packets, 1);
		assert_int_equal(counters.bytes, 54);
		assert_int_equal(counters.drops[DROP_DENIED], 1);
		assert_int_equal(drops_of(&counters), 1);
		assert_int_equal(counters.syns, 0);
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
		cmocka_unit_test_setup(the_longest_prefix_decides_who_may_send, bench_fresh),
		cmocka_unit_test_setup(
			a_source_has_so_many_syns_and_the_next_one_when_its_time_has_come,
			bench_fresh),
		cmocka_unit_test_setup(a_source_has_so_many_connections_at_a_time, bench_fresh),
		cmocka_unit_test_setup(where_xdp_is_not_native_tc_drops_the_same, bench_fresh),
		cmocka_unit_test_setup(the_cost_per_packet_is_told, bench_fresh),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
