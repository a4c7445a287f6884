// SPDX-License-Identifier: GPL-2.0-or-later
/* Times in which connections passed unseen: what is counted, and what the next life knows of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "supervise/open_period.h"

struct scene {
	char directory[32];
	_Atomic uint64_t counted[COUNTER_COUNT];
	struct counters counters;
	struct open_period period;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	strcpy(scene->directory, "/tmp/sallyport-test-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	scene->counters.own = scene->counted;
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	char path[64];

	snprintf(path, sizeof(path), "%s/open", scene->directory);
	unlink(path);
	assert_int_equal(rmdir(scene->directory), 0);
	free(scene);
	return 0;
}

static void look(struct scene *scene, bool open, uint64_t open_ns, uint64_t total)
{
	open_period_look(&scene->period, scene->directory, open, open_ns, total,
		&scene->counters, NULL);
}

static void a_time_has_a_begin_an_end_and_what_passed(void **state)
{
	struct scene *scene = *state;
	uint64_t begin_ns = clock_realtime_ns();
	struct open_record record;

	assert_false(open_period_begin(&scene->period, scene->directory, 0, 0));
	look(scene, false, 0, 0);
	assert_int_equal(open_record_read(scene->directory).begin_ns, 0);
	/* Two passed before it was noticed. */
	look(scene, true, begin_ns, 2);
	record = open_record_read(scene->directory);
	assert_int_equal(record.begin_ns, begin_ns);
	assert_int_equal(record.end_ns, 0);
	look(scene, true, begin_ns + 1, 5);
	look(scene, false, 0, 6);
	record = open_record_read(scene->directory);
	assert_int_equal(record.begin_ns, begin_ns);
	assert_true(record.end_ns >= begin_ns);
	assert_int_equal(record.passed, 6);
	assert_int_equal(record.total, 6);
	look(scene, false, 0, 6);
	assert_int_equal(scene->counted[COUNTER_FAIL_OPEN_PERIODS], 1);
	assert_int_equal(scene->counted[COUNTER_FAIL_OPEN_PASSED], 6);
}

static void one_that_began_and_ended_between_two_looks_is_told(void **state)
{
	struct scene *scene = *state;

	open_period_begin(&scene->period, scene->directory, 0, 0);
	look(scene, false, clock_realtime_ns(), 3);
	assert_int_equal(scene->counted[COUNTER_FAIL_OPEN_PASSED], 3);
	assert_int_equal(open_record_read(scene->directory).passed, 3);
}

static void what_passed_without_a_daemon_is_told_by_the_next_one(void **state)
{
	struct scene *scene = *state;
	uint64_t alive_ns = clock_realtime_ns();

	open_period_begin(&scene->period, scene->directory, 0, 0);
	look(scene, true, alive_ns, 1);
	look(scene, false, 0, 2);
	/* It dies; ten pass; another one starts. */
	assert_true(open_period_begin(&scene->period, scene->directory, 12, alive_ns + 5));
	look(scene, false, 0, 12);
	assert_int_equal(open_record_read(scene->directory).begin_ns, alive_ns + 5);
	assert_int_equal(open_record_read(scene->directory).passed, 10);
	/* It dies in the middle of one: that goes on. */
	look(scene, true, alive_ns + 6, 13);
	assert_true(open_period_begin(&scene->period, scene->directory, 20, alive_ns + 9));
	look(scene, false, 0, 20);
	assert_int_equal(open_record_read(scene->directory).begin_ns, alive_ns + 6);
	assert_int_equal(open_record_read(scene->directory).passed, 8);
	assert_int_equal(scene->counted[COUNTER_FAIL_OPEN_PERIODS], 3);
}

static void a_count_that_begins_anew_is_no_time(void **state)
{
	struct scene *scene = *state;

	open_period_begin(&scene->period, scene->directory, 0, 0);
	look(scene, true, clock_realtime_ns(), 5);
	look(scene, false, 0, 5);
	assert_false(open_period_begin(&scene->period, scene->directory, 0, 0));
	look(scene, false, 0, 0);
	assert_int_equal(scene->counted[COUNTER_FAIL_OPEN_PERIODS], 1);
}

static void a_file_that_cannot_be_read_is_none(void **state)
{
	struct scene *scene = *state;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/open", scene->directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("1 2 three", file);
	fclose(file);
	assert_int_equal(open_record_read(scene->directory).total, 0);
	assert_int_equal(open_record_read("/nonexistent").total, 0);
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(a_time_has_a_begin_an_end_and_what_passed),
		SCENE_TEST(one_that_began_and_ended_between_two_looks_is_told),
		SCENE_TEST(what_passed_without_a_daemon_is_told_by_the_next_one),
		SCENE_TEST(a_count_that_begins_anew_is_no_time),
		SCENE_TEST(a_file_that_cannot_be_read_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
