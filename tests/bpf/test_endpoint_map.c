// SPDX-License-Identifier: GPL-2.0-or-later
/* What the endpoint map knows of an address that several hosts share. Times are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kernel/endpoint_map.h"
#include "kernel/endpoint_room.h"

#define NOW 1000

static struct address shared;

static int setup(void **state)
{
	static int map;

	map = bpf_map_create(BPF_MAP_TYPE_HASH, "endpoints", sizeof(struct abi_address),
		sizeof(struct endpoint), 4, NULL);
	assert_true(map >= 0);
	assert_int_equal(address_parse("192.0.2.1", &shared), 0);
	*state = &map;
	return 0;
}

static int teardown(void **state)
{
	return close(*(int *)*state);
}

static void learn(int map, enum fail fail, uint64_t expires_ns, uint64_t now_ns)
{
	assert_int_equal(
		endpoint_map_learn(map, &shared, expires_ns, ENDPOINT_RESOLVED, fail, now_ns), 0);
}

static struct endpoint known(int map)
{
	struct endpoint endpoint;

	assert_int_equal(bpf_map_lookup_elem(map, &shared, &endpoint), 0);
	return endpoint;
}

static void an_address_has_the_mode_of_its_host(void **state)
{
	int map = *(int *)*state;

	learn(map, FAIL_OPEN, NOW + 100, NOW);
	assert_int_equal(known(map).fail, FAIL_OPEN);
	assert_int_equal(known(map).expires_ns, NOW + 100);
}

static void the_strictest_host_wins_in_any_order(void **state)
{
	int map = *(int *)*state;

	learn(map, FAIL_OPEN, NOW + 100, NOW);
	learn(map, FAIL_CLOSED, NOW + 50, NOW);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	assert_int_equal(known(map).expires_ns, NOW + 100);
	learn(map, FAIL_OPEN, NOW + 200, NOW + 49);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	assert_int_equal(known(map).expires_ns, NOW + 200);
}

static void closed_ends_with_its_host_however_often_an_open_one_is_learned(void **state)
{
	int map = *(int *)*state;

	learn(map, FAIL_CLOSED, NOW + 50, NOW);
	learn(map, FAIL_OPEN, NOW + 200, NOW + 10);
	assert_int_equal(endpoint_map_sweep(map, NOW + 49), 0);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	/* By a sweep, or by the next word of the open one. */
	assert_int_equal(endpoint_map_sweep(map, NOW + 50), 0);
	assert_int_equal(known(map).fail, FAIL_OPEN);
	learn(map, FAIL_CLOSED, NOW + 60, NOW + 50);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	learn(map, FAIL_OPEN, NOW + 200, NOW + 60);
	assert_int_equal(known(map).fail, FAIL_OPEN);
	assert_int_equal(endpoint_map_sweep(map, NOW + 200), 1);
}

static void what_never_expires_stays_closed(void **state)
{
	int map = *(int *)*state;

	learn(map, FAIL_CLOSED, 0, NOW);
	learn(map, FAIL_OPEN, NOW + 10, NOW);
	assert_int_equal(endpoint_map_sweep(map, UINT64_MAX - 1), 0);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	assert_int_equal(known(map).expires_ns, 0);
}

static void with_one_mode_for_all_every_address_has_it_at_once(void **state)
{
	int map = *(int *)*state;

	learn(map, FAIL_CLOSED, NOW + 100, NOW);
	endpoint_map_fail(map, false, true);
	assert_int_equal(known(map).fail, FAIL_OPEN);
	endpoint_map_fail(map, true, false);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	assert_int_equal(known(map).expires_ns, NOW + 100);
}

static void with_several_modes_an_address_keeps_its_own_until_it_is_learned_again(void **state)
{
	int map = *(int *)*state;

	learn(map, FAIL_CLOSED, NOW + 100, NOW);
	endpoint_map_fail(map, true, true);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	assert_int_equal(endpoint_map_sweep(map, NOW + 99), 0);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
	learn(map, FAIL_OPEN, NOW + 100, NOW + 1);
	assert_int_equal(known(map).fail, FAIL_OPEN);
	endpoint_map_fail(map, true, true);
	assert_int_equal(known(map).fail, FAIL_OPEN);
	learn(map, FAIL_CLOSED, NOW + 100, NOW + 2);
	assert_int_equal(known(map).fail, FAIL_CLOSED);
}

static void prefixes_change_their_mode_in_place(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int map = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "prefixes", sizeof(struct prefix_key),
		sizeof(struct endpoint), 4, &options);
	struct prefix_key key = {.bits = 0};
	struct endpoint endpoint;
	struct prefix prefix;
	struct why why = {""};

	(void)state;
	assert_true(map >= 0);
	assert_int_equal(prefix_parse("198.51.100.0/24", &prefix), 0);
	key.bits = prefix.bits;
	memcpy(key.address.bytes, prefix.address.bytes, sizeof(key.address.bytes));
	assert_int_equal(endpoint_map_prefixes(map, &prefix, 1, 4, FAIL_CLOSED, &why), 0);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &endpoint), 0);
	assert_int_equal(endpoint.fail, FAIL_CLOSED);
	assert_int_equal(endpoint_map_prefixes(map, &prefix, 1, 4, FAIL_OPEN, &why), 0);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &endpoint), 0);
	assert_int_equal(endpoint.fail, FAIL_OPEN);
	close(map);
}

/* --- when the map is full --- */

#define ROOM 32 /* of these, learned ones: 28 */

struct full {
	struct endpoint_room room;
	size_t forgotten;
	uint8_t last;
};

static void on_forgotten(void *context, const struct address *address)
{
	struct full *full = context;

	full->forgotten++;
	full->last = address->bytes[15];
}

static struct address numbered(unsigned i)
{
	struct address address = shared;

	address.bytes[14] = (uint8_t)(i >> 8);
	address.bytes[15] = (uint8_t)i;
	return address;
}

static int learn_numbered(
	struct full *full, unsigned i, enum endpoint_source source, uint64_t expires_ns)
{
	struct address address = numbered(i);

	return endpoint_room_learn(
		&full->room, &address, expires_ns, source, FAIL_CLOSED, NOW);
}

static bool is_known(struct full *full, unsigned i)
{
	struct address address = numbered(i);
	struct endpoint endpoint;

	return bpf_map_lookup_elem(full->room.map, &address, &endpoint) == 0;
}

static int setup_full(void **state)
{
	static struct full full;
	int map = bpf_map_create(BPF_MAP_TYPE_HASH, "endpoints", sizeof(struct abi_address),
		sizeof(struct endpoint), ROOM, NULL);

	assert_true(map >= 0);
	assert_int_equal(address_parse("192.0.2.0", &shared), 0);
	full = (struct full){0};
	endpoint_room_open(&full.room, map, ROOM);
	full.room.forgotten = on_forgotten;
	full.room.context = &full;
	*state = &full;
	return 0;
}

static int teardown_full(void **state)
{
	return close(((struct full *)*state)->room.map);
}

static void learned_ones_leave_room_for_resolved_ones(void **state)
{
	struct full *full = *state;

	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(learn_numbered(full, i, ENDPOINT_DNS, NOW + 100 + i), 0);
	assert_true(full->room.n <= ROOM - ROOM / 8);
	assert_true(is_known(full, 999));
	/* Always the one that was heard of longest ago. */
	assert_false(is_known(full, 999 - ROOM));
	assert_int_equal(full->forgotten, 1000 - full->room.n);
	for (unsigned i = 1000; i < 1000 + ROOM / 8; i++)
		assert_int_equal(learn_numbered(full, i, ENDPOINT_RESOLVED, NOW + 1), 0);
	assert_int_equal(full->forgotten, 1000 - full->room.learned);
}

static void what_only_a_hello_spoke_of_goes_first(void **state)
{
	struct full *full = *state;

	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(learn_numbered(full, i, ENDPOINT_DNS, NOW + 10 + i), 0);
	for (unsigned i = 100; i < 1000; i++)
		assert_int_equal(learn_numbered(full, i, ENDPOINT_SNI, NOW + 1000 + i), 0);
	for (unsigned i = 0; i < 14; i++)
		assert_true(is_known(full, i));
	assert_true(is_known(full, 999));
}

static void resolved_ones_push_learned_ones_out_and_nothing_else(void **state)
{
	struct full *full = *state;

	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(learn_numbered(full, i, ENDPOINT_DNS, NOW + 10 + i), 0);
	for (unsigned i = 100; i < 100 + ROOM; i++)
		assert_int_equal(learn_numbered(full, i, ENDPOINT_RESOLVED, NOW + 1), 0);
	assert_int_equal(full->room.learned, 0);
	assert_int_equal(full->forgotten, 20);
	/* Full of what cannot go. */
	assert_int_equal(learn_numbered(full, 1, ENDPOINT_DNS, NOW + 10), -ENOSPC);
	assert_int_equal(learn_numbered(full, 1, ENDPOINT_RESOLVED, NOW + 10), -ENOSPC);
	assert_int_equal(learn_numbered(full, 100, ENDPOINT_DNS, NOW + 10), 0);
	/* By whose word it is there: not by that of the last one. */
	assert_int_equal(full->room.learned, 0);
	assert_int_equal(endpoint_room_sweep(&full->room, NOW + 2), ROOM - 1);
	assert_int_equal(learn_numbered(full, 1, ENDPOINT_DNS, NOW + 10), 0);
}

static void what_an_earlier_life_learned_is_counted(void **state)
{
	struct full *full = *state;
	struct endpoint_room again;

	learn_numbered(full, 1, ENDPOINT_DNS, NOW + 10);
	learn_numbered(full, 2, ENDPOINT_SNI, NOW + 10);
	learn_numbered(full, 3, ENDPOINT_RESOLVED, NOW + 10);
	endpoint_room_open(&again, full->room.map, ROOM);
	assert_int_equal(again.n, 3);
	assert_int_equal(again.learned, 2);
}

int main(void)
{
#define ON_A_MAP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ON_A_FULL_MAP(test) cmocka_unit_test_setup_teardown(test, setup_full, teardown_full)
	const struct CMUnitTest tests[] = {
		ON_A_MAP(an_address_has_the_mode_of_its_host),
		ON_A_MAP(the_strictest_host_wins_in_any_order),
		ON_A_MAP(closed_ends_with_its_host_however_often_an_open_one_is_learned),
		ON_A_MAP(what_never_expires_stays_closed),
		ON_A_MAP(with_one_mode_for_all_every_address_has_it_at_once),
		ON_A_MAP(with_several_modes_an_address_keeps_its_own_until_it_is_learned_again),
		cmocka_unit_test(prefixes_change_their_mode_in_place),
		ON_A_FULL_MAP(learned_ones_leave_room_for_resolved_ones),
		ON_A_FULL_MAP(what_only_a_hello_spoke_of_goes_first),
		ON_A_FULL_MAP(resolved_ones_push_learned_ones_out_and_nothing_else),
		ON_A_FULL_MAP(what_an_earlier_life_learned_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
