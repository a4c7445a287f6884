// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of the kernel's maps, which are filled by hand here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/pins.h"
#include "tests/support/gate.h"

static int pinned(const struct gate *gate, const char *name)
{
	struct pins pins;
	int fd;

	assert_int_equal(pins_name(&pins, gate->config.datapath.bpf_directory), 0);
	fd = pins_get(&pins, name);
	assert_true(fd >= 0);
	return fd;
}

static void put(const struct gate *gate, const char *map, const void *key, const void *value)
{
	int fd = pinned(gate, map);

	assert_int_equal(bpf_map_update_elem(fd, key, value, BPF_ANY), 0);
	close(fd);
}

static const uint32_t marks_of[FLOW_STATE_COUNT] = {
	[FLOW_OPEN] = FLOW_SAW_ACK,
	[FLOW_CLOSING] = FLOW_SAW_ACK | FLOW_SAW_SERVER_FIN,
	[FLOW_CLOSED] = FLOW_SAW_RESET,
};

/* A source of which every CPU has counted i in the i-th count, and one drop of each kind. */
static void source_put(const struct gate *gate, const char *text)
{
	int cpus = libbpf_num_possible_cpus();
	struct source_counters *each = calloc((size_t)cpus, sizeof(*each));
	struct address address = parsed(text);

	for (int cpu = 0; cpu < cpus; cpu++) {
		__u64 *counts = &each[cpu].packets;

		for (int i = 0; i < SOURCE_COUNT_MAX; i++)
			counts[i] = (__u64)i;
		for (int i = 0; i < DROP_COUNT; i++)
			each[cpu].drops[i] = 1;
		each[cpu].seen_ns = (__u64)(100 + cpu);
	}
	put(gate, "sources", &address, each);
	free(each);
}

static void flow_put(const struct gate *gate, const char *client, uint16_t port,
	enum flow_decision decision, enum flow_state state)
{
	struct flow flow = {.seen_ns = clock_monotonic_ns(),
		.decision = (uint8_t)decision,
		.marks = marks_of[state]};
	struct address address = parsed(client);
	struct flow_key key = {.client_port = port, .server_port = 443};

	memcpy(&key.client, &address, sizeof(address));
	put(gate, "flows", &key, &flow);
}

static void active_put(
	const struct gate *gate, const char *text, uint32_t active, uint64_t swept_ns)
{
	struct source_active value = {.swept_ns = swept_ns, .active = active};
	struct address address = parsed(text);

	put(gate, "actives", &address, &value);
}

/* A moment ago, and one that no sweep of a daemon that runs can be of. On a machine that has just
 * been started it is waited for that there is such a moment. */
#define LATELY (clock_monotonic_ns() - 2 * NS_PER_S)

static uint64_t long_ago(void)
{
	while (clock_monotonic_ns() < SWEEP_STALE_NS + NS_PER_S)
		usleep(100000);
	return 1;
}

static void all_counts_of_a_source_are_summed_over_the_processors(void **state)
{
	uint64_t cpus = (uint64_t)libbpf_num_possible_cpus();
	const struct source_counters *counters;
	struct datapath_status *status;

	source_put(*state, "10.1.2.3");
	status = gate_status(*state);
	counters = &source_of(status, "10.1.2.3")->counters;
	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++)
		assert_int_equal(source_count_of(counters, i), cpus * i);
	assert_int_equal(source_drops(counters), cpus * DROP_COUNT);
	assert_int_equal(counters->seen_ns, 99 + cpus);
	datapath_status_free(status);
}

static void flows_are_counted_by_state(void **state)
{
	struct datapath_status *status;

	for (enum flow_state i = 0; i < FLOW_STATE_COUNT; i++) {
		flow_put(*state, "10.1.0.1", (uint16_t)i, FLOW_STEER, i);
		flow_put(*state, "fd00::1", (uint16_t)i, FLOW_DIRECT, i);
		flow_put(*state, "10.1.0.2", (uint16_t)i, FLOW_DIRECT, i);
	}
	status = gate_status(*state);
	assert_int_equal(status->flows.all, 3 * FLOW_STATE_COUNT);
	assert_int_equal(status->flows.steered, FLOW_STATE_COUNT);
	for (enum flow_state i = 0; i < FLOW_STATE_COUNT; i++)
		assert_int_equal(status->flows.states[i], 3);
	assert_int_equal(status->flows.active, 6);
	assert_int_equal(status->flows.steered_active, 2);
	datapath_status_free(status);
}

static void a_connection_is_active_for_the_time_of_its_state(void **state)
{
	const uint64_t seen = 1000 * NS_PER_S;

	(void)state;
	for (enum flow_state i = 0; i < FLOW_STATE_COUNT; i++) {
		const struct flow flow = {.seen_ns = seen, .marks = marks_of[i]};
		uint64_t end = seen + flow_state_seconds(i) * NS_PER_S;
		bool counts = i == FLOW_OPEN || i == FLOW_CLOSING;

		assert_int_equal(flow_active(&flow, seen), counts);
		assert_int_equal(flow_active(&flow, end - 1), counts);
		assert_false(flow_active(&flow, end));
		/* The clock of the packet is read later than ours. */
		assert_int_equal(flow_active(&flow, seen - 5), counts);
	}
}

static void without_a_sweep_the_flow_table_is_counted(void **state)
{
	struct datapath_status *status;

	source_put(*state, "10.1.0.1");
	source_put(*state, "fd00::1");
	source_put(*state, "10.1.0.9");
	flow_put(*state, "10.1.0.1", 1, FLOW_STEER, FLOW_OPEN);
	flow_put(*state, "10.1.0.1", 2, FLOW_DIRECT, FLOW_CLOSING);
	flow_put(*state, "10.1.0.1", 3, FLOW_DIRECT, FLOW_CLOSED);
	flow_put(*state, "fd00::1", 1, FLOW_DIRECT, FLOW_OPEN);
	flow_put(*state, "10.1.0.77", 1, FLOW_DIRECT, FLOW_OPEN); /* forgotten meanwhile */
	/* A sweep of long ago tells nothing. */
	active_put(*state, "10.1.0.1", 50, long_ago());
	status = gate_status(*state);
	assert_int_equal(status->swept_ns, 0);
	assert_int_equal(source_of(status, "10.1.0.1")->active, 2);
	assert_int_equal(source_of(status, "fd00::1")->active, 1);
	assert_int_equal(source_of(status, "10.1.0.9")->active, 0);
	assert_int_equal(status->flows.active, 4);
	datapath_status_free(status);
}

static void the_last_sweep_is_believed_while_it_is_fresh(void **state)
{
	struct datapath_status *status;
	uint64_t age;

	source_put(*state, "10.1.0.1");
	source_put(*state, "10.1.0.2");
	source_put(*state, "10.1.0.3");
	flow_put(*state, "10.1.0.1", 1, FLOW_STEER, FLOW_OPEN);
	active_put(*state, "10.1.0.1", 50, LATELY);
	active_put(*state, "10.1.0.2", 7, long_ago());
	status = gate_status(*state);
	age = status->read_ns - status->swept_ns;
	assert_in_range(age, 2 * NS_PER_S, 10 * NS_PER_S);
	assert_int_equal(source_of(status, "10.1.0.1")->active, 50);
	assert_int_equal(source_of(status, "10.1.0.2")->active, 0);
	assert_int_equal(source_of(status, "10.1.0.3")->active, 0);
	/* The table is counted as well, where all is asked for. */
	assert_int_equal(status->flows.active, 1);
	datapath_status_free(status);
}

static void parts_that_are_not_asked_for_are_not_read(void **state)
{
	struct gate *gate = *state;
	struct datapath_status *status;

	source_put(gate, "10.1.0.1");
	active_put(gate, "10.1.0.1", 50, LATELY);
	flow_put(gate, "10.1.0.1", 1, FLOW_STEER, FLOW_OPEN);
	assert_int_equal(
		datapath_status_read_parts(&gate->config, DATAPATH_SOURCES, &status, NULL), 0);
	assert_int_equal(source_of(status, "10.1.0.1")->active, 50);
	assert_int_equal(status->nendpoints, 0);
	assert_int_equal(status->flows.all, 0);
	datapath_status_free(status);
	assert_int_equal(
		datapath_status_read_parts(&gate->config, DATAPATH_ENDPOINTS, &status, NULL), 0);
	assert_int_equal(status->nsources, 0);
	assert_int_equal(status->nendpoints, 4);
	datapath_status_free(status);
}

/* Batches are bounded; a table larger than one is read whole. */
static void a_large_table_is_read_whole(void **state)
{
	struct flow flow = {.seen_ns = clock_monotonic_ns(), .marks = FLOW_SAW_ACK};
	struct flow_count count;
	int map = bpf_map_create(
		BPF_MAP_TYPE_HASH, "flows", sizeof(struct flow_key), sizeof(flow), 20000, NULL);

	(void)state;
	assert_true(map >= 0);
	for (uint32_t i = 0; i < 20000; i++) {
		struct flow_key key = {.client_port = (uint16_t)i};

		memcpy(&key.client, &i, sizeof(i));
		assert_int_equal(bpf_map_update_elem(map, &key, &flow, BPF_ANY), 0);
	}
	assert_int_equal(flow_count_read(map, clock_monotonic_ns(), &count, NULL, NULL), 0);
	assert_int_equal(count.all, 20000);
	assert_int_equal(count.active, 20000);
	close(map);
	assert_true(flow_count_read(-1, 0, &count, NULL, NULL) < 0);
}

static void a_worker_is_alive_while_its_sign_is_fresh(void **state)
{
	const uint64_t before = clock_monotonic_ns() - 3 * NS_PER_S;
	struct settings settings = {.heartbeat_ns = 2 * NS_PER_S, .workers = 2};
	const uint32_t zero = 0, scout = HEARTBEAT_SCOUT;
	const uint64_t now = clock_monotonic_ns(), never = 0;
	struct datapath_status *status;

	/* Given one worker that listens and signs, of two */
	put(*state, "settings", &zero, &settings);
	put(*state, "heartbeats", &zero, &now);
	put(*state, "heartbeats", &scout, &before);
	status = gate_status(*state);
	assert_int_equal(status->workers, 2);
	assert_int_equal(status->alive, 1);
	assert_int_equal(status->heartbeats[0], now);
	assert_int_equal(status->heartbeats[1], 0);
	assert_int_equal(status->heartbeats[HEARTBEAT_SCOUT], before);
	datapath_status_free(status);
	put(*state, "heartbeats", &zero, &before);
	status = gate_status(*state);
	assert_int_equal(status->alive, 0);
	datapath_status_free(status);
	/* One that has given none so far is not judged by it. */
	put(*state, "heartbeats", &zero, &never);
	status = gate_status(*state);
	assert_int_equal(status->alive, 1);
	datapath_status_free(status);
	put(*state, "heartbeats", &zero, &before);
	/* Where signs are not looked at, one who listens is alive. */
	settings.heartbeat_ns = 0;
	put(*state, "settings", &zero, &settings);
	status = gate_status(*state);
	assert_int_equal(status->alive, 1);
	datapath_status_free(status);
}

static void the_prefixes_in_force_are_read(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int inner = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "inner", sizeof(struct prefix_key),
		sizeof(uint32_t), ADMISSION_PREFIXES_MAX, &options);
	const struct {
		const char *prefix;
		uint32_t rule;
	} rows[] = {{"10.0.0.0/8", ADMISSION_ALLOW}, {"10.1.0.0/16", ADMISSION_DENY},
		{"2001:db8::/32", ADMISSION_ALLOW}};
	struct datapath_status *status;
	const uint32_t zero = 0;

	assert_true(inner >= 0);
	for (size_t i = 0; i < 3; i++) {
		struct prefix_key key;
		struct prefix prefix;

		assert_int_equal(prefix_parse(rows[i].prefix, &prefix), 0);
		key.bits = prefix.bits;
		memcpy(&key.address, &prefix.address, sizeof(key.address));
		assert_int_equal(bpf_map_update_elem(inner, &key, &rows[i].rule, BPF_ANY), 0);
	}
	put(*state, "admission", &zero, &inner);
	close(inner);
	status = gate_status(*state);
	assert_false(status->admission_unread);
	assert_int_equal(status->nadmission, 3);
	for (size_t i = 0; i < 3; i++) {
		struct prefix prefix;

		/* Sorted by address, IPv4 (as ::ffff:…) first. */
		assert_int_equal(prefix_parse(rows[i].prefix, &prefix), 0);
		assert_int_equal(status->admission[i].prefix.bits, prefix.bits);
		assert_true(address_equal(&status->admission[i].prefix.address, &prefix.address));
		assert_int_equal(status->admission[i].rule, rows[i].rule);
	}
	datapath_status_free(status);
}

#define WITH_GATE(name) cmocka_unit_test_setup_teardown(name, gate_setup, gate_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATE(all_counts_of_a_source_are_summed_over_the_processors),
		WITH_GATE(flows_are_counted_by_state),
		WITH_GATE(without_a_sweep_the_flow_table_is_counted),
		WITH_GATE(the_last_sweep_is_believed_while_it_is_fresh),
		WITH_GATE(parts_that_are_not_asked_for_are_not_read),
		WITH_GATE(a_worker_is_alive_while_its_sign_is_fresh),
		WITH_GATE(the_prefixes_in_force_are_read),
		cmocka_unit_test(a_connection_is_active_for_the_time_of_its_state),
		cmocka_unit_test(a_large_table_is_read_whole),
	};

	return cmocka_run_group_tests(tests, gate_group_setup, gate_group_teardown);
}
