// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of what is known of the backends: bounded, shared, and there again after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/health.h"

static void test_rows_are_found_by_both_names(void **state)
{
	struct health *health = health_new();
	struct health_row *whole, *part;

	(void)state;
	assert_null(health_find(health, SLICE("east"), SLICE_NONE));
	whole = health_take(health, SLICE("east"), SLICE_NONE, 1);
	part = health_take(health, SLICE("east"), SLICE("gpt-4o"), 1);
	assert_ptr_not_equal(whole, part);
	assert_ptr_equal(health_find(health, SLICE("east"), SLICE_NONE), whole);
	assert_ptr_equal(health_take(health, SLICE("east"), SLICE("gpt-4o"), 2), part);
	assert_string_equal(part->backend, "east");
	assert_string_equal(part->deployment, "gpt-4o");
	assert_null(health_find(health, SLICE("eas"), SLICE("tgpt-4o")));
	health_free(health);
}

static void test_long_names_are_told_apart(void **state)
{
	struct health *health = health_new();
	char a[200], b[200];

	(void)state;
	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	b[199] = 'y';
	assert_ptr_not_equal(health_take(health, SLICE("east"), slice_of(a, sizeof(a)), 1),
		health_take(health, SLICE("east"), slice_of(b, sizeof(b)), 1));
	health_free(health);
}

/* A client may invent as many names as it likes. */
static void test_the_oldest_deployment_makes_room_and_no_backend_does(void **state)
{
	struct health *health = health_new();
	struct health_row *whole = health_take(health, SLICE("east"), SLICE_NONE, 1);
	char name[32];

	(void)state;
	whole->trips = 7;
	for (uint64_t i = 0; i < 20 * HEALTH_ROWS; i++) {
		snprintf(name, sizeof(name), "invented-%llu", (unsigned long long)i);
		health_take(health, SLICE("east"), slice_of_string(name), 2 + i)->failures = 1;
	}
	assert_ptr_equal(health_find(health, SLICE("east"), SLICE_NONE), whole);
	assert_int_equal(whole->trips, 7);
	assert_non_null(health_find(health, SLICE("east"), slice_of_string(name)));
	assert_null(health_find(health, SLICE("east"), SLICE("invented-0")));
	health_free(health);
}

static void test_a_row_begins_empty(void **state)
{
	struct health *health = health_new();
	char name[32];

	(void)state;
	for (uint64_t i = 0; i < 3 * HEALTH_ROWS; i++) {
		struct health_row *row;

		snprintf(name, sizeof(name), "d%llu", (unsigned long long)i);
		row = health_take(health, SLICE("east"), slice_of_string(name), 1 + i);
		assert_int_equal(row->failures, 0);
		assert_int_equal(row->open_until_ns, 0);
		row->failures = 9;
		row->open_until_ns = UINT64_MAX;
	}
	health_free(health);
}

/* Whoever died, or lies, in the middle of taking a row holds up nobody. */
static void test_rows_that_somebody_died_at_are_left(void **state)
{
	struct health *health = health_new();
	struct health_row *row = health_take(health, SLICE("east"), SLICE("gpt-4o"), 1);

	(void)state;
	row->key = UINT64_MAX;
	assert_ptr_not_equal(health_take(health, SLICE("east"), SLICE("gpt-4o"), 2), row);
	for (size_t i = 0; i < 2 * HEALTH_ROWS; i++)
		health_take(health, SLICE("east"), SLICE("gpt-4o"), 3)->key = UINT64_MAX;
	assert_non_null(health_take(health, SLICE("east"), SLICE("gpt-4o"), 4));
	health_free(health);
}

static void test_budgets(void **state)
{
	struct health *health = health_new();
	struct health_budget *chat = health_budget(health, SLICE("chat"));

	(void)state;
	assert_ptr_equal(health_budget(health, SLICE("chat")), chat);
	assert_ptr_not_equal(health_budget(health, SLICE("embeddings")), chat);
	health_free(health);
}

static void test_processes_share_it_and_the_next_daemon_finds_it(void **state)
{
	char directory[] = "/tmp/health-XXXXXX", path[64];
	struct health *health, *seen;
	struct why why;
	int fd, again, status;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/%s", directory, HEALTH_FILE);
	assert_int_equal(health_look(path, &seen, &why), -ENOENT);
	assert_int_equal(health_open(path, &fd, &why), 0);
	health = health_map(fd, &why);
	assert_non_null(health);
	if (fork() == 0) {
		health_take(health, SLICE("east"), SLICE_NONE, 5)->failures = 3;
		_exit(0);
	}
	assert_true(wait(&status) > 0 && status == 0);
	assert_int_equal(health_find(health, SLICE("east"), SLICE_NONE)->failures, 3);
	assert_int_equal(health_look(path, &seen, &why), 0);
	assert_int_equal(health_find(seen, SLICE("east"), SLICE_NONE)->failures, 3);
	health_free(seen);
	health_free(health);
	close(fd);

	assert_int_equal(health_open(path, &again, &why), 0);
	health = health_map(again, &why);
	assert_int_equal(health_find(health, SLICE("east"), SLICE_NONE)->failures, 3);
	health_free(health);

	/* Of another form: a new one takes its place, and the old one is let be. */
	assert_int_equal(pwrite(again, "other", 5, 0), 5);
	assert_int_equal(health_look(path, &seen, &why), -EINVAL);
	assert_int_equal(health_open(path, &fd, &why), 0);
	health = health_map(fd, &why);
	assert_null(health_find(health, SLICE("east"), SLICE_NONE));
	health_free(health);
	close(fd);
	close(again);
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_found_by_both_names),
		cmocka_unit_test(test_long_names_are_told_apart),
		cmocka_unit_test(test_the_oldest_deployment_makes_room_and_no_backend_does),
		cmocka_unit_test(test_a_row_begins_empty),
		cmocka_unit_test(test_rows_that_somebody_died_at_are_left),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_processes_share_it_and_the_next_daemon_finds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
