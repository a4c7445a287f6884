// SPDX-License-Identifier: GPL-2.0-or-later
/* A recorder whose ring is full: who waits is served in order, once, with the event as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/record.h"
#include "audit/recorder.h"
#include "tests/support/recorder_scene.h"

#define WAITERS 5

struct scene;

struct waiter {
	struct recorder_waiter waiter;
	struct scene *scene;
	unsigned number, woken;
};

struct scene {
	struct recorder_scene recording;
	struct waiter waiters[WAITERS];
	unsigned order[WAITERS], nwoken;
	uint64_t sequence; /* of the last record that was taken */
};

static void woken(struct recorder_waiter *waiter)
{
	struct waiter *w = (struct waiter *)(void *)waiter;

	assert_int_equal(w->woken++, 0);
	w->scene->order[w->scene->nwoken++] = w->number;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	recorder_scene_open(&scene->recording, 1 << 16, true);
	for (unsigned i = 0; i < WAITERS; i++)
		scene->waiters[i] = (struct waiter){{.wake = woken}, scene, i, 0};
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	recorder_scene_close(&scene->recording);
	free(scene);
	return 0;
}

static int record(struct scene *scene, size_t size, struct waiter *waiter)
{
	char *text = malloc(size);
	struct event event = {.kind = SLICE("exchange"), .input_messages = {text, size}};
	int error;

	memset(text, 'x', size);
	error = recorder_record(scene->recording.recorder, &event, waiter ? &waiter->waiter : NULL);
	free(text);
	return error;
}

/* The shipper takes so many records and wakes the recorder. */
static void take(struct scene *scene, unsigned n)
{
	struct ring_cursor cursor = ring_cursor(scene->recording.ring);
	struct record_identity identity;
	struct slice bytes;
	uint64_t one = 1;

	while (n-- && ring_next(scene->recording.ring, &cursor, &bytes) == 1) {
		assert_int_equal(record_check(bytes, &identity), 0);
		assert_int_equal(identity.sequence, scene->sequence + 1);
		scene->sequence = identity.sequence;
	}
	ring_release(scene->recording.ring, &cursor);
	assert_int_equal(write(scene->recording.wake_worker, &one, sizeof(one)), sizeof(one));
	ev_run(scene->recording.loop, EVRUN_NOWAIT);
}

static unsigned fill(struct scene *scene, size_t size)
{
	unsigned n = 0;

	/* Without a waiter what finds no room would be dropped. */
	while (record(scene, size, &scene->waiters[0]) == 0)
		n++;
	return n;
}

static void test_in_order_once_each(void **state)
{
	struct scene *scene = *state;
	unsigned n = fill(scene, 3000);

	/* A large one, which small ones behind it must not overtake. */
	assert_int_equal(record(scene, 30000, &scene->waiters[1]), -EAGAIN);
	assert_int_equal(record(scene, 10, &scene->waiters[2]), -EAGAIN);
	assert_int_equal(record(scene, 10, &scene->waiters[3]), -EAGAIN);
	assert_int_equal(scene->nwoken, 0);
	take(scene, 1);
	assert_int_equal(scene->nwoken, 1); /* the first; there is no room for the large one */
	take(scene, 1);
	assert_int_equal(scene->nwoken, 1);
	/* One that comes now waits as well, although it would fit. */
	assert_int_equal(record(scene, 10, &scene->waiters[4]), -EAGAIN);
	take(scene, n);
	assert_int_equal(scene->nwoken, WAITERS);
	for (unsigned i = 0; i < WAITERS; i++)
		assert_int_equal(scene->order[i], i);
	take(scene, 100);
	assert_int_equal(scene->sequence, n + WAITERS);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 0);
}

static void test_who_gives_up_is_a_gap(void **state)
{
	struct scene *scene = *state;
	unsigned n = fill(scene, 3000);

	assert_int_equal(record(scene, 10, &scene->waiters[1]), -EAGAIN);
	recorder_cancel(scene->recording.recorder, &scene->waiters[0].waiter);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 1);
	take(scene, n);
	assert_int_equal(scene->nwoken, 1);
	assert_int_equal(scene->waiters[1].woken, 1);
	scene->sequence++; /* the one that gave up */
	take(scene, 100);
	assert_int_equal(scene->sequence, n + 2);
}

/* A failed handshake, whose connection is gone, is told when there is room again; not more of them
 * than there is room for, and what is too much is counted and a gap. */
static void test_with_whom_nobody_waits_waits_by_itself(void **state)
{
	struct scene *scene = *state;
	unsigned n = fill(scene, 3000);

	for (unsigned i = 0; i < RECORDER_KEPT_MAX; i++)
		assert_int_equal(record(scene, 10, NULL), 0);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 0);
	assert_int_equal(record(scene, 10, NULL), 0);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 1);
	while (scene->sequence < n + 1 + RECORDER_KEPT_MAX)
		take(scene, 1000);
	assert_int_equal(scene->waiters[0].woken, 1);
	assert_int_equal(record(scene, 10, NULL), 0);
	scene->sequence++; /* the one too many */
	take(scene, 1);
	assert_int_equal(scene->sequence, n + 3 + RECORDER_KEPT_MAX);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 1);
	/* At the end those that still wait are lost, which is counted. */
	fill(scene, 3000);
	assert_int_equal(record(scene, 10, NULL), 0);
	recorder_cancel(scene->recording.recorder, &scene->waiters[0].waiter);
}

static void test_who_cannot_wait_is_dropped_or_comes_again(void **state)
{
	struct scene *scene = *state;
	struct event event = {.kind = SLICE("bypass")};

	fill(scene, 3000);
	assert_int_equal(recorder_try(scene->recording.recorder, &event), -EAGAIN);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 0);
	recorder_drop(scene->recording.recorder);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 1);
	recorder_cancel(scene->recording.recorder, &scene->waiters[0].waiter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order_once_each, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_with_whom_nobody_waits_waits_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_gives_up_is_a_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_who_cannot_wait_is_dropped_or_comes_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
