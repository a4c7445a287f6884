// SPDX-License-Identifier: GPL-2.0-or-later
/* The TC program on hand-made packets, run by the kernel (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "kernel/endpoint_map.h"
#include "kernel/programs.h"
#include "tests/support/packet.h"

#define MARK	     0x5a11u
#define PASSED	     TC_ACT_UNSPEC
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The cast: a client, an endpoint of each kind, somebody else. */
#define CLIENT4	  "10.1.0.5"
#define ENDPOINT4 "192.0.2.10"
#define PREFIXED4 "198.51.100.77"
#define OTHER4	  "203.0.113.1"
#define CLIENT6	  "2001:db8:1::5"
#define ENDPOINT6 "2001:db8:2::10"
#define PREFIXED6 "2001:db8:3::77"
#define OTHER6	  "2001:db8:4::1"

struct bench {
	struct programs programs;
	int listener4, listener6;
};

struct run {
	int action;
	uint32_t mark;
	uint8_t out[PACKET_BYTES_MAX];
	size_t len;
	uint32_t ns;
};

static void address_of(const char *text, struct address *address)
{
	assert_int_equal(address_parse(text, address), 0);
}

static void learn(struct bench *bench, const char *text)
{
	struct address address;

	address_of(text, &address);
	assert_int_equal(
		endpoint_map_learn(bench->programs.maps.endpoints, &address, 0, ENDPOINT_RESOLVED),
		0);
}

static void forget(struct bench *bench, const char *text)
{
	struct address address;

	address_of(text, &address);
	assert_int_equal(bpf_map_delete_elem(bench->programs.maps.endpoints, &address), 0);
}

static void slot_set(struct bench *bench, bool ipv6, int fd)
{
	const uint32_t slot = WORKER_SLOT(0, ipv6);
	const uint64_t value = (uint64_t)fd;

	if (fd < 0)
		bpf_map_delete_elem(bench->programs.maps.workers, &slot);
	else
		assert_int_equal(
			bpf_map_update_elem(bench->programs.maps.workers, &slot, &value, BPF_ANY),
			0);
}

static int listener(int family)
{
	struct sockaddr_in6 address6 = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in address4 = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0 ||
		bind(fd, family == AF_INET ? (struct sockaddr *)&address4 : (void *)&address6,
			family == AF_INET ? sizeof(address4) : sizeof(address6)) < 0 ||
		listen(fd, 8) < 0)
		fail_msg("no listener: %s", strerror(errno));
	return fd;
}

static int setup(void **state)
{
	static struct bench bench;
	const struct config_datapath config = {
		.mark = MARK, .max_sources = 4096, .max_flows = 4096, .max_endpoints = 64};
	struct prefix prefixes[2];
	const struct settings settings = {.workers = 1};
	const uint32_t zero = 0, word = 443 / 32, bits = 1u << (443 % 32);
	struct why why = {""};

	if (programs_load(&bench.programs, &config, NULL, false, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(prefix_parse("198.51.100.0/24", &prefixes[0]), 0);
	assert_int_equal(prefix_parse("2001:db8:3::/48", &prefixes[1]), 0);
	assert_int_equal(
		endpoint_map_prefixes(bench.programs.maps.prefixes, prefixes, 2, 64, &why), 0);
	assert_int_equal(bpf_map_update_elem(bench.programs.maps.ports, &word, &bits, 0), 0);
	assert_int_equal(bpf_map_update_elem(bench.programs.maps.settings, &zero, &settings, 0), 0);
	bench.listener4 = listener(AF_INET);
	bench.listener6 = listener(AF_INET6);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	close(bench->listener4);
	close(bench->listener6);
	programs_free(&bench->programs);
	return 0;
}

/* Before each test: both workers listen, both endpoints are known, no flow is. */
static int fresh(void **state)
{
	struct bench *bench = *state;
	struct flow_key key;

	slot_set(bench, false, bench->listener4);
	slot_set(bench, true, bench->listener6);
	learn(bench, ENDPOINT4);
	learn(bench, ENDPOINT6);
	while (bpf_map_get_next_key(bench->programs.maps.flows, NULL, &key) == 0)
		bpf_map_delete_elem(bench->programs.maps.flows, &key);
	return 0;
}

static struct run run_repeated(struct bench *bench, const struct packet_plan *plan, int repeat)
{
	struct packet_bytes packet;
	struct __sk_buff context = {.ifindex = 1}, after = {0};
	struct run run = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.bytes, .data_out = run.out,
		.data_size_out = sizeof(run.out), .ctx_in = &context,
		.ctx_size_in = sizeof(context), .ctx_out = &after, .ctx_size_out = sizeof(after),
		.repeat = repeat);

	packet_build(plan, &packet);
	options.data_size_in = (uint32_t)packet.len;
	if (bpf_prog_test_run_opts(bench->programs.steer_fd, &options) < 0)
		fail_msg("test run: %s", strerror(errno));
	run.action = (int)options.retval;
	run.mark = after.mark;
	run.len = options.data_size_out;
	run.ns = options.duration;
	return run;
}

static struct run run(struct bench *bench, const struct packet_plan *plan)
{
	return run_repeated(bench, plan, 1);
}

static uint64_t counted(struct bench *bench, enum outcome outcome)
{
	uint64_t each[1024] = {0}, sum = 0;
	const uint32_t key = outcome;

	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.outcomes, &key, each), 0);
	for (size_t i = 0; i < COUNT(each); i++)
		sum += each[i];
	return sum;
}

/* Plans of the usual segments; change what the test is about. */
static struct packet_plan segment(bool ipv6, uint8_t flags)
{
	return (struct packet_plan){
		.source = ipv6 ? CLIENT6 : CLIENT4,
		.destination = ipv6 ? ENDPOINT6 : ENDPOINT4,
		.source_port = 40000,
		.destination_port = 443,
		.flags = flags,
		.sequence = 1000,
		.acknowledgement = flags & TCP_ACK ? 5000 : 0,
	};
}

static void open_flow(struct bench *bench, bool ipv6)
{
	struct packet_plan syn = segment(ipv6, TCP_SYN);

	assert_int_equal(run(bench, &syn).mark, MARK);
}

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
		OUTCOME_OTHER, PASSED, 0},
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

		fresh(state);
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

static void the_end_of_a_flow_is_noted(void **state)
{
	struct bench *bench = *state;
	struct packet_plan fin = segment(false, TCP_ACK | TCP_FIN);
	struct flow_key key;
	struct flow flow;

	open_flow(bench, false);
	assert_int_equal(bpf_map_get_next_key(bench->programs.maps.flows, NULL, &key), 0);
	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.flows, &key, &flow), 0);
	assert_int_equal(flow.state, FLOW_OPENING);
	assert_int_equal(flow.isn, 1000);
	assert_int_equal(run(bench, &fin).mark, MARK);
	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.flows, &key, &flow), 0);
	assert_int_equal(flow.state, FLOW_CLOSING);
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
	struct source_counters each[1024];
	struct address source;
	uint64_t reset = 0, dropped = 0;

	syn.source = hidden.source = "10.9.9.9";
	slot_set(bench, false, -1);
	run(bench, &syn);
	hidden.fragment = 0x2000;
	run(bench, &hidden);
	run(bench, &hidden);
	address_of(syn.source, &source);
	memset(each, 0, sizeof(each));
	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.sources, &source, each), 0);
	for (size_t i = 0; i < COUNT(each); i++) {
		reset += each[i].drops[DROP_NO_WORKER];
		dropped += each[i].drops[DROP_HIDDEN];
	}
	assert_int_equal(reset, 1);
	assert_int_equal(dropped, 2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_packet_has_its_outcome, fresh),
		cmocka_unit_test_setup(a_packet_cut_anywhere_is_not_steered, fresh),
		cmocka_unit_test_setup(later_segments_follow_the_syn, fresh),
		cmocka_unit_test_setup(a_flow_outlives_its_endpoint, fresh),
		cmocka_unit_test_setup(a_new_endpoint_takes_no_running_connection, fresh),
		cmocka_unit_test_setup(a_syn_sent_again_keeps_its_decision, fresh),
		cmocka_unit_test_setup(a_new_syn_decides_anew, fresh),
		cmocka_unit_test_setup(the_end_of_a_flow_is_noted, fresh),
		cmocka_unit_test_setup(icmp_errors_follow_the_flow_they_are_about, fresh),
		cmocka_unit_test_setup(without_a_worker_a_syn_is_reset, fresh),
		cmocka_unit_test_setup(without_a_worker_and_socket_a_segment_is_reset, fresh),
		cmocka_unit_test_setup(what_cannot_be_answered_is_dropped, fresh),
		cmocka_unit_test_setup(resets_and_drops_are_counted_with_their_source, fresh),
		cmocka_unit_test_setup(the_cost_per_packet_is_told, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
