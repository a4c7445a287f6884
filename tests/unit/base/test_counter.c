// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/counter.h"

struct fixture {
	char directory[64], path[96];
	struct counters *counters;
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->directory, "/tmp/sallyport-counter.XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/counters", f->directory);
	return counters_create(f->path, &f->counters, &f->why);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	counters_close(f->counters);
	unlink(f->path);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* The file of another program: the same but for the name of one counter. */
static void rename_counter(const struct fixture *f, const char *from, const char *to)
{
	char text[65536], *at;
	int fd = open(f->path, O_RDWR | O_CLOEXEC);
	ssize_t n = pread(fd, text, sizeof(text), 0);

	assert_int_equal(strlen(from), strlen(to));
	at = memmem(text, (size_t)n, from, strlen(from) + 1);
	assert_non_null(at);
	assert_int_equal(pwrite(fd, to, strlen(to), at - text), strlen(to));
	close(fd);
}

static void every_counter_has_a_name_of_its_own_and_a_help(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNTER_ROWS; i++) {
		const char *name = counter_name((enum counter)i);

		assert_true(strlen(name) > 2 && strlen(name) < 64);
		for (const char *c = name; *c; c++)
			assert_true(islower(*c) || isdigit(*c) || *c == '.' || *c == '_');
		assert_true(strlen(counter_help((enum counter)i)) > 5);
		assert_true(strlen(counter_help((enum counter)i)) < 191);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, counter_name((enum counter)j));
	}
}

static void counts_of_all_slots_add_up(void **state)
{
	struct fixture *f = *state;
	struct counters *worker, *reader;

	assert_int_equal(
		counters_map(f->counters->fd, COUNTER_SLOT_WORKER + 3, &worker, &f->why), 0);
	counter_add(f->counters, COUNTER_RELOAD_DONE, 2);
	counter_add(worker, COUNTER_RELOAD_DONE, 40);
	counter_add(worker, (enum counter)(COUNTER_COUNT - 1), 1);
	assert_int_equal(counter_total(f->counters, COUNTER_RELOAD_DONE), 42);
	assert_int_equal(counters_open(f->path, &reader, &f->why), 0);
	assert_int_equal(counter_total(reader, COUNTER_RELOAD_DONE), 42);
	assert_int_equal(counter_total(reader, COUNTER_PROCESS_HUNG), 0);
	assert_int_equal(counter_total(reader, (enum counter)(COUNTER_COUNT - 1)), 1);
	counters_close(reader);
	counters_close(worker);
}

static void what_a_dead_process_counted_stays(void **state)
{
	struct fixture *f = *state;
	struct counters *child;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (counters_map(f->counters->fd, COUNTER_SLOT_SIGNER, &child, NULL))
			_exit(1);
		counter_add(child, COUNTER_PROCESS_DIED, 5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(counter_total(f->counters, COUNTER_PROCESS_DIED), 5);
}

static void a_reader_sees_the_table_of_the_file(void **state)
{
	struct fixture *f = *state;
	struct counter_reading reading;
	struct counters *reader;
	size_t at = 0, n = 0;

	counter_add(f->counters, COUNTER_PROCESS_STARTED, 9);
	assert_int_equal(counters_open(f->path, &reader, &f->why), 0);
	for (; counters_next(reader, &at, &reading); n++) {
		assert_string_equal(reading.name, counter_name((enum counter)n));
		assert_string_equal(reading.help, counter_help((enum counter)n));
		assert_int_equal(reading.total, n == COUNTER_PROCESS_STARTED ? 9 : 0);
	}
	assert_int_equal(n, COUNTER_COUNT);
	counters_close(reader);
}

static void a_gauge_is_what_was_set_last_and_no_counter(void **state)
{
	struct fixture *f = *state;
	struct counter_reading reading;
	struct counters *shipper, *reader, *taken, *older;
	uint64_t value;
	size_t at = 0;

	assert_int_equal(
		counters_map(f->counters->fd, COUNTER_SLOT_SHIPPER, &shipper, &f->why), 0);
	counter_set(shipper, COUNTER_RECORD_EVENTS, 7);
	counter_set(shipper, COUNTER_RECORD_EVENTS, 5);
	assert_int_equal(counters_open(f->path, &reader, &f->why), 0);
	assert_true(counter_gauge(reader, COUNTER_RECORD_EVENTS, &value));
	assert_int_equal(value, 5);
	while (counters_next(reader, &at, &reading))
		assert_string_not_equal(reading.name, counter_name(COUNTER_RECORD_EVENTS));
	counters_close(reader);
	/* The next program, with another table: what is now is told anew, not added up. */
	rename_counter(f, "signer.minted", "signer.coined");
	assert_int_equal(counters_take(f->path, f->counters->fd, &taken, &older, &f->why), 0);
	assert_true(counter_gauge(taken, COUNTER_RECORD_EVENTS, &value));
	assert_int_equal(value, 0);
	counters_close(older);
	counters_close(taken);
	counters_close(shipper);
}

static void a_file_of_before_there_were_gauges_has_none(void **state)
{
	struct fixture *f = *state;
	struct counters *reader;
	uint64_t value;

	rename_counter(f, "record.events", "record.evonts");
	assert_int_equal(counters_open(f->path, &reader, &f->why), 0);
	assert_false(counter_gauge(reader, COUNTER_RECORD_EVENTS, &value));
	counters_close(reader);
}

static void a_slot_that_is_not_there_is_refused(void **state)
{
	struct fixture *f = *state;
	struct counters *none;
	int empty;

	assert_int_equal(counters_map(f->counters->fd, COUNTER_SLOTS, &none, &f->why), -EINVAL);
	assert_null(none);
	empty = open(f->directory, O_TMPFILE | O_RDWR, 0600);
	assert_true(empty >= 0);
	assert_int_equal(counters_map(empty, 0, &none, &f->why), -EINVAL);
	close(empty);
}

static void a_damaged_file_is_refused(void **state)
{
	static const off_t lengths[] = {0, 1, 8, 31, 32, 4096, 5000};
	struct fixture *f = *state;
	struct counters *none;
	struct stat st;
	int fd = open(f->path, O_RDWR);

	assert_int_equal(fstat(fd, &st), 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_int_equal(ftruncate(fd, lengths[i]), 0);
		assert_int_equal(counters_open(f->path, &none, &f->why), -EINVAL);
		assert_int_equal(ftruncate(fd, st.st_size), 0);
	}
	/* Each number of the head, as large as it gets. */
	for (off_t at = 8; at < 32; at += 4) {
		uint32_t before, huge = UINT32_MAX - 7;

		assert_int_equal(counters_create(f->path, &none, &f->why), 0);
		close(fd);
		fd = open(f->path, O_RDWR);
		counters_close(none);
		assert_int_equal(pread(fd, &before, 4, at), 4);
		assert_int_equal(pwrite(fd, &huge, 4, at), 4);
		assert_int_equal(counters_open(f->path, &none, &f->why), -EINVAL);
	}
	close(fd);
	assert_int_equal(counters_open("/nonexistent/counters", &none, &f->why), -ENOENT);
}

static void counting_without_counters_is_harmless(void **state)
{
	(void)state;
	counter_add(NULL, COUNTER_RELOAD_DONE, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void the_next_program_counts_on_in_the_same_file(void **state)
{
	struct fixture *f = *state;
	struct counters *taken, *older, *child;

	assert_int_equal(counters_map(f->counters->fd, COUNTER_SLOT_WORKER, &child, &f->why), 0);
	counter_add(child, COUNTER_CLIENT_ACCEPTED, 5);
	counter_add(f->counters, COUNTER_CLIENT_ACCEPTED, 2);
	assert_int_equal(counters_take(f->path, f->counters->fd, &taken, &older, &f->why), 0);
	assert_null(older);
	counter_add(taken, COUNTER_CLIENT_ACCEPTED, 10);
	counter_add(child, COUNTER_CLIENT_ACCEPTED, 100);
	assert_int_equal(counter_total(taken, COUNTER_CLIENT_ACCEPTED), 117);
	assert_int_equal(counter_total(f->counters, COUNTER_CLIENT_ACCEPTED), 117);
	counters_close(child);
	counters_close(taken);
}

static void another_table_begins_at_the_old_totals(void **state)
{
	struct fixture *f = *state;
	struct counters *taken, *older, *again, *child;

	assert_int_equal(counters_map(f->counters->fd, COUNTER_SLOT_WORKER, &child, &f->why), 0);
	counter_add(child, COUNTER_CLIENT_ACCEPTED, 5);
	counter_add(child, COUNTER_SIGNER_MINTED, 3);
	rename_counter(f, "signer.minted", "signer.coined");
	assert_int_equal(counters_take(f->path, f->counters->fd, &taken, &older, &f->why), 0);
	assert_non_null(older);
	assert_int_equal(counter_total(taken, COUNTER_CLIENT_ACCEPTED), 5);
	assert_int_equal(counter_total(taken, COUNTER_SIGNER_MINTED), 0);
	/* Who was there before still counts in the old file. */
	counter_add(child, COUNTER_CLIENT_ACCEPTED, 20);
	counters_move(older, taken);
	assert_int_equal(counter_total(taken, COUNTER_CLIENT_ACCEPTED), 25);
	counters_move(older, taken);
	assert_int_equal(counter_total(taken, COUNTER_CLIENT_ACCEPTED), 25);
	/* And under the program after the next. */
	assert_int_equal(counters_take_older(older->fd, &again, &f->why), 0);
	counter_add(child, COUNTER_CLIENT_ACCEPTED, 1);
	counters_move(again, taken);
	assert_int_equal(counter_total(taken, COUNTER_CLIENT_ACCEPTED), 26);
	counters_close(again);
	counters_close(older);
	/* The path is of the new one. */
	assert_int_equal(counters_open(f->path, &again, &f->why), 0);
	assert_int_equal(counter_total(again, COUNTER_CLIENT_ACCEPTED), 26);
	counters_close(again);
	counters_close(child);
	counters_close(taken);
}

static void what_is_no_file_of_counters_is_not_taken(void **state)
{
	struct fixture *f = *state;
	struct counters *taken, *older;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(counters_take(f->path, null, &taken, &older, &f->why), -EINVAL);
	assert_null(taken);
	assert_int_equal(pwrite(f->counters->fd, "x", 1, 0), 1);
	assert_int_equal(counters_take(f->path, f->counters->fd, &taken, &older, &f->why), -EINVAL);
	assert_null(taken);
	assert_null(older);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_a_name_of_its_own_and_a_help),
		TEST(counts_of_all_slots_add_up),
		TEST(what_a_dead_process_counted_stays),
		TEST(a_reader_sees_the_table_of_the_file),
		TEST(a_gauge_is_what_was_set_last_and_no_counter),
		TEST(a_file_of_before_there_were_gauges_has_none),
		TEST(a_slot_that_is_not_there_is_refused),
		TEST(a_damaged_file_is_refused),
		TEST(the_next_program_counts_on_in_the_same_file),
		TEST(another_table_begins_at_the_old_totals),
		TEST(what_is_no_file_of_counters_is_not_taken),
		cmocka_unit_test(counting_without_counters_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
