// SPDX-License-Identifier: GPL-2.0-or-later
/* The stamps in a map of the kernel, seen from both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/heartbeat.h"

struct stamps {
	int map;
	struct heartbeat *worker, *parent;
};

static int map_make(uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "heartbeats", sizeof(uint32_t), sizeof(uint64_t),
		HEARTBEATS_MAX, &options);
}

static int setup(void **state)
{
	static struct stamps stamps;
	struct why why = {""};

	stamps.map = map_make(BPF_F_MMAPABLE);
	assert_true(stamps.map >= 0);
	assert_int_equal(heartbeat_map(stamps.map, 3, &stamps.worker, &why), 0);
	assert_int_equal(heartbeat_map(stamps.map, HEARTBEAT_SCOUT, &stamps.parent, &why), 0);
	*state = &stamps;
	return 0;
}

static int teardown(void **state)
{
	struct stamps *stamps = *state;

	heartbeat_unmap(stamps->worker);
	heartbeat_unmap(stamps->parent);
	close(stamps->map);
	return 0;
}

static uint64_t in_kernel(const struct stamps *stamps, uint32_t index)
{
	uint64_t stamp = UINT64_MAX;

	assert_int_equal(bpf_map_lookup_elem(stamps->map, &index, &stamp), 0);
	return stamp;
}

static void before_the_first_stamp_there_is_no_life(void **state)
{
	struct stamps *stamps = *state;

	for (unsigned i = 0; i < HEARTBEATS_MAX; i++) {
		assert_int_equal(heartbeat_read(stamps->parent, i), 0);
		assert_int_equal(in_kernel(stamps, i), 0);
	}
}

static void a_stamp_is_the_time_and_only_the_own_one_changes(void **state)
{
	struct stamps *stamps = *state;
	uint64_t before = clock_monotonic_ns(), stamp;

	heartbeat_stamp(stamps->worker);
	stamp = in_kernel(stamps, 3);
	assert_true(stamp >= before && stamp <= clock_monotonic_ns());
	assert_int_equal(heartbeat_read(stamps->parent, 3), stamp);
	for (unsigned i = 0; i < HEARTBEATS_MAX; i++)
		if (i != 3)
			assert_int_equal(in_kernel(stamps, i), 0);
}

static void a_stamp_outlives_its_owner_and_the_fd(void **state)
{
	struct stamps *stamps = *state;
	struct heartbeat *last;
	struct why why = {""};
	int again = dup(stamps->map);

	assert_int_equal(heartbeat_map(again, WORKERS_MAX - 1, &last, &why), 0);
	close(again);
	heartbeat_stamp(last);
	heartbeat_unmap(last);
	assert_true(heartbeat_read(stamps->parent, WORKERS_MAX - 1) > 0);
}

static void the_parent_vouches_for_another(void **state)
{
	struct stamps *stamps = *state;
	uint64_t before = clock_monotonic_ns();

	heartbeat_vouch(stamps->parent, 7);
	assert_true(in_kernel(stamps, 7) >= before);
	assert_int_equal(in_kernel(stamps, HEARTBEAT_SCOUT), 0);
}

static void an_index_out_of_the_map_is_nobody(void **state)
{
	struct stamps *stamps = *state;
	struct heartbeat *nobody;
	struct why why = {""};

	assert_int_equal(heartbeat_map(stamps->map, HEARTBEATS_MAX, &nobody, &why), -EINVAL);
	assert_null(nobody);
	heartbeat_vouch(stamps->parent, HEARTBEATS_MAX);
	assert_int_equal(heartbeat_read(stamps->parent, HEARTBEATS_MAX), 0);
}

static void a_map_that_cannot_be_mapped_is_explained(void **state)
{
	struct heartbeat *none;
	struct why why = {""};
	int map = map_make(0);

	(void)state;
	assert_true(map >= 0);
	assert_true(heartbeat_map(map, 0, &none, &why) < 0);
	assert_null(none);
	assert_non_null(strstr(why.text, "heartbeat: cannot map"));
	close(map);
}

int main(void)
{
#define ON_A_MAP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ON_A_MAP(before_the_first_stamp_there_is_no_life),
		ON_A_MAP(a_stamp_is_the_time_and_only_the_own_one_changes),
		ON_A_MAP(a_stamp_outlives_its_owner_and_the_fd),
		ON_A_MAP(the_parent_vouches_for_another),
		ON_A_MAP(an_index_out_of_the_map_is_nobody),
		cmocka_unit_test(a_map_that_cannot_be_mapped_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
