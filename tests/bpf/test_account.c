// SPDX-License-Identifier: GPL-2.0-or-later
/* What is counted of a source and followed of its connections, on hand-made packets that the TC
 * programs are given by the kernel (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/support/bench.h"

static void reply(struct bench *bench, const struct packet_plan *plan)
{
	assert_int_equal(bench_run(bench, bench->programs.reply_fd, plan).action, PASSED);
}

/* --- packets and bytes --- */

static void each_source_is_counted_apart(void **state)
{
	struct packet_plan one = segment(false, TCP_SYN), two = segment(true, TCP_ACK);
	struct source_counters counters;

	run(*state, &one);
	one.flags = TCP_ACK;
	one.payload = 46;
	run(*state, &one);
	two.payload = 100;
	for (int i = 0; i < 3; i++)
		run(*state, &two);
	counters = counted_source(*state, CLIENT4);
	assert_int_equal(counters.packets, 2);
	assert_int_equal(counters.bytes, 14 + 20 + 20 + 14 + 20 + 20 + 46);
	assert_int_equal(counters.syns, 1);
	assert_int_equal(drops_of(&counters), 0);
	counters = counted_source(*state, CLIENT6);
	assert_int_equal(counters.packets, 3);
	assert_int_equal(counters.bytes, 3 * (14 + 40 + 20 + 100));
	assert_int_equal(counters.syns, 0);
}

static void whatever_its_shape_a_packet_is_counted_once(void **state)
{
	static const struct packet_plan plans[] = {
		{.source = CLIENT4, .destination = OTHER4, .protocol = IPPROTO_UDP},
		{.source = CLIENT4, .destination = OTHER4, .protocol = IPPROTO_ICMP},
		{.source = CLIENT4, .destination = OTHER4, .flags = TCP_ACK, .ip_options = 40},
		{.source = CLIENT4, .destination = OTHER4, .flags = TCP_ACK, .vlans = 1, .vlan = 7},
		{.source = CLIENT4, .destination = OTHER4, .flags = TCP_ACK, .vlans = 2, .vlan = 7},
		{.source = CLIENT4, .destination = OTHER4, .flags = TCP_ACK, .fragment = 0x2000},
		{.source = CLIENT4, .destination = OTHER4, .fragment = 100},
		{.source = CLIENT4, .destination = OTHER4, .protocol = 132},
		{.source = CLIENT6, .destination = OTHER6, .protocol = IPPROTO_UDP},
		{.source = CLIENT6, .destination = OTHER6, .flags = TCP_ACK, .extensions = 6},
		{.source = CLIENT6, .destination = OTHER6, .flags = TCP_ACK, .extensions = 9},
		{.source = CLIENT6, .destination = OTHER6, .flags = TCP_ACK, .fragment = 1},
		{.source = CLIENT6, .destination = OTHER6, .fragment = 800},
		{.source = CLIENT6, .destination = OTHER6, .flags = TCP_ACK, .vlans = 2},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(plans); i++) {
		struct packet_bytes packet;
		struct source_counters counters;

		bench_fresh(state);
		packet_build(&plans[i], &packet);
		run(bench, &plans[i]);
		counters = counted_source(bench, plans[i].source);
		if (counters.packets != 1 || counters.bytes != packet.len || counters.syns ||
			drops_of(&counters))
			fail_msg("plan %zu: %llu packets, %llu bytes of %zu", i, counters.packets,
				counters.bytes, packet.len);
	}
}

/* What GRO merged, or a device that segments will take apart. */
static void a_merged_packet_counts_as_its_segments(void **state)
{
	static const struct {
		const char *name;
		struct __sk_buff skb;
		uint64_t packets;
	} rows[] = {
		{"not merged", {.ifindex = 1}, 1},
		{"told how many", {.ifindex = 1, .gso_segs = 3, .gso_size = 500}, 3},
		{"told how long alone", {.ifindex = 1, .gso_size = 500}, 3},
		{"one segment", {.ifindex = 1, .gso_segs = 1, .gso_size = 1400}, 1},
	};
	struct bench *bench = *state;
	struct packet_plan in = segment(false, TCP_ACK), out = segment_back(false, TCP_ACK);
	struct packet_bytes packet;

	in.payload = out.payload = 1400;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t bytes = 54 * rows[i].packets + 1400;
		struct source_counters counters;

		bench_fresh(state);
		packet_build(&in, &packet);
		bench_run_bytes(bench, bench->programs.steer_fd, &packet, &rows[i].skb, 1);
		packet_build(&out, &packet);
		bench_run_bytes(bench, bench->programs.reply_fd, &packet, &rows[i].skb, 1);
		counters = counted_source(bench, CLIENT4);
		if (counters.packets != rows[i].packets || counters.bytes != bytes ||
			counters.packets_to != rows[i].packets || counters.bytes_to != bytes)
			fail_msg("%s: %llu packets, %llu bytes; back %llu, %llu", rows[i].name,
				counters.packets, counters.bytes, counters.packets_to,
				counters.bytes_to);
	}
}

static void what_goes_back_is_counted_with_whom_it_goes_to(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(true, TCP_SYN), back = segment_back(true, TCP_SYN | TCP_ACK);
	struct packet_plan datagram = {
		.source = OTHER6, .destination = CLIENT6, .protocol = IPPROTO_UDP};
	struct source_counters counters;

	/* Who never sent anything is no source. */
	reply(bench, &back);
	assert_int_equal(counted_source(bench, CLIENT6).packets_to, 0);
	run(bench, &syn);
	reply(bench, &back);
	reply(bench, &datagram);
	counters = counted_source(bench, CLIENT6);
	assert_int_equal(counters.packets, 1);
	assert_int_equal(counters.packets_to, 2);
	assert_int_equal(counters.bytes_to, 14 + 40 + 20 + 14 + 40 + 8);
	assert_int_equal(counted_source(bench, ENDPOINT6).packets, 0);
}

static void what_is_steered_is_told_apart(void **state)
{
	struct packet_plan steered = segment(false, TCP_SYN), passed = steered;
	struct source_counters counters;

	passed.destination = OTHER4;
	run(*state, &steered);
	run(*state, &passed);
	steered.flags = passed.flags = TCP_ACK;
	steered.payload = passed.payload = 10;
	run(*state, &steered);
	run(*state, &passed);
	run(*state, &passed);
	counters = counted_source(*state, CLIENT4);
	assert_int_equal(counters.packets, 5);
	assert_int_equal(counters.steered, 1);
	assert_int_equal(counters.passed, 1);
	assert_int_equal(counters.steered_packets, 2);
	assert_int_equal(counters.steered_bytes, 54 + 64);
}

/* --- connections --- */

static void a_syn_sent_again_is_counted_apart(void **state)
{
	struct packet_plan steered = segment(false, TCP_SYN), passed = segment(true, TCP_SYN);
	struct source_counters counters;

	passed.destination = OTHER6;
	for (int i = 0; i < 3; i++) {
		run(*state, &steered);
		run(*state, &passed);
	}
	counters = counted_source(*state, CLIENT4);
	assert_int_equal(counters.syns, 1);
	assert_int_equal(counters.syns_again, 2);
	assert_int_equal(counters.steered, 1);
	counters = counted_source(*state, CLIENT6);
	assert_int_equal(counters.syns, 1);
	assert_int_equal(counters.syns_again, 2);
	assert_int_equal(counters.passed, 1);
	/* With another number it is another connection. */
	steered.sequence++;
	run(*state, &steered);
	assert_int_equal(counted_source(*state, CLIENT4).syns, 2);
}

/* A step of a connection's life: a segment of the client's (or the server's), and what is known of
 * it afterwards. */
struct step {
	bool server;
	uint8_t flags;
	enum flow_state state;
	unsigned opened, closed, resets;
};

static void live(struct bench *bench, const char *name, const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct packet_plan plan = steps[i].server ? segment_back(false, steps[i].flags)
							  : segment(false, steps[i].flags);
		struct source_counters counters;
		enum flow_state now;

		if (steps[i].server)
			reply(bench, &plan);
		else
			run(bench, &plan);
		counters = counted_source(bench, CLIENT4);
		now = flow_state(only_flow(bench).marks);
		if (now != steps[i].state || counters.opened != steps[i].opened ||
			counters.closed != steps[i].closed || counters.resets != steps[i].resets)
			fail_msg("%s, step %zu: state %d, %llu opened, %llu closed, %llu reset",
				name, i, now, counters.opened, counters.closed, counters.resets);
	}
}

#define LIFE(...)                                                                                  \
	do {                                                                                       \
		static const struct step steps[] = {__VA_ARGS__};                                  \
		bench_fresh(state);                                                                \
		live(*state, #__VA_ARGS__, steps, COUNT(steps));                                   \
	} while (0)

static void a_connection_is_followed_from_its_syn_to_its_end(void **state)
{
	/* The client closes first; what comes late changes nothing. */
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0},
		{true, TCP_SYN | TCP_ACK, FLOW_OPENING, 0, 0, 0},
		{false, TCP_ACK, FLOW_OPEN, 1, 0, 0}, {false, TCP_ACK, FLOW_OPEN, 1, 0, 0},
		{true, TCP_ACK, FLOW_OPEN, 1, 0, 0},
		{false, TCP_ACK | TCP_FIN, FLOW_CLOSING, 1, 0, 0},
		{false, TCP_ACK | TCP_FIN, FLOW_CLOSING, 1, 0, 0},
		{true, TCP_ACK | TCP_FIN, FLOW_CLOSED, 1, 1, 0},
		{true, TCP_ACK | TCP_FIN, FLOW_CLOSED, 1, 1, 0},
		{false, TCP_ACK, FLOW_CLOSED, 1, 1, 0}, {false, TCP_RST, FLOW_CLOSED, 1, 1, 0});
	/* The server does. */
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0}, {false, TCP_ACK, FLOW_OPEN, 1, 0, 0},
		{true, TCP_ACK | TCP_FIN, FLOW_CLOSING, 1, 0, 0},
		{false, TCP_ACK | TCP_FIN, FLOW_CLOSED, 1, 1, 0});
	/* The answer comes another way: its half is not seen. */
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0}, {false, TCP_ACK, FLOW_OPEN, 1, 0, 0},
		{false, TCP_ACK | TCP_FIN, FLOW_CLOSING, 1, 0, 0});
	/* Resets, from either side, of a connection that is open, closing, or never was. */
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0}, {false, TCP_ACK, FLOW_OPEN, 1, 0, 0},
		{false, TCP_RST | TCP_ACK, FLOW_CLOSED, 1, 0, 1},
		{true, TCP_RST, FLOW_CLOSED, 1, 0, 1});
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0}, {false, TCP_ACK, FLOW_OPEN, 1, 0, 0},
		{false, TCP_ACK | TCP_FIN, FLOW_CLOSING, 1, 0, 0},
		{true, TCP_RST, FLOW_CLOSED, 1, 0, 1});
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0},
		{true, TCP_RST | TCP_ACK, FLOW_CLOSED, 0, 0, 1});
	/* The same numbers used again begin a new one, even with the same sequence number. */
	LIFE({false, TCP_SYN, FLOW_OPENING, 0, 0, 0},
		{true, TCP_RST | TCP_ACK, FLOW_CLOSED, 0, 0, 1},
		{false, TCP_SYN, FLOW_OPENING, 0, 0, 1}, {false, TCP_ACK, FLOW_OPEN, 1, 0, 1});
}

static void a_connection_that_was_there_before_us_is_none_of_ours(void **state)
{
	struct bench *bench = *state;
	struct packet_plan data = segment(false, TCP_ACK);
	struct flow_key key;

	data.payload = 100;
	assert_int_equal(run(bench, &data).mark, 0);
	assert_int_not_equal(bpf_map_get_next_key(bench->programs.maps.flows, NULL, &key), 0);
	assert_int_equal(counted_source(bench, CLIENT4).opened, 0);
}

#define FRESH(test) cmocka_unit_test_setup(test, bench_fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(each_source_is_counted_apart),
		FRESH(whatever_its_shape_a_packet_is_counted_once),
		FRESH(a_merged_packet_counts_as_its_segments),
		FRESH(what_goes_back_is_counted_with_whom_it_goes_to),
		FRESH(what_is_steered_is_told_apart),
		FRESH(a_syn_sent_again_is_counted_apart),
		FRESH(a_connection_is_followed_from_its_syn_to_its_end),
		FRESH(a_connection_that_was_there_before_us_is_none_of_ours),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
