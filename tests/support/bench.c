// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/admission_map.h"
#include "kernel/endpoint_map.h"

#define CPUS_MAX 1024

void address_of(const char *text, struct address *address)
{
	assert_int_equal(address_parse(text, address), 0);
}

void learn(struct bench *bench, const char *text)
{
	struct address address;

	address_of(text, &address);
	assert_int_equal(endpoint_map_learn(bench->programs.maps.endpoints, &address, 0,
				 ENDPOINT_RESOLVED, FAIL_CLOSED, 0),
		0);
}

void forget(struct bench *bench, const char *text)
{
	struct address address;

	address_of(text, &address);
	assert_int_equal(bpf_map_delete_elem(bench->programs.maps.endpoints, &address), 0);
}

void slot_set(struct bench *bench, bool ipv6, int fd)
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

void bench_settings(struct bench *bench)
{
	const uint32_t zero = 0;

	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.settings, &zero, &bench->settings, 0), 0);
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

static int setup(void **state, enum config_forward forward)
{
	static struct bench bench;
	const struct config_datapath config = {.mark = MARK,
		.max_sources = 4096,
		.max_flows = 4096,
		.max_endpoints = 64,
		.forward = forward};
	struct prefix prefixes[2];
	const uint32_t word = 443 / 32, bits = 1u << (443 % 32);
	struct why why = {""};

	memset(&bench, 0, sizeof(bench));
	if (programs_load(&bench.programs, &config, NULL, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(prefix_parse("198.51.100.0/24", &prefixes[0]), 0);
	assert_int_equal(prefix_parse("2001:db8:3::/48", &prefixes[1]), 0);
	assert_int_equal(endpoint_map_prefixes(
				 bench.programs.maps.prefixes, prefixes, 2, 64, FAIL_CLOSED, &why),
		0);
	assert_int_equal(bpf_map_update_elem(bench.programs.maps.ports, &word, &bits, 0), 0);
	bench.listener4 = listener(AF_INET);
	bench.listener6 = listener(AF_INET6);
	*state = &bench;
	return 0;
}

int bench_setup(void **state)
{
	return setup(state, CONFIG_FORWARD_STACK);
}

int bench_setup_forwarding(void **state)
{
	return setup(state, CONFIG_FORWARD_XDP);
}

int bench_teardown(void **state)
{
	struct bench *bench = *state;

	close(bench->listener4);
	close(bench->listener6);
	programs_free(&bench->programs);
	return 0;
}

/* Of maps whose keys have the size of an address or a flow's. */
static void empty(int map)
{
	struct flow_key key;

	while (bpf_map_get_next_key(map, NULL, &key) == 0)
		assert_int_equal(bpf_map_delete_elem(map, &key), 0);
}

int bench_fresh(void **state)
{
	static const struct config_admission everything = {0};
	static const struct flood none = {0};
	struct bench *bench = *state;
	const struct map_fds *maps = &bench->programs.maps;
	const uint32_t zero = 0;
	struct why why;

	bench->settings = (struct settings){.workers = 1, .xdp = XDP_MODE_NATIVE, .prefixes = 1};
	bench_settings(bench);
	slot_set(bench, false, bench->listener4);
	slot_set(bench, true, bench->listener6);
	learn(bench, ENDPOINT4);
	learn(bench, ENDPOINT6);
	empty(maps->flows);
	empty(maps->sources);
	empty(maps->limits);
	empty(maps->actives);
	assert_int_equal(bpf_map_update_elem(maps->flood, &zero, &none, BPF_ANY), 0);
	assert_int_equal(admission_map_set(maps->admission, &everything, &why), 0);
	return 0;
}

struct run bench_run_bytes(struct bench *bench, int program, const struct packet_bytes *packet,
	const struct __sk_buff *skb, int repeat)
{
	struct __sk_buff context = {.ifindex = 1}, after = {0};
	struct run run = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->bytes,
		.data_size_in = (uint32_t)packet->len, .data_out = run.out,
		.data_size_out = sizeof(run.out), .repeat = repeat);

	if (skb)
		context = *skb;
	if (program != bench->programs.admit_fd) {
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
		options.ctx_out = &after;
		options.ctx_size_out = sizeof(after);
	}
	if (bpf_prog_test_run_opts(program, &options) < 0)
		fail_msg("test run: %s", strerror(errno));
	run.action = (int)options.retval;
	run.mark = after.mark;
	run.len = options.data_size_out;
	run.ns = options.duration;
	return run;
}

struct run bench_run(struct bench *bench, int program, const struct packet_plan *plan)
{
	struct packet_bytes packet;

	packet_build(plan, &packet);
	return bench_run_bytes(bench, program, &packet, NULL, 1);
}

struct run run_repeated(struct bench *bench, const struct packet_plan *plan, int repeat)
{
	struct packet_bytes packet;

	packet_build(plan, &packet);
	return bench_run_bytes(bench, bench->programs.steer_fd, &packet, NULL, repeat);
}

struct run run(struct bench *bench, const struct packet_plan *plan)
{
	return run_repeated(bench, plan, 1);
}

uint64_t counted(struct bench *bench, enum outcome outcome)
{
	uint64_t each[CPUS_MAX] = {0}, sum = 0;
	const uint32_t key = outcome;

	assert_int_equal(bpf_map_lookup_elem(bench->programs.maps.outcomes, &key, each), 0);
	for (size_t i = 0; i < COUNT(each); i++)
		sum += each[i];
	return sum;
}

struct source_counters counted_source(struct bench *bench, const char *source)
{
	static struct source_counters each[CPUS_MAX];
	struct source_counters sum = {0};
	struct address address;

	address_of(source, &address);
	memset(each, 0, sizeof(each));
	bpf_map_lookup_elem(bench->programs.maps.sources, &address, each);
	for (size_t cpu = 0; cpu < COUNT(each); cpu++) {
#define SOURCE_SUM(member, name, help) sum.member += each[cpu].member;
		SOURCE_COUNTS(SOURCE_SUM)
		for (int drop = 0; drop < DROP_COUNT; drop++)
			sum.drops[drop] += each[cpu].drops[drop];
	}
	return sum;
}

uint64_t drops_of(const struct source_counters *counters)
{
	uint64_t sum = 0;

	for (int drop = 0; drop < DROP_COUNT; drop++)
		sum += counters->drops[drop];
	return sum;
}

struct flow only_flow(struct bench *bench)
{
	int map = bench->programs.maps.flows;
	struct flow_key key, next;
	struct flow flow;

	assert_int_equal(bpf_map_get_next_key(map, NULL, &key), 0);
	assert_int_not_equal(bpf_map_get_next_key(map, &key, &next), 0);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &flow), 0);
	return flow;
}

struct packet_plan segment(bool ipv6, uint8_t flags)
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

struct packet_plan segment_back(bool ipv6, uint8_t flags)
{
	return (struct packet_plan){
		.source = ipv6 ? ENDPOINT6 : ENDPOINT4,
		.destination = ipv6 ? CLIENT6 : CLIENT4,
		.source_port = 443,
		.destination_port = 40000,
		.flags = flags,
		.sequence = 5000,
		.acknowledgement = flags & TCP_ACK ? 1001 : 0,
	};
}

void open_flow(struct bench *bench, bool ipv6)
{
	struct packet_plan syn = segment(ipv6, TCP_SYN);

	assert_int_equal(run(bench, &syn).mark, MARK);
}
