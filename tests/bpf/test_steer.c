// SPDX-License-Identifier: GPL-2.0-or-later
/* The TC program on hand-made packets, run by the kernel (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/bench.h"

struct row {
	const char *name;
	struct packet_plan plan;
	enum outcome outcome;
	int action;
	uint32_t mark;
};

#define TCP4 .source = CLIENT4, .source_port = 40000, .destination_port = 443, .sequence = 1
#define TCP6 .source = CLIENT6, .source_port = 40000, .destination_port = 443, .sequence = 1

/* Each row begins without flows. */
static const struct row rows[] = {
	{"SYN to an endpoint", {TCP4, .destination = ENDPOINT4, .flags = TCP_SYN}, OUTCOME_OPENED,
		PASSED, MARK},
	{"SYN to an endpoint, IPv6", {TCP6, .destination = ENDPOINT6, .flags = TCP_SYN},
		OUTCOME_OPENED, PASSED, MARK},
	{"SYN with ECN flags", {TCP4, .destination = ENDPOINT4, .flags = TCP_SYN | 0xc0},
		OUTCOME_OPENED, PASSED, MARK},
	{"SYN into a prefix", {TCP4, .destination = PREFIXED4, .flags = TCP_SYN}, OUTCOME_OPENED,
		PASSED, MARK},
	{"SYN into a prefix, IPv6", {TCP6, .destination = PREFIXED6, .flags = TCP_SYN},
		OUTCOME_OPENED, PASSED, MARK},
	{"SYN with TCP and IP options",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .ip_options = 40,
			.tcp_options = 40},
		OUTCOME_OPENED, PASSED, MARK},
	{"SYN behind extension headers",
		{TCP6, .destination = ENDPOINT6, .flags = TCP_SYN, .extensions = 6}, OUTCOME_OPENED,
		PASSED, MARK},
	{"SYN in an atomic fragment (RFC 6946)",
		{TCP6, .destination = ENDPOINT6, .flags = TCP_SYN, .fragment_header = true},
		OUTCOME_OPENED, PASSED, MARK},
	{"SYN with a priority tag", {TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .vlans = 1},
		OUTCOME_OPENED, PASSED, MARK},
	{"SYN with data (TCP Fast Open)",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .payload = 500}, OUTCOME_OPENED,
		PASSED, MARK},

	{"SYN to somebody else", {TCP4, .destination = OTHER4, .flags = TCP_SYN},
		OUTCOME_NOT_ENDPOINT, PASSED, 0},
	{"SYN to somebody else, IPv6", {TCP6, .destination = OTHER6, .flags = TCP_SYN},
		OUTCOME_NOT_ENDPOINT, PASSED, 0},
	{"SYN to another port of an endpoint",
		{.source = CLIENT4,
			.source_port = 40000,
			.destination_port = 80,
			.destination = ENDPOINT4,
			.flags = TCP_SYN},
		OUTCOME_NOT_ENDPOINT, PASSED, 0},
	{"segment of an unsteered connection to an endpoint",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_ACK, .payload = 100}, OUTCOME_NO_FLOW,
		PASSED, 0},
	{"SYN-ACK to the steered port",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN | TCP_ACK}, OUTCOME_NO_FLOW,
		PASSED, 0},
	{"UDP to an endpoint", {TCP4, .destination = ENDPOINT4, .protocol = IPPROTO_UDP},
		OUTCOME_OTHER, PASSED, 0},
	{"ping of an endpoint", {TCP4, .destination = ENDPOINT4, .protocol = IPPROTO_ICMP},
		OUTCOME_OTHER, PASSED, 0},
	{"ping of an endpoint, IPv6", {TCP6, .destination = ENDPOINT6, .protocol = IPPROTO_ICMPV6},
		OUTCOME_OTHER, PASSED, 0},
	{"tagged for another interface",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .vlans = 1, .vlan = 100},
		OUTCOME_VLAN, PASSED, 0},
	{"tagged twice", {TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .vlans = 2, .vlan = 7},
		OUTCOME_VLAN, PASSED, 0},
	{"tagged three times",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .vlans = 3, .vlan = 7},
		OUTCOME_VLAN, PASSED, 0},

	{"first fragment of a long segment",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_ACK, .payload = 800,
			.fragment = 0x2000},
		OUTCOME_FRAGMENT, PASSED, 0},
	{"later fragment", {TCP4, .destination = ENDPOINT4, .flags = 0, .fragment = 100},
		OUTCOME_FRAGMENT, PASSED, 0},
	{"later fragment, IPv6", {TCP6, .destination = ENDPOINT6, .flags = 0, .fragment = 800},
		OUTCOME_FRAGMENT, PASSED, 0},
	{"fragment of a datagram",
		{TCP4, .destination = ENDPOINT4, .protocol = IPPROTO_UDP, .fragment = 0x2000},
		OUTCOME_FRAGMENT, PASSED, 0},
	{"SYN in a fragment, to somebody else",
		{TCP4, .destination = OTHER4, .flags = TCP_SYN, .fragment = 0x2000},
		OUTCOME_FRAGMENT, PASSED, 0},
	{"SYN in a fragment, to an endpoint",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .fragment = 0x2000},
		OUTCOME_DROPPED, TC_ACT_SHOT, 0},
	{"SYN in a fragment, to an endpoint, IPv6",
		{TCP6, .destination = ENDPOINT6, .flags = TCP_SYN, .fragment = 1}, OUTCOME_DROPPED,
		TC_ACT_SHOT, 0},
	{"fragment over the TCP flags",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_ACK, .fragment = 1}, OUTCOME_DROPPED,
		TC_ACT_SHOT, 0},
	{"fragment over the TCP flags, IPv6",
		{TCP6, .destination = PREFIXED6, .flags = TCP_ACK, .fragment = 8}, OUTCOME_DROPPED,
		TC_ACT_SHOT, 0},
	{"more extension headers than any stack sends",
		{TCP6, .destination = ENDPOINT6, .flags = TCP_SYN, .extensions = 7},
		OUTCOME_DROPPED, TC_ACT_SHOT, 0},

	{"IP length beyond the frame",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .bad_length = true},
		OUTCOME_UNREADABLE, PASSED, 0},
	{"TCP header longer than its packet",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .tcp_offset = 15},
		OUTCOME_UNREADABLE, PASSED, 0},
	{"TCP header shorter than any",
		{TCP6, .destination = ENDPOINT6, .flags = TCP_SYN, .tcp_offset = 4},
		OUTCOME_UNREADABLE, PASSED, 0},
	{"IP version of something else",
		{TCP4, .destination = ENDPOINT4, .flags = TCP_SYN, .version = 5},
		OUTCOME_UNREADABLE, PASSED, 0},
	{"ICMP error about nobody's connection",
		{.source = ENDPOINT4,
			.destination = CLIENT4,
			.source_port = 443,
			.destination_port = 40000,
			.flags = TCP_ACK,
			.icmp_type = 3},
		OUTCOME_OTHER, PASSED, 0},
};

static void each_packet_has_its_outcome(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t before = counted(bench, rows[i].outcome);
		struct run result;

		bench_fresh(state);
		result = run(bench, &rows[i].plan);
		if (counted(bench, rows[i].outcome) != before + 1 ||
			result.action != rows[i].action || result.mark != rows[i].mark)
			fail_msg("%s: action %d, mark %#x, %s%s", rows[i].name, result.action,
				result.mark,
				counted(bench, rows[i].outcome) == before ? "not " : "",
				"counted as expected");
	}
}

/* Truncation at every byte never steers, crashes or resets. */
static void a_packet_cut_anywhere_is_not_steered(void **state)
{
	static const bool families[] = {false, true};
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(families); i++) {
		struct packet_plan plan = segment(families[i], TCP_SYN);
		struct packet_bytes packet;

		packet_build(&plan, &packet);
		for (size_t len = 14; len < packet.len; len++) {
			struct __sk_buff after = {0};
			LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.bytes,
				.data_size_in = (uint32_t)len, .ctx_out = &after,
				.ctx_size_out = sizeof(after), .repeat = 1);

			/* The kernel itself refuses frames without a whole IP header. */
			if (bpf_prog_test_run_opts(bench->programs.steer_fd, &options) < 0)
				continue;
			if (after.mark != 0 || (int)options.retval != PASSED)
				fail_msg("%zu bytes: mark %#x, action %d", len, after.mark,
					(int)options.retval);
		}
	}
}

static void later_segments_follow_the_syn(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_plan ack = segment(ipv6, TCP_ACK), other = ack;

		open_flow(bench, ipv6);
		assert_int_equal(run(bench, &ack).mark, MARK);
		/* Another port of the same client is another connection. */
		other.source_port++;
		assert_int_equal(run(bench, &other).mark, 0);
	}
}

static void a_flow_outlives_its_endpoint(void **state)
{
	struct bench *bench = *state;
	struct packet_plan ack = segment(false, TCP_ACK);

	open_flow(bench, false);
	forget(bench, ENDPOINT4);
	assert_int_equal(run(bench, &ack).mark, MARK);
}

static void a_new_endpoint_takes_no_running_connection(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN), ack = segment(false, TCP_ACK);

	forget(bench, ENDPOINT4);
	assert_int_equal(run(bench, &syn).mark, 0);
	learn(bench, ENDPOINT4);
	assert_int_equal(run(bench, &ack).mark, 0);
}

static void a_syn_sent_again_keeps_its_decision(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN);

	open_flow(bench, false);
	forget(bench, ENDPOINT4);
	assert_int_equal(run(bench, &syn).mark, MARK);
}

static void a_new_syn_decides_anew(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN), ack = segment(false, TCP_ACK);

	open_flow(bench, false);
	forget(bench, ENDPOINT4);
	syn.sequence = 77777;
	assert_int_equal(run(bench, &syn).mark, 0);
	assert_int_equal(run(bench, &ack).mark, 0);
	learn(bench, ENDPOINT4);
	syn.sequence = 99999;
	assert_int_equal(run(bench, &syn).mark, MARK);
	assert_int_equal(run(bench, &ack).mark, MARK);
}

static void icmp_errors_follow_the_flow_they_are_about(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		/* We sent this to the client, in the server's name. */
		struct packet_plan error = {
			.source = ipv6 ? ENDPOINT6 : ENDPOINT4,
			.destination = ipv6 ? CLIENT6 : CLIENT4,
			.source_port = 443,
			.destination_port = 40000,
			.flags = TCP_ACK,
			.payload = 200,
			.icmp_type = ipv6 ? 2 : 3,
		};
		struct packet_plan reply = error, other = error;

		open_flow(bench, ipv6);
		assert_int_equal(run(bench, &error).mark, MARK);
		other.destination_port++;
		assert_int_equal(run(bench, &other).mark, 0);
		/* Only errors. */
		reply.icmp_type = ipv6 ? 129 : 8;
		assert_int_equal(run(bench, &reply).mark, 0);
	}
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The answer of RFC 9293 section 3.10.7.1 to this segment. */
static void assert_is_reset(const struct run *run, const struct packet_plan *plan)
{
	struct address destination;
	size_t ip, tcp;

	address_of(plan->destination, &destination);
	ip = address_is_ipv4(&destination) ? 20 : 40;
	tcp = 14 + ip;
	assert_int_equal(run->action, TC_ACT_REDIRECT);
	assert_int_equal(run->len, tcp + 20);
	assert_int_equal(packet_tcp_sum(run->out, run->len), 0xffff);
	/* Back to where it came from. */
	assert_int_equal(run->out[5], 2);
	assert_int_equal(run->out[11], 1);
	if (ip == 20) {
		assert_int_equal(packet_ipv4_sum(run->out), 0xffff);
		assert_memory_equal(run->out + 26, destination.bytes + 12, 4);
		assert_int_equal(run->out[14 + 2] << 8 | run->out[14 + 3], 40);
	} else {
		assert_memory_equal(run->out + 22, destination.bytes, 16);
		assert_int_equal(run->out[14 + 4] << 8 | run->out[14 + 5], 20);
	}
	assert_int_equal(run->out[tcp] << 8 | run->out[tcp + 1], plan->destination_port);
	assert_int_equal(run->out[tcp + 2] << 8 | run->out[tcp + 3], plan->source_port);
	if (plan->flags & TCP_ACK) {
		assert_int_equal(run->out[tcp + 13], TCP_RST);
		assert_int_equal(get32(run->out + tcp + 4), plan->acknowledgement);
	} else {
		assert_int_equal(run->out[tcp + 13], TCP_RST | TCP_ACK);
		assert_int_equal(get32(run->out + tcp + 8), plan->sequence + plan->payload + 1);
	}
}

static void without_a_worker_a_syn_is_reset(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_plan syn = segment(ipv6, TCP_SYN);
		struct run result;

		syn.tcp_options = 20;
		syn.payload = 33;
		slot_set(bench, ipv6, -1);
		result = run(bench, &syn);
		assert_is_reset(&result, &syn);
		assert_int_equal(result.mark, 0);
		slot_set(bench, ipv6, ipv6 ? bench->listener6 : bench->listener4);
		assert_int_equal(run(bench, &syn).mark, MARK);
	}
}

static void without_a_worker_and_socket_a_segment_is_reset(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_plan data = segment(ipv6, TCP_ACK);
		struct packet_plan reset = segment(ipv6, TCP_ACK | TCP_RST);
		struct run result;

		open_flow(bench, ipv6);
		slot_set(bench, ipv6, -1);
		/* A worker that was there is trusted for a tick. */
		usleep(400000);
		data.payload = 1400;
		data.tcp_options = 12;
		result = run(bench, &data);
		assert_is_reset(&result, &data);
		/* A reset is never answered by one. */
		result = run(bench, &reset);
		assert_int_equal(result.action, PASSED);
		assert_int_equal(result.mark, MARK);
	}
}

static void what_cannot_be_answered_is_dropped(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN);
	struct run result;

	slot_set(bench, false, -1);
	syn.ip_options = 8;
	result = run(bench, &syn);
	assert_int_equal(result.action, TC_ACT_SHOT);
}

static void resets_and_drops_are_counted_with_their_source(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN), hidden = syn;
	struct source_counters counters;

	syn.source = hidden.source = "10.9.9.9";
	slot_set(bench, false, -1);
	run(bench, &syn);
	hidden.fragment = 0x2000;
	run(bench, &hidden);
	run(bench, &hidden);
	counters = counted_source(bench, "10.9.9.9");
	assert_int_equal(counters.drops[DROP_NO_WORKER], 1);
	assert_int_equal(counters.drops[DROP_HIDDEN], 2);
}

/* Not a test of speed, which is the machine's: it prints what the design counts with. */
static void the_cost_per_packet_is_told(void **state)
{
	static const int repeat = 200000;
	struct bench *bench = *state;
	struct packet_plan ours = segment(false, TCP_ACK), ours6 = segment(true, TCP_ACK);
	struct packet_plan other = ours, web = ours, datagram = ours;

	open_flow(bench, false);
	open_flow(bench, true);
	other.destination_port = 8080;
	web.destination = OTHER4;
	datagram.protocol = IPPROTO_UDP;
	printf("          steer: %u ns UDP, %u ns another port, %u ns the port of others, "
	       "%u ns steered, %u ns steered IPv6\n",
		run_repeated(bench, &datagram, repeat).ns, run_repeated(bench, &other, repeat).ns,
		run_repeated(bench, &web, repeat).ns, run_repeated(bench, &ours, repeat).ns,
		run_repeated(bench, &ours6, repeat).ns);
}

/* --- what the scout is shown --- */

static void show(struct bench *bench, uint32_t shown)
{
	bench->settings.shown = shown;
	bench_settings(bench);
}

static void judge(struct bench *bench, bool ipv6, uint16_t port, uint32_t isn, uint32_t bytes)
{
	const struct judgement judgement = {isn, bytes};
	struct flow_key key = {.client_port = htons(port), .server_port = htons(443)};

	address_of(ipv6 ? CLIENT6 : CLIENT4, (struct address *)&key.client);
	address_of(ipv6 ? OTHER6 : OTHER4, (struct address *)&key.server);
	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.judgements, &key, &judgement, 0), 0);
}

/* Of a connection that is not steered. */
static struct packet_plan direct(bool ipv6, uint8_t flags, uint32_t sequence, size_t payload)
{
	struct packet_plan plan = segment(ipv6, flags);

	plan.destination = ipv6 ? OTHER6 : OTHER4;
	plan.sequence = sequence;
	plan.payload = payload;
	return plan;
}

static uint32_t mark_of(struct bench *bench, struct packet_plan plan)
{
	struct run result = run(bench, &plan);

	assert_int_equal(result.action, PASSED);
	return result.mark;
}

static void a_connection_is_shown_until_it_is_judged(void **state)
{
	const uint32_t isn = 0xfffffff0; /* the numbers wrap */
	struct bench *bench = *state;

	show(bench, SHOWN_TCP);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_SYN, isn, 0)), 0);
		/* There is nothing in it to be looked at. */
		assert_int_equal(
			mark_of(bench, direct(ipv6, TCP_ACK, isn + 1, 0)), MARK_UNSEEN(MARK));
		for (uint32_t at = 0; at < 1000; at += 10)
			assert_int_equal(
				mark_of(bench, direct(ipv6, TCP_ACK, isn + 1 + at, 10)), 0);
		judge(bench, ipv6, 40000, isn, 500);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn + 1 + 500, 10)),
			MARK_UNSEEN(MARK));
		/* Whoever writes over what was judged is looked at again. */
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn + 1 + 499, 10)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn + 1, 10)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn - 100, 102)), 0);
		/* … and what may stand before the beginning that the scout was shown. */
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn, 1)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn - 1000, 1000)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn - (2 << 20), 10)),
			MARK_UNSEEN(MARK));
		/* The same ports again are another connection. */
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_SYN, 7, 0)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, 8 + 500, 10)), 0);
		bench_fresh(state);
		show(bench, SHOWN_TCP);
	}
}

/* What a server sends, and where it came from. */
static void server_says(struct bench *bench, bool ipv6, uint32_t acknowledgement, uint32_t ingress)
{
	struct packet_plan plan = direct(ipv6, TCP_ACK, 5000, 10);
	const struct __sk_buff skb = {.ingress_ifindex = ingress, .ifindex = 1};
	const char *client = plan.source;
	struct packet_bytes packet;

	plan.source = plan.destination;
	plan.destination = client;
	plan.destination_port = plan.source_port;
	plan.source_port = 443;
	plan.acknowledgement = acknowledgement;
	packet_build(&plan, &packet);
	assert_int_equal(
		bench_run_bytes(bench, bench->programs.reply_fd, &packet, &skb, 1).action, PASSED);
}

/* Once its server has what was judged, nobody can write over it: a stream may be of any length.
 * Until then whatever stands before it is shown, however far. */
static void what_the_server_has_acknowledged_is_settled(void **state)
{
	const uint32_t isn = 0xfffffff0;
	struct bench *bench = *state;

	show(bench, SHOWN_TCP);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_SYN, isn, 0)), 0);
		judge(bench, ipv6, 40000, isn, 500);
		assert_int_equal(
			mark_of(bench, direct(ipv6, TCP_ACK, isn + 501, 10)), MARK_UNSEEN(MARK));
		server_says(bench, ipv6, isn + 1 + 499, 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn - (2 << 20), 10)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn + 1, 10)), 0);
		/* A source that speaks in the server's name. */
		server_says(bench, ipv6, isn + 1 + 500, 1);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn + 1, 10)), 0);
		server_says(bench, ipv6, isn + 1 + 500, 0);
		assert_int_equal(
			mark_of(bench, direct(ipv6, TCP_ACK, isn + 1, 10)), MARK_UNSEEN(MARK));
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, isn - (2 << 20), 10)),
			MARK_UNSEEN(MARK));
		/* Another connection of the same ports. */
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_SYN, 7, 0)), 0);
		assert_int_equal(mark_of(bench, direct(ipv6, TCP_ACK, 8, 10)), 0);
		bench_fresh(state);
		show(bench, SHOWN_TCP);
	}
}

static void a_connection_known_from_its_middle_on_is_shown_and_judged(void **state)
{
	struct packet_plan data = direct(false, TCP_ACK, 1000, 100);
	struct bench *bench = *state;

	show(bench, SHOWN_TCP);
	data.source_port = 40002;
	assert_int_equal(mark_of(bench, data), 0);
	assert_true(only_flow(bench).marks & FLOW_NO_SYN);
	assert_int_equal(only_flow(bench).decision, FLOW_DIRECT);
	judge(bench, false, 40002, 999, 100);
	data.sequence += 100;
	assert_int_equal(mark_of(bench, data), MARK_UNSEEN(MARK));
}

/* It began before its port was shown: the scout would not know what to make of it. */
static void a_connection_older_than_the_configuration_is_not_shown(void **state)
{
	struct bench *bench = *state;

	show(bench, 0);
	assert_int_equal(mark_of(bench, direct(false, TCP_SYN, 0, 0)), 0);
	show(bench, SHOWN_TCP);
	assert_int_equal(mark_of(bench, direct(false, TCP_ACK, 1, 10)), MARK_UNSEEN(MARK));
}

/* QUIC begins with long headers; what follows is not looked at, but for an endpoint. */
static void beginnings_of_quic_are_shown(void **state)
{
	static const struct {
		const char *to;
		uint16_t port;
		uint8_t first;
		uint32_t shown, mark;
	} cases[] = {
		{OTHER4, 443, 0xc3, SHOWN_UDP, 0},
		{OTHER4, 443, 0x43, SHOWN_UDP, MARK_UNSEEN(MARK)},
		{OTHER6, 443, 0x43, SHOWN_UDP, MARK_UNSEEN(MARK)},
		{ENDPOINT4, 443, 0x43, SHOWN_UDP, 0},
		{PREFIXED6, 443, 0x43, SHOWN_UDP, 0},
		{OTHER4, 5000, 0x43, SHOWN_UDP, 0},
		{OTHER4, 853, 0x43, SHOWN_UDP, 0},
		{OTHER4, 853, 0x43, SHOWN_UDP | SHOWN_DNS, MARK_UNSEEN(MARK)},
		{OTHER4, 853, 0x43, SHOWN_UDP | SHOWN_DNS | SHOWN_DNS_ALL, 0},
		{OTHER4, 443, 0x43, 0, 0},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct packet_plan plan = {.destination = cases[i].to,
			.source = strchr(cases[i].to, ':') ? CLIENT6 : CLIENT4,
			.protocol = IPPROTO_UDP};
		struct packet_bytes packet;
		struct run result;
		size_t l4;

		packet_build(&plan, &packet);
		/* Behind the 8 bytes of its header. */
		l4 = packet.len - 8;
		packet.bytes[l4 + 2] = (uint8_t)(cases[i].port >> 8);
		packet.bytes[l4 + 3] = (uint8_t)cases[i].port;
		packet.bytes[packet.len] = cases[i].first;
		packet.len += 4;
		packet.bytes[strchr(cases[i].to, ':') ? 14 + 5 : 14 + 3] += 4;
		show(bench, cases[i].shown);
		result = bench_run_bytes(bench, bench->programs.steer_fd, &packet, NULL, 1);
		if (result.mark != cases[i].mark)
			fail_msg("case %zu: mark %#x", i, result.mark);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_packet_has_its_outcome, bench_fresh),
		cmocka_unit_test_setup(a_packet_cut_anywhere_is_not_steered, bench_fresh),
		cmocka_unit_test_setup(later_segments_follow_the_syn, bench_fresh),
		cmocka_unit_test_setup(a_flow_outlives_its_endpoint, bench_fresh),
		cmocka_unit_test_setup(a_new_endpoint_takes_no_running_connection, bench_fresh),
		cmocka_unit_test_setup(a_syn_sent_again_keeps_its_decision, bench_fresh),
		cmocka_unit_test_setup(a_new_syn_decides_anew, bench_fresh),
		cmocka_unit_test_setup(icmp_errors_follow_the_flow_they_are_about, bench_fresh),
		cmocka_unit_test_setup(without_a_worker_a_syn_is_reset, bench_fresh),
		cmocka_unit_test_setup(without_a_worker_and_socket_a_segment_is_reset, bench_fresh),
		cmocka_unit_test_setup(what_cannot_be_answered_is_dropped, bench_fresh),
		cmocka_unit_test_setup(resets_and_drops_are_counted_with_their_source, bench_fresh),
		cmocka_unit_test_setup(the_cost_per_packet_is_told, bench_fresh),
		cmocka_unit_test_setup(a_connection_is_shown_until_it_is_judged, bench_fresh),
		cmocka_unit_test_setup(what_the_server_has_acknowledged_is_settled, bench_fresh),
		cmocka_unit_test_setup(
			a_connection_known_from_its_middle_on_is_shown_and_judged, bench_fresh),
		cmocka_unit_test_setup(
			a_connection_older_than_the_configuration_is_not_shown, bench_fresh),
		cmocka_unit_test_setup(beginnings_of_quic_are_shown, bench_fresh),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
