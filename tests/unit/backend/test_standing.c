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

#include "backend/standing.h"

static void test_rows_are_found_by_both_names(void **state)
{
	struct standing *standing = standing_new();
	struct standing_row *whole, *part;

	(void)state;
	assert_null(standing_find(standing, SLICE("east"), SLICE_NONE));
	whole = standing_take(standing, SLICE("east"), SLICE_NONE, 1);
	part = standing_take(standing, SLICE("east"), SLICE("gpt-4o"), 1);
	assert_ptr_not_equal(whole, part);
	assert_ptr_equal(standing_find(standing, SLICE("east"), SLICE_NONE), whole);
	assert_ptr_equal(standing_take(standing, SLICE("east"), SLICE("gpt-4o"), 2), part);
	assert_string_equal(part->backend, "east");
	assert_string_equal(part->deployment, "gpt-4o");
	assert_null(standing_find(standing, SLICE("eas"), SLICE("tgpt-4o")));
	standing_free(standing);
}

static void test_long_names_are_told_apart(void **state)
{
	struct standing *standing = standing_new();
	char a[200], b[200];

	(void)state;
	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	b[199] = 'y';
	assert_ptr_not_equal(standing_take(standing, SLICE("east"), slice_of(a, sizeof(a)), 1),
		standing_take(standing, SLICE("east"), slice_of(b, sizeof(b)), 1));
	standing_free(standing);
}

/* A client may invent as many names as it likes. */
static void test_the_oldest_deployment_makes_room_and_no_backend_does(void **state)
{
	struct standing *standing = standing_new();
	struct standing_row *whole = standing_take(standing, SLICE("east"), SLICE_NONE, 1);
	char name[32];

	(void)state;
	whole->trips = 7;
	for (uint64_t i = 0; i < 20 * STANDING_ROWS; i++) {
		snprintf(name, sizeof(name), "invented-%llu", (unsigned long long)i);
		standing_take(standing, SLICE("east"), slice_of_string(name), 2 + i)->failures = 1;
	}
	assert_ptr_equal(standing_find(standing, SLICE("east"), SLICE_NONE), whole);
	assert_int_equal(whole->trips, 7);
	assert_non_null(standing_find(standing, SLICE("east"), slice_of_string(name)));
	assert_null(standing_find(standing, SLICE("east"), SLICE("invented-0")));
	standing_free(standing);
}

static void test_a_row_begins_empty(void **state)
{
	struct standing *standing = standing_new();
	char name[32];

	(void)state;
	for (uint64_t i = 0; i < 3 * STANDING_ROWS; i++) {
		struct standing_row *row;

		snprintf(name, sizeof(name), "d%llu", (unsigned long long)i);
		row = standing_take(standing, SLICE("east"), slice_of_string(name), 1 + i);
		assert_int_equal(row->failures, 0);
		assert_int_equal(row->open_until_ns, 0);
		row->failures = 9;
		row->open_until_ns = UINT64_MAX;
	}
	standing_free(standing);
}

/* Whoever died, or lies, in the middle of taking a row holds up nobody. */
static void test_rows_that_somebody_died_at_are_left(void **state)
{
	struct standing *standing = standing_new();
	struct standing_row *row = standing_take(standing, SLICE("east"), SLICE("gpt-4o"), 1);

	(void)state;
	row->key = UINT64_MAX;
	assert_ptr_not_equal(standing_take(standing, SLICE("east"), SLICE("gpt-4o"), 2), row);
	for (size_t i = 0; i < 2 * STANDING_ROWS; i++)
		standing_take(standing, SLICE("east"), SLICE("gpt-4o"), 3)->key = UINT64_MAX;
	assert_non_null(standing_take(standing, SLICE("east"), SLICE("gpt-4o"), 4));
	standing_free(standing);
}

static void test_budgets(void **state)
{
	struct standing *standing = standing_new();
	struct standing_budget *chat = standing_budget(standing, SLICE("chat"));

	(void)state;
	assert_ptr_equal(standing_budget(standing, SLICE("chat")), chat);
	assert_ptr_not_equal(standing_budget(standing, SLICE("embeddings")), chat);
	standing_free(standing);
}

static void test_processes_share_it_and_the_next_daemon_finds_it(void **state)
{
	char directory[] = "/tmp/standing-XXXXXX", path[64];
	struct standing *standing, *seen;
	struct why why;
	int fd, again, status;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/%s", directory, STANDING_FILE);
	assert_int_equal(standing_look(path, &seen, &why), -ENOENT);
	assert_int_equal(standing_open(path, &fd, &why), 0);
	standing = standing_map(fd, &why);
	assert_non_null(standing);
	if (fork() == 0) {
		standing_take(standing, SLICE("east"), SLICE_NONE, 5)->failures = 3;
		_exit(0);
	}
	assert_true(wait(&status) > 0 && status == 0);
	assert_int_equal(standing_find(standing, SLICE("east"), SLICE_NONE)->failures, 3);
	assert_int_equal(standing_look(path, &seen, &why), 0);
	assert_int_equal(standing_find(seen, SLICE("east"), SLICE_NONE)->failures, 3);
	standing_free(seen);
	standing_free(standing);
	close(fd);

	assert_int_equal(standing_open(path, &again, &why), 0);
	standing = standing_map(again, &why);
	assert_int_equal(standing_find(standing, SLICE("east"), SLICE_NONE)->failures, 3);
	standing_free(standing);

	/* Of another form: a new one takes its place, and the old one is let be. */
	assert_int_equal(pwrite(again, "other", 5, 0), 5);
	assert_int_equal(standing_look(path, &seen, &why), -EINVAL);
	assert_int_equal(standing_open(path, &fd, &why), 0);
	standing = standing_map(fd, &why);
	assert_null(standing_find(standing, SLICE("east"), SLICE_NONE));
	standing_free(standing);
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
