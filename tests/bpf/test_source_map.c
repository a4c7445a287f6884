// SPDX-License-Identifier: GPL-2.0-or-later
/* What userspace reads from the kernel's map of sources, and how it reads maps as a whole, on real
 * maps that the tests fill by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/map_batch.h"
#include "kernel/source_map.h"
#include "tests/support/scratch_map.h"

#define MANY 30000u /* beyond any batch, and more than 24 k */

/* ---- sources ---- */

static struct source_counters *each_cpu;
static int cpus;

static int sources_make(uint32_t entries)
{
	return scratch_map(BPF_MAP_TYPE_LRU_PERCPU_HASH, sizeof(struct abi_address),
		sizeof(struct source_counters), entries);
}

/* Counts number packets on the first CPU and, where there is one, 2 × number on the last. */
static void source_put(int map, uint32_t number)
{
	struct abi_address key = scratch_address(number);

	memset(each_cpu, 0, (size_t)cpus * sizeof(*each_cpu));
	each_cpu[0].packets = number;
	each_cpu[0].seen_ns = 5;
	each_cpu[0].drops[DROP_FLAGS] = 1;
	each_cpu[cpus - 1].bytes_to = 2 * number;
	each_cpu[cpus - 1].seen_ns = 7;
	assert_int_equal(bpf_map_update_elem(map, &key, each_cpu, BPF_ANY), 0);
}

static void every_source_is_read_once_and_summed(void **state)
{
	int map = sources_make(2 * MANY);
	struct datapath_source *all;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		source_put(map, i);
	assert_int_equal(source_map_read(map, &all, &n), 0);
	assert_int_equal(n, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(scratch_number(&all[i].address), i);
		assert_int_equal(all[i].counters.packets, i);
		assert_int_equal(all[i].counters.bytes_to, 2 * i);
		assert_int_equal(all[i].counters.drops[DROP_FLAGS], 1);
		assert_int_equal(all[i].counters.seen_ns, 7);
		assert_int_equal(source_activity(&all[i].counters), 3 * i + 1);
	}
	free(all);
	close(map);
}

static void no_source_is_no_error(void **state)
{
	int map = sources_make(1024);
	struct datapath_source *all = (void *)1;
	size_t n = 1;

	(void)state;
	assert_int_equal(source_map_read(map, &all, &n), 0);
	assert_int_equal(n, 0);
	assert_null(all);
	close(map);
}

/* Runs a process that changes a map, over and over, until it is told to end. */
static pid_t disturb(void (*once)(int map, uint32_t round), int map)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	for (uint32_t round = 0;; round++)
		once(map, round);
}

static void disturb_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Others come and go, in every bucket. */
static void source_come_and_go(int map, uint32_t round)
{
	struct abi_address key = scratch_address(MANY + round % MANY);

	if (round / MANY % 2)
		bpf_map_delete_elem(map, &key);
	else
		bpf_map_update_elem(map, &key, each_cpu, BPF_ANY);
}

static void others_that_come_and_go_hide_and_double_nothing(void **state)
{
	int map = sources_make(4 * MANY);
	struct datapath_source *all;
	pid_t pid;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		source_put(map, i);
	pid = disturb(source_come_and_go, map);
	for (int round = 0; round < 10; round++) {
		assert_int_equal(source_map_read(map, &all, &n), 0);
		assert_true(n >= MANY);
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(scratch_number(&all[i].address), i);
		for (size_t i = MANY; i < n; i++)
			assert_true(scratch_number(&all[i].address) >
				    scratch_number(&all[i - 1].address));
		free(all);
	}
	disturb_end(pid);
	close(map);
}

/* The kernel evicts; what is left is read, each once. */
static void a_full_map_is_read_as_it_is(void **state)
{
	int map = sources_make(4096);
	struct datapath_source *all;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		source_put(map, i);
	assert_int_equal(source_map_read(map, &all, &n), 0);
	assert_in_range(n, 1024, 4096);
	for (size_t i = 1; i < n; i++)
		assert_true(scratch_number(&all[i].address) > scratch_number(&all[i - 1].address));
	free(all);
	close(map);
}

static void a_map_of_another_layout_is_refused(void **state)
{
	int map = scratch_map(BPF_MAP_TYPE_LRU_PERCPU_HASH, sizeof(struct abi_address),
		sizeof(struct source_counters) - 8, 1024);
	struct datapath_source *all;
	size_t n;

	(void)state;
	assert_int_equal(source_map_read(map, &all, &n), -EPROTO);
	assert_null(all);
	close(map);
}

/* ---- batches ---- */

/* Maps of devices are among those that the kernel does not read in batches. */
static void without_batches_it_goes_key_by_key(void **state)
{
	int map = scratch_map(BPF_MAP_TYPE_DEVMAP_HASH, 4, 4, 2048);
	static bool met[1000];
	struct map_batch batch;
	uint32_t loopback = 1, n = 0;

	(void)state;
	for (uint32_t key = 0; key < 1000; key++)
		assert_int_equal(bpf_map_update_elem(map, &key, &loopback, BPF_ANY), 0);
	assert_int_equal(map_batch_open(&batch, map, 64), 0);
	for (int pass = 0; pass < 2; pass++, map_batch_rewind(&batch)) {
		memset(met, 0, sizeof(met));
		for (n = 0; !batch.done; n += batch.n) {
			int got = map_batch_next(&batch);

			assert_in_range(got, 0, 64);
			for (uint32_t i = 0; i < batch.n; i++) {
				uint32_t key = *(const uint32_t *)map_batch_key(&batch, i);

				assert_in_range(key, 0, 999);
				assert_false(met[key]);
				met[key] = true;
				assert_int_equal(
					*(const uint32_t *)map_batch_value(&batch, i), loopback);
			}
		}
		assert_int_equal(n, 1000);
		assert_true(batch.by_keys);
		assert_int_equal(map_batch_next(&batch), 0);
	}
	map_batch_close(&batch);
	close(map);
}

/* One entry at a time is less than most buckets hold: asked again, with more room. */
static void a_bucket_larger_than_the_batch_is_read_whole(void **state)
{
	int map = scratch_map(BPF_MAP_TYPE_HASH, 4, 4, 1024);
	struct map_batch batch;
	uint32_t n = 0;

	(void)state;
	for (uint32_t key = 0; key < 1024; key++)
		assert_int_equal(bpf_map_update_elem(map, &key, &key, BPF_ANY), 0);
	assert_int_equal(map_batch_open(&batch, map, 1), 0);
	while (!batch.done) {
		assert_true(map_batch_next(&batch) >= 0);
		n += batch.n;
	}
	assert_int_equal(n, 1024);
	assert_true(batch.retried > 0);
	assert_false(batch.by_keys);
	map_batch_close(&batch);
	close(map);
}

static int setup(void **state)
{
	(void)state;
	cpus = libbpf_num_possible_cpus();
	each_cpu = cpus > 0 ? calloc((size_t)cpus, sizeof(*each_cpu)) : NULL;
	return each_cpu ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(each_cpu);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_source_is_read_once_and_summed),
		cmocka_unit_test(no_source_is_no_error),
		cmocka_unit_test(others_that_come_and_go_hide_and_double_nothing),
		cmocka_unit_test(a_full_map_is_read_as_it_is),
		cmocka_unit_test(a_map_of_another_layout_is_refused),
		cmocka_unit_test(without_batches_it_goes_key_by_key),
		cmocka_unit_test(a_bucket_larger_than_the_batch_is_read_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
