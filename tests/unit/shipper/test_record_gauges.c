// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits in the spool is told exactly, over restarts and while it is acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "shipper/record_gauges.h"
#include "tests/support/spool_box.h"

#define LIMIT (1u << 30)

struct scene {
	struct spool_box *box;
	struct spool *spool;
	struct counters *counters;
	struct record_gauges gauges;
	char path[96];
	uint64_t next; /* sequence */
};

static int scene_setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct why why;

	*state = s;
	if (spool_box_setup((void **)&s->box))
		return -1;
	s->next = 1;
	snprintf(s->path, sizeof(s->path), "%s/counters", s->box->path);
	s->spool = spool_box_open(s->box);
	if (counters_create(s->path, &s->counters, &why))
		return -1;
	record_gauges_open(&s->gauges, s->spool, s->counters, LIMIT);
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *s = *state;
	void *box = s->box;

	spool_close(s->spool);
	counters_close(s->counters);
	spool_box_teardown(&box);
	free(s);
	return 0;
}

static uint64_t told(const struct scene *s, enum counter which)
{
	uint64_t value;

	assert_true(counter_gauge(s->counters, which, &value));
	return value;
}

static void write_events(struct scene *s, uint64_t n)
{
	for (uint64_t written = 0; n; n--) {
		if (spool_box_append(s->spool, 1, s->next, 1000) != 0) {
			assert_int_equal(spool_write(s->spool), 0);
			assert_int_equal(spool_box_append(s->spool, 1, s->next, 1000), 0);
		}
		s->next++;
		written++;
		assert_int_equal(spool_write(s->spool), 0);
		record_gauges_written(&s->gauges, 1);
	}
}

/* As the link does it: the spool is told later. */
static void acknowledge(struct scene *s, uint32_t n, bool spool_too)
{
	struct spool_position at = spool_cursor(s->spool);
	struct spool_box_read read = {.n = 0};

	while (read.n < n)
		assert_true(spool_read(s->spool, &at, (uint32_t)(n - read.n), 1 << 20,
				    spool_box_given, &read) > 0);
	free(read.sequences);
	record_gauges_acknowledged(&s->gauges, n, &at);
	if (spool_too)
		spool_acknowledge(s->spool, &at);
}

static void restart(struct scene *s)
{
	spool_close(s->spool);
	s->spool = spool_box_open(s->box);
	record_gauges_open(&s->gauges, s->spool, s->counters, LIMIT);
}

static void tell(struct scene *s)
{
	while (record_gauges_tell(&s->gauges, true, false))
		;
}

static void an_empty_spool_has_nothing_that_waits(void **state)
{
	struct scene *s = *state;

	assert_false(record_gauges_tell(&s->gauges, false, true));
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 0);
	assert_int_equal(told(s, COUNTER_RECORD_BYTES), 0);
	assert_int_equal(told(s, COUNTER_RECORD_OLDEST), 0);
	assert_int_equal(told(s, COUNTER_RECORD_CONNECTED), 0);
	assert_int_equal(told(s, COUNTER_RECORD_BLOCKED), 1);
	assert_int_equal(told(s, COUNTER_RECORD_LIMIT), LIMIT);
	assert_true(told(s, COUNTER_RECORD_TOLD) > clock_monotonic_ns() - 60 * NS_PER_S);
}

static void what_is_written_waits_until_it_is_acknowledged(void **state)
{
	struct scene *s = *state;

	write_events(s, 100); /* several segments */
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 100);
	assert_in_range(told(s, COUNTER_RECORD_BYTES), 100 * 1000, 100 * 1300);
	assert_int_equal(told(s, COUNTER_RECORD_SPOOL), spool_size(s->spool));
	acknowledge(s, 60, true);
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 40);
	assert_in_range(told(s, COUNTER_RECORD_BYTES), 40 * 1000, 40 * 1300);
	acknowledge(s, 40, true);
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 0);
	assert_int_equal(told(s, COUNTER_RECORD_BYTES), 0);
	assert_int_equal(told(s, COUNTER_RECORD_OLDEST), 0);
}

static void what_an_earlier_life_left_is_counted(void **state)
{
	struct scene *s = *state;

	write_events(s, 100);
	acknowledge(s, 30, true);
	restart(s);
	/* Before all of it is counted, and while more comes. */
	write_events(s, 5);
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 75);
	assert_int_equal(told(s, COUNTER_RECORD_UNCOUNTED), 0);
	acknowledge(s, 75, true);
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 0);
}

static void what_leaves_before_it_is_counted_is_not_counted_twice(void **state)
{
	struct scene *s = *state;

	write_events(s, 100);
	restart(s);
	acknowledge(s, 90, false); /* the spool is told later, and the files are still there */
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 10);
	restart(s);
	acknowledge(s, 90, true);
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 10);
}

static void damaged_events_do_not_wait_for_ever(void **state)
{
	struct scene *s = *state;

	write_events(s, 10);
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 10);
	spool_box_flip(s->box, 1, spool_box_size(s->box, 1) - 1);
	acknowledge(s, 9, false);
	/* The link passes over the last one. */
	spool_acknowledge(s->spool, &(struct spool_position){1, spool_box_size(s->box, 1)});
	tell(s);
	assert_int_equal(told(s, COUNTER_RECORD_EVENTS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_spool_has_nothing_that_waits),
		TEST(what_is_written_waits_until_it_is_acknowledged),
		TEST(what_an_earlier_life_left_is_counted),
		TEST(what_leaves_before_it_is_counted_is_not_counted_twice),
		TEST(damaged_events_do_not_wait_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
