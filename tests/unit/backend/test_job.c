// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done later counts once, for who began it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/job.h"

static char owner[STANDING_JOB_OWNER];

static void usage_counts_once_for_who_began_it(void **state)
{
	struct standing *s = standing_new();

	(void)state;
	job_begin(s, SLICE("batch_1"), SLICE("alice"), 1);
	job_begin(s, SLICE("batch_2"), SLICE("bob"), 1);
	assert_int_equal(job_tell(s, SLICE("batch_1"), 2, owner), JOB_FIRST);
	assert_string_equal(owner, "alice");
	assert_int_equal(job_tell(s, SLICE("batch_1"), 3, owner), JOB_AGAIN);
	assert_string_equal(owner, "alice");
	assert_int_equal(job_tell(s, SLICE("batch_2"), 3, owner), JOB_FIRST);
	assert_string_equal(owner, "bob");
	standing_free(s);
}

static void nobody_takes_it_from_another(void **state)
{
	struct standing *s = standing_new();

	(void)state;
	job_begin(s, SLICE("batch_1"), SLICE("alice"), 1);
	job_begin(s, SLICE("batch_1"), SLICE("mallory"), 2);
	job_adopt(s, SLICE("batch_2"), SLICE("batch_1"), 2);
	assert_int_equal(job_tell(s, SLICE("batch_1"), 3, owner), JOB_FIRST);
	assert_string_equal(owner, "alice");
	job_begin(s, SLICE("batch_1"), SLICE("mallory"), 4);
	assert_int_equal(job_tell(s, SLICE("batch_1"), 5, owner), JOB_AGAIN);
	standing_free(s);
}

static void what_a_job_made_is_a_part_of_it(void **state)
{
	struct standing *s = standing_new();

	(void)state;
	job_begin(s, SLICE("batch_1"), SLICE("alice"), 1);
	job_adopt(s, SLICE("batch_1"), SLICE("file-out"), 2);
	assert_int_equal(job_tell(s, SLICE("file-out"), 3, owner), JOB_FIRST);
	assert_string_equal(owner, "alice");
	assert_int_equal(job_tell(s, SLICE("file-out"), 3, owner), JOB_AGAIN);
	assert_int_equal(job_tell(s, SLICE("batch_1"), 3, owner), JOB_AGAIN);
	/* Of a batch that nobody knows, the file is told once as well. */
	job_adopt(s, SLICE("batch_9"), SLICE("file-9"), 2);
	assert_int_equal(job_tell(s, SLICE("file-9"), 3, owner), JOB_UNKNOWN);
	assert_int_equal(job_tell(s, SLICE("batch_9"), 3, owner), JOB_AGAIN);
	assert_int_equal(job_tell(s, SLICE("file-9"), 3, owner), JOB_AGAIN);
	/* Nothing goes round in a circle. */
	job_adopt(s, SLICE("a"), SLICE("b"), 2);
	job_adopt(s, SLICE("b"), SLICE("a"), 2);
	job_adopt(s, SLICE("c"), SLICE("c"), 2);
	job_tell(s, SLICE("a"), 3, owner);
	standing_free(s);
}

static void what_nobody_knows_is_told_once(void **state)
{
	struct standing *s = standing_new();

	(void)state;
	assert_int_equal(job_tell(s, SLICE("resp_1"), 3, owner), JOB_UNKNOWN);
	assert_string_equal(owner, "");
	assert_int_equal(job_tell(s, SLICE("resp_1"), 3, owner), JOB_AGAIN);
	standing_free(s);
}

static void a_long_name_is_cut(void **state)
{
	struct standing *s = standing_new();
	char name[200];

	(void)state;
	memset(name, 'x', sizeof(name));
	job_begin(s, SLICE("j"), slice_of(name, sizeof(name)), 1);
	job_tell(s, SLICE("j"), 2, owner);
	assert_int_equal(strlen(owner), STANDING_JOB_OWNER - 1);
	standing_free(s);
}

/* More than there are places for: the oldest go, the newest stay. */
static void the_table_is_bounded(void **state)
{
	struct standing *s = standing_new();
	unsigned kept = 0;
	char id[32];

	(void)state;
	for (unsigned i = 0; i < 8 * STANDING_JOBS; i++) {
		snprintf(id, sizeof(id), "batch_%u", i);
		job_begin(s, slice_of_string(id), SLICE("alice"), i);
	}
	for (unsigned i = 8 * STANDING_JOBS - STANDING_JOBS / 4; i < 8 * STANDING_JOBS; i++) {
		snprintf(id, sizeof(id), "batch_%u", i);
		kept += job_tell(s, slice_of_string(id), 1, owner) == JOB_FIRST;
	}
	assert_true(kept > STANDING_JOBS / 5);
	standing_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_counts_once_for_who_began_it),
		cmocka_unit_test(nobody_takes_it_from_another),
		cmocka_unit_test(what_a_job_made_is_a_part_of_it),
		cmocka_unit_test(what_nobody_knows_is_told_once),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(the_table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
