// SPDX-License-Identifier: GPL-2.0-or-later
/* What userspace sweeps out of the kernel's flow table, on real maps that the tests fill by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/flow_count.h"
#include "kernel/flow_sweep.h"
#include "tests/support/scratch_map.h"

#define HOURS (3600 * NS_PER_S)
/* An hour that no test's clock comes near to, so that ages never go below zero. */
#define NOW (1000 * HOURS)

struct scene {
	int flows, limits, actives;
	struct flow_sweep *sweep;
	uint64_t now_ns; /* a little later with each round */
};

static void scene_open(
	struct scene *scene, uint32_t flows, enum bpf_map_type actives_type, uint32_t actives)
{
	struct why why = {""};

	scene->now_ns = NOW;
	scene->flows = scratch_map(
		BPF_MAP_TYPE_LRU_HASH, sizeof(struct flow_key), sizeof(struct flow), flows);
	scene->limits = scratch_map(BPF_MAP_TYPE_LRU_HASH, sizeof(struct abi_address),
		sizeof(struct source_limit), 4096);
	scene->actives = scratch_map(
		actives_type, sizeof(struct abi_address), sizeof(struct source_active), actives);
	scene->sweep = flow_sweep_new(scene->flows, scene->limits, scene->actives, NULL, &why);
	if (!scene->sweep)
		fail_msg("%s", why.text);
}

static void scene_close(struct scene *scene)
{
	flow_sweep_free(scene->sweep);
	close(scene->flows);
	close(scene->limits);
	close(scene->actives);
}

static struct flow_key flow_key(uint32_t source, uint16_t port)
{
	return (struct flow_key){.client = scratch_address(source),
		.server = scratch_address(1u << 20),
		.client_port = port};
}

/* Marks that make the state. */
static const uint32_t marks_of[FLOW_STATE_COUNT] = {
	[FLOW_OPEN] = FLOW_SAW_ACK,
	[FLOW_CLOSING] = FLOW_SAW_ACK | FLOW_SAW_SERVER_FIN,
	[FLOW_CLOSED] = FLOW_SAW_RESET,
};

static void flow_put(const struct scene *scene, uint32_t source, uint16_t port,
	enum flow_state state, uint64_t age_ns)
{
	struct flow_key key = flow_key(source, port);
	struct flow flow = {
		.seen_ns = NOW - age_ns, .decision = FLOW_DIRECT, .marks = marks_of[state]};

	assert_int_equal(flow_state(flow.marks), state);
	assert_int_equal(bpf_map_update_elem(scene->flows, &key, &flow, BPF_ANY), 0);
}

static bool flow_there(const struct scene *scene, uint32_t source, uint16_t port)
{
	struct flow_key key = flow_key(source, port);
	struct flow flow;

	return bpf_map_lookup_elem(scene->flows, &key, &flow) == 0;
}

/* A whole round; how many steps it took. */
static int sweep(struct scene *scene)
{
	int steps = 1, more;

	while ((more = flow_sweep_step(scene->sweep, scene->now_ns)) > 0)
		steps++;
	assert_int_equal(more, 0);
	scene->now_ns++;
	return steps;
}

static struct flow_counts counts(const struct scene *scene, uint32_t source)
{
	struct abi_address key = scratch_address(source);
	struct address address;

	memcpy(&address, &key, sizeof(address));
	return flow_sweep_counts(scene->sweep, &address);
}

/* -1: there is none. */
static int active_told(const struct scene *scene, uint32_t source, struct source_active *active)
{
	struct abi_address key = scratch_address(source);

	return bpf_map_lookup_elem(scene->actives, &key, active) == 0 ? (int)active->active : -1;
}

static void limit_put(const struct scene *scene, uint32_t source, uint32_t attempts, uint32_t ended)
{
	struct abi_address key = scratch_address(source);
	struct source_limit limit = {.attempts = attempts, .ended = ended};

	assert_int_equal(bpf_map_update_elem(scene->limits, &key, &limit, BPF_ANY), 0);
}

struct timeout {
	enum flow_state state;
	uint64_t age_ns;
	bool stays;
};

static void each_state_has_its_timeout(void **state)
{
	static const struct timeout rows[] = {
		{FLOW_OPENING, 30 * NS_PER_S - 1, true},
		{FLOW_OPENING, 30 * NS_PER_S, false},
		{FLOW_OPEN, 2 * HOURS - 1, true},
		{FLOW_OPEN, 2 * HOURS, false},
		{FLOW_CLOSING, 300 * NS_PER_S - 1, true},
		{FLOW_CLOSING, 300 * NS_PER_S, false},
		{FLOW_CLOSED, 10 * NS_PER_S - 1, true},
		{FLOW_CLOSED, 10 * NS_PER_S, false},
		/* Seen after the clock was read. */
		{FLOW_CLOSED, (uint64_t)0 - NS_PER_S, true},
	};
	struct scene scene;

	(void)state;
	scene_open(&scene, 4096, BPF_MAP_TYPE_LRU_HASH, 4096);
	for (uint16_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		flow_put(&scene, 1, i, rows[i].state, rows[i].age_ns);
	sweep(&scene);
	for (uint16_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (flow_there(&scene, 1, i) != rows[i].stays)
			fail_msg("row %u: the flow %s", i, rows[i].stays ? "is gone" : "is there");
	assert_int_equal(flow_sweep_round(scene.sweep)->forgotten, 4);
	scene_close(&scene);
}

/* Source i has i % 5 open connections, i % 3 closing, i % 2 opening, one closed, and as many old
 * ones of each kind. */
static void connections_are_counted_by_source_and_state(void **state)
{
	static const uint64_t ages[] = {NS_PER_S, 3 * HOURS};
	const uint32_t sources = 3000;
	uint64_t states[FLOW_STATE_COUNT] = {0}, old = 0;
	struct source_active active;
	struct scene scene;
	int steps;

	(void)state;
	scene_open(&scene, 131072, BPF_MAP_TYPE_LRU_HASH, 16384);
	for (uint32_t i = 0; i < sources; i++) {
		const uint32_t wanted[FLOW_STATE_COUNT] = {
			[FLOW_OPENING] = i % 2,
			[FLOW_OPEN] = i % 5,
			[FLOW_CLOSING] = i % 3,
			[FLOW_CLOSED] = 1,
		};
		uint16_t port = 1;

		for (int kind = 0; kind < FLOW_STATE_COUNT; kind++)
			for (uint32_t j = 0; j < 2 * wanted[kind]; j++)
				flow_put(&scene, i, port++, kind, ages[j % 2]);
		for (int kind = 0; kind < FLOW_STATE_COUNT; kind++) {
			states[kind] += wanted[kind];
			old += wanted[kind];
		}
	}
	assert_true(2 * old > 24000);
	steps = sweep(&scene);
	assert_true(steps > (int)(2 * old / 4096));
	for (int kind = 0; kind < FLOW_STATE_COUNT; kind++)
		assert_int_equal(flow_sweep_round(scene.sweep)->states[kind], states[kind]);
	assert_int_equal(flow_sweep_round(scene.sweep)->forgotten, old);
	for (uint32_t i = 0; i < sources; i++) {
		uint32_t wanted = i % 5 + i % 3;

		assert_int_equal(counts(&scene, i).active, wanted);
		assert_int_equal(counts(&scene, i).opening, i % 2);
		assert_int_equal(
			active_told(&scene, i, &active), wanted || i % 2 ? (int)wanted : -1);
		if (wanted || i % 2) {
			assert_int_equal(active.swept_ns, NOW);
			assert_int_equal(active.opening, i % 2);
		}
	}
	/* Nothing is counted on: a second look finds the same. */
	sweep(&scene);
	assert_int_equal(flow_sweep_round(scene.sweep)->forgotten, 0);
	assert_int_equal(flow_sweep_round(scene.sweep)->states[FLOW_OPEN], states[FLOW_OPEN]);
	assert_int_equal(counts(&scene, 4).active, 4 + 1);
	scene_close(&scene);
}

static void a_source_without_connections_is_told_no_more(void **state)
{
	struct flow_key key = flow_key(1, 1);
	struct source_active active;
	struct scene scene;

	(void)state;
	scene_open(&scene, 4096, BPF_MAP_TYPE_LRU_HASH, 4096);
	flow_put(&scene, 1, 1, FLOW_OPEN, 0);
	flow_put(&scene, 2, 1, FLOW_OPEN, 0);
	sweep(&scene);
	assert_int_equal(active_told(&scene, 1, &active), 1);
	assert_int_equal(bpf_map_delete_elem(scene.flows, &key), 0);
	sweep(&scene);
	assert_int_equal(counts(&scene, 1).active, 0);
	assert_int_equal(active_told(&scene, 1, &active), -1);
	assert_int_equal(active_told(&scene, 2, &active), 1);
	scene_close(&scene);
}

static void attempts_are_those_of_the_beginning(void **state)
{
	struct source_active active;
	struct scene scene;

	(void)state;
	scene_open(&scene, 4096, BPF_MAP_TYPE_LRU_HASH, 4096);
	flow_put(&scene, 1, 1, FLOW_OPEN, 0);
	limit_put(&scene, 1, 7, 6);
	limit_put(&scene, 2, 70, 69);
	/* Begun, and limits read. */
	assert_int_equal(flow_sweep_step(scene.sweep, NOW), 1);
	assert_int_equal(flow_sweep_step(scene.sweep, NOW), 1);
	limit_put(&scene, 1, 9, 7);
	sweep(&scene);
	assert_int_equal(active_told(&scene, 1, &active), 1);
	assert_int_equal(active.attempts, 7);
	assert_int_equal(active.ended, 6);
	/* Without a connection, yet the kernel must know which attempts are old. */
	assert_int_equal(active_told(&scene, 2, &active), 0);
	assert_int_equal(active.attempts, 70);
	assert_int_equal(active.ended, 69);
	scene_close(&scene);
}

static void a_flow_that_changed_stays(void **state)
{
	struct flow_key key = flow_key(1, 1);
	struct flow read, now;
	struct scene scene;

	(void)state;
	scene_open(&scene, 4096, BPF_MAP_TYPE_LRU_HASH, 4096);
	flow_put(&scene, 1, 1, FLOW_CLOSED, HOURS);
	assert_int_equal(bpf_map_lookup_elem(scene.flows, &key, &read), 0);
	assert_true(flow_is_expired(&read, NOW));
	/* The same connection again, since it was read. */
	flow_put(&scene, 1, 1, FLOW_OPENING, 0);
	now = read;
	assert_int_equal(flow_end(scene.flows, &key, &now, NULL), FLOW_END_CHANGED);
	assert_int_equal(flow_state(now.marks), FLOW_OPENING);
	assert_true(flow_there(&scene, 1, 1));
	assert_int_equal(flow_end(scene.flows, &key, &now, NULL), FLOW_END_FORGOTTEN);
	assert_false(flow_there(&scene, 1, 1));
	assert_int_equal(flow_end(scene.flows, &key, &now, NULL), FLOW_END_GONE);
	scene_close(&scene);
}

#define REVIVED 256

/* A flow that was brought to life is there, or put back in a moment. */
static bool flow_lives(int map, const struct flow_key *key)
{
	struct flow flow;

	for (int attempt = 0; attempt < 1000; attempt++) {
		if (bpf_map_lookup_elem(map, key, &flow) == 0)
			return true;
		usleep(100);
	}
	return false;
}

/* Makes flows that are too old and brings them to life, if they are there still. Returns how many
 * of those that came to life were lost. */
static int flows_revive(int map)
{
	static bool alive[REVIVED];
	int lost = 0;

	for (uint32_t round = 0; round < 2000 * REVIVED; round++) {
		struct flow_key key = flow_key(1, (uint16_t)(round % REVIVED));
		struct flow flow = {.seen_ns = 1, .marks = FLOW_SAW_RESET};

		if (alive[round % REVIVED] && !flow_lives(map, &key))
			lost++;
		bpf_map_update_elem(map, &key, &flow, BPF_ANY);
		flow.seen_ns = NOW;
		alive[round % REVIVED] = bpf_map_update_elem(map, &key, &flow, BPF_EXIST) == 0;
	}
	return lost;
}

static void a_flow_that_changes_in_that_moment_stays(void **state)
{
	struct scene scene;
	int status;
	pid_t pid;

	(void)state;
	scene_open(&scene, 65536, BPF_MAP_TYPE_LRU_HASH, 4096);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(flows_revive(scene.flows) != 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		for (uint32_t i = 0; i < 64 * REVIVED; i++) {
			struct flow_key key = flow_key(1, (uint16_t)(i % REVIVED));
			struct flow flow;

			if (bpf_map_lookup_elem(scene.flows, &key, &flow) == 0 &&
				flow_is_expired(&flow, NOW))
				flow_end(scene.flows, &key, &flow, NULL);
		}
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	scene_close(&scene);
}

/* A table that is no LRU and too small: the round cannot be finished. */
static void a_round_that_fails_changes_no_number(void **state)
{
	struct scene scene;
	int more;

	(void)state;
	scene_open(&scene, 65536, BPF_MAP_TYPE_HASH, 16);
	flow_put(&scene, 1, 1, FLOW_OPEN, 0);
	sweep(&scene);
	for (uint32_t i = 0; i < 100; i++)
		flow_put(&scene, i, 2, FLOW_OPEN, 0);
	while ((more = flow_sweep_step(scene.sweep, NOW)) > 0)
		;
	assert_true(more < 0);
	assert_int_equal(counts(&scene, 1).active, 1);
	assert_int_equal(counts(&scene, 2).active, 0);
	/* And the next one begins anew, when there is room for what it finds. */
	for (uint32_t i = 0; i < 100; i++) {
		struct flow_key key = flow_key(i, 2);
		struct abi_address source = scratch_address(i);

		if (i >= 2)
			assert_int_equal(bpf_map_delete_elem(scene.flows, &key), 0);
		bpf_map_delete_elem(scene.actives, &source);
	}
	sweep(&scene);
	assert_int_equal(counts(&scene, 1).active, 2);
	assert_int_equal(counts(&scene, 0).active, 1);
	scene_close(&scene);
}

/* Not a test of speed, which is the machine's: it prints what the daemon paces itself by. */
static void the_cost_of_a_round_is_told(void **state)
{
	const uint32_t flows = 262144;
	uint64_t begin, took, longest = 0;
	struct scene scene;
	int more;

	(void)state;
	scene_open(&scene, 2 * flows, BPF_MAP_TYPE_LRU_HASH, 131072);
	for (uint32_t i = 0; i < flows; i++)
		flow_put(&scene, i % 100000, (uint16_t)(i / 100000), FLOW_OPEN, 0);
	begin = clock_monotonic_ns();
	do {
		uint64_t before = clock_monotonic_ns();

		more = flow_sweep_step(scene.sweep, NOW);
		took = clock_monotonic_ns() - before;
		longest = took > longest ? took : longest;
	} while (more > 0);
	took = clock_monotonic_ns() - begin;
	assert_int_equal(more, 0);
	assert_int_equal(flow_sweep_round(scene.sweep)->sources, 100000);
	sweep(&scene);
	printf("          sweep: %llu ns per flow, a step takes %llu us at most; %zu KiB\n",
		(unsigned long long)(took / flows), (unsigned long long)(longest / 1000),
		flow_sweep_memory(scene.sweep) >> 10);
	assert_true(flow_sweep_memory(scene.sweep) < 16u << 20);
	scene_close(&scene);
}

/* Opening ones may get their answer still, closed ones do not need it. */
static void connections_without_answers_are_counted(void **state)
{
	static const uint32_t marks[] = {0, FLOW_SAW_ACK, FLOW_SAW_ACK | FLOW_SAW_CLIENT_FIN,
		FLOW_SAW_ACK | FLOW_SAW_REPLY, FLOW_SAW_ACK | FLOW_SAW_RESET};
	struct flow_count count;
	struct scene scene;

	(void)state;
	scene_open(&scene, 1024, BPF_MAP_TYPE_LRU_HASH, 1024);
	for (uint16_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		struct flow_key key = flow_key(1, i);
		struct flow flow = {.seen_ns = NOW, .decision = FLOW_DIRECT, .marks = marks[i]};

		assert_int_equal(bpf_map_update_elem(scene.flows, &key, &flow, BPF_ANY), 0);
	}
	while (flow_sweep_step(scene.sweep, NOW) > 0)
		;
	assert_int_equal(flow_sweep_round(scene.sweep)->unanswered, 2);
	assert_memory_equal(&flow_sweep_round(scene.sweep)->example.client,
		&(struct abi_address[]){scratch_address(1)}, sizeof(struct abi_address));
	assert_int_equal(flow_count_read(scene.flows, NOW, &count, NULL, NULL), 0);
	assert_int_equal(count.unanswered, 2);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_timeout),
		cmocka_unit_test(connections_are_counted_by_source_and_state),
		cmocka_unit_test(a_source_without_connections_is_told_no_more),
		cmocka_unit_test(attempts_are_those_of_the_beginning),
		cmocka_unit_test(a_flow_that_changed_stays),
		cmocka_unit_test(a_flow_that_changes_in_that_moment_stays),
		cmocka_unit_test(a_round_that_fails_changes_no_number),
		cmocka_unit_test(the_cost_of_a_round_is_told),
		cmocka_unit_test(connections_without_answers_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
