// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of connections that are not inspected, when there are more than anybody reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/bypass_event.h"
#include "tests/support/recorder_scene.h"

struct scene {
	struct recorder_scene recording;
	struct bypass_events *events;
	/* What the events that were read say. */
	size_t alone, summed; /* events of one connection, and of many */
	uint64_t left_out, refused_left_out;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	recorder_scene_open(&scene->recording, 1 << 14, true);
	scene->events = bypass_events_new(
		scene->recording.loop, scene->recording.recorder, &scene->recording.counters);
	assert_non_null(scene->events);
	*state = scene;
	return 0;
}

static void events_end(struct scene *scene)
{
	bypass_events_free(scene->events);
	scene->events = NULL;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	events_end(scene);
	recorder_scene_close(&scene->recording);
	free(scene);
	return 0;
}

static void read_event(struct scene *scene, struct slice record)
{
	msgpack_unpacked unpacked;
	uint64_t left_out = 0;
	bool denied = false;
	size_t at = 0;

	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, record.data + 8, record.len - 8, &at),
		MSGPACK_UNPACK_SUCCESS);
	for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
		const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
		struct slice key = slice_of(pair->key.via.str.ptr, pair->key.via.str.size);

		if (slice_equal(key, SLICE("bypass.left_out")))
			left_out = pair->val.via.u64;
		if (slice_equal(key, SLICE("event.action")))
			denied = pair->val.via.str.size == 4;
	}
	msgpack_unpacked_destroy(&unpacked);
	if (!left_out) {
		scene->alone++;
		return;
	}
	scene->summed++;
	scene->left_out += left_out;
	scene->refused_left_out += denied ? left_out : 0;
}

static void read_all(struct scene *scene)
{
	struct ring_cursor cursor = ring_cursor(scene->recording.ring);
	struct slice record;

	while (ring_next(scene->recording.ring, &cursor, &record) == 1)
		read_event(scene, record);
	ring_release(scene->recording.ring, &cursor);
}

static void add(struct scene *scene, unsigned source, bool refused)
{
	struct bypass_event event = {.kind = HELLO_UNLISTED,
		.refused = refused,
		.source = {.address = {{0xfd, [14] = (uint8_t)(source >> 8), (uint8_t)source}}},
		.name = SLICE("www.example.org")};

	bypass_events_add(scene->events, &event);
}

static void of_one_source_some_are_told_and_the_number_of_the_rest(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 100; i++)
		add(scene, 1, i % 2);
	add(scene, 2, false); /* which is told, whatever the other one does */
	read_all(scene);
	assert_int_equal(scene->alone, BYPASS_EVENTS_OF_SOURCE + 1);
	assert_int_equal(scene->summed, 0);
	events_end(scene);
	read_all(scene);
	assert_int_equal(scene->alone, BYPASS_EVENTS_OF_SOURCE + 1);
	assert_int_equal(scene->summed, 2); /* of those that passed, and of those that did not */
	assert_int_equal(scene->left_out, 100 - BYPASS_EVENTS_OF_SOURCE);
	assert_int_equal(scene->refused_left_out, (100 - BYPASS_EVENTS_OF_SOURCE) / 2);
	assert_int_equal(
		scene->recording.counted[COUNTER_BYPASS_LEFT_OUT], 100 - BYPASS_EVENTS_OF_SOURCE);
}

static void of_many_sources_no_more_is_told_than_of_all_together(void **state)
{
	struct scene *scene = *state;

	for (unsigned i = 0; i < 5000; i++) {
		add(scene, i, false);
		read_all(scene);
	}
	assert_int_equal(scene->alone, BYPASS_EVENTS);
	/* Each source that the table knows is told by its number, all others together: for want of
	 * room in the ring not all at once. */
	events_end(scene);
	read_all(scene);
	assert_true(scene->left_out > 0);
	assert_true(scene->left_out <= 5000 - BYPASS_EVENTS);
	assert_true(scene->summed <= 1024 + 1);
}

static void what_finds_the_ring_full_is_told_by_its_number(void **state)
{
	struct scene *scene = *state;

	/* Smaller than these events together. */
	for (unsigned i = 0; i < 8 * BYPASS_EVENTS_OF_SOURCE; i++)
		add(scene, i % 8, false);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 0);
	read_all(scene);
	assert_true(scene->alone < 8 * BYPASS_EVENTS_OF_SOURCE);
	events_end(scene);
	read_all(scene);
	assert_int_equal(scene->alone + scene->left_out, 8 * BYPASS_EVENTS_OF_SOURCE);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 0);
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(of_one_source_some_are_told_and_the_number_of_the_rest),
		SCENE_TEST(of_many_sources_no_more_is_told_than_of_all_together),
		SCENE_TEST(what_finds_the_ring_full_is_told_by_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
