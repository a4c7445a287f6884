// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/source_table.h"
#include "base/clock.h"

#define MOST 4096u

struct scene {
	struct source_table *written;
	const struct source_table *read;
	int fd;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct why why = {""};

	scene->written = source_table_create(MOST, &scene->fd, &why);
	if (!scene->written)
		fail_msg("%s", why.text);
	scene->read = source_table_map(scene->fd, &why);
	if (!scene->read)
		fail_msg("%s", why.text);
	source_table_begin(scene->written);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	source_table_free(scene->written);
	source_table_free(scene->read);
	close(scene->fd);
	free(scene);
	return 0;
}

static struct address numbered(uint32_t number)
{
	struct address address = {{0x20, 0x01}};

	memcpy(address.bytes + 12, &number, sizeof(number));
	return address;
}

/* Totals all of whose parts say the same number. */
static struct source_totals of(uint32_t number)
{
	struct source_totals totals = {.active = number, .opening = number};

#define FILL(member, name, help) totals.counters.member = number;
	SOURCE_COUNTS(FILL)
#undef FILL
	for (int drop = 0; drop < DROP_COUNT; drop++)
		totals.counters.drops[drop] = number;
	return totals;
}

/* The number that all parts say; -1 when they do not agree. */
static int64_t number_in(const struct source_totals *totals)
{
	bool same = totals->active == totals->opening;

#define COMPARE(member, name, help) same = same && totals->counters.member == totals->active;
	SOURCE_COUNTS(COMPARE)
#undef COMPARE
	for (int drop = 0; drop < DROP_COUNT; drop++)
		same = same && totals->counters.drops[drop] == totals->active;
	return same ? (int64_t)totals->active : -1;
}

static int put(struct scene *scene, uint32_t source, uint32_t number)
{
	struct address address = numbered(source);
	struct source_totals totals = of(number);

	return source_table_put(scene->written, &address, &totals);
}

static int64_t found(const struct scene *scene, uint32_t source)
{
	struct address address = numbered(source);
	struct source_totals totals;
	int error = source_table_find(scene->read, &address, &totals);

	return error ? error : number_in(&totals);
}

static void what_is_put_is_found_by_the_other_side(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(found(scene, 1), -ENOENT);
	for (uint32_t i = 0; i < MOST; i++)
		assert_int_equal(put(scene, i, i), 0);
	for (uint32_t i = 0; i < MOST; i++)
		assert_int_equal(found(scene, i), i);
	assert_int_equal(found(scene, MOST), -ENOENT);
	assert_int_equal(put(scene, 7, 1000000), 0);
	assert_int_equal(found(scene, 7), 1000000);
	assert_int_equal(found(scene, 8), 8);
}

/* :: is a source like others: of neighbour discovery. */
static void the_unspecified_address_is_an_address(void **state)
{
	struct scene *scene = *state;
	struct address unspecified = {{0}};
	struct source_totals totals = of(5);

	assert_int_equal(put(scene, 1, 1), 0);
	assert_int_equal(source_table_find(scene->read, &unspecified, &totals), -ENOENT);
	assert_int_equal(source_table_put(scene->written, &unspecified, &totals), 0);
	totals = of(6);
	assert_int_equal(source_table_find(scene->read, &unspecified, &totals), 0);
	assert_int_equal(number_in(&totals), 5);
}

static void a_full_table_forgets_only_who_is_gone(void **state)
{
	struct scene *scene = *state;

	for (uint32_t i = 0; i < MOST; i++)
		assert_int_equal(put(scene, i, i), 0);
	/* All of them were put in this round or the one before. */
	assert_int_equal(put(scene, MOST, 1), -ENOSPC);
	source_table_begin(scene->written);
	assert_int_equal(put(scene, MOST, 1), -ENOSPC);
	for (uint32_t i = 0; i < MOST; i += 2)
		assert_int_equal(put(scene, i, i + 1), 0);
	source_table_begin(scene->written);
	for (uint32_t i = 0; i < MOST / 2; i++)
		assert_int_equal(put(scene, MOST + i, i), 0);
	assert_int_equal(put(scene, 2 * MOST, 1), -ENOSPC);
	for (uint32_t i = 0; i < MOST; i++)
		assert_int_equal(found(scene, i), i % 2 ? -ENOENT : (int64_t)i + 1);
	for (uint32_t i = 0; i < MOST / 2; i++)
		assert_int_equal(found(scene, MOST + i), i);
}

static void a_reader_cannot_write(void **state)
{
	struct scene *scene = *state;
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, scene->fd, 0);

	assert_ptr_equal(memory, MAP_FAILED);
	assert_int_equal(pwrite(scene->fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(scene->fd, 0), -1);
}

static void what_is_no_source_table_is_refused(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char zeros[4096] = "";
	struct why why = {""};

	(void)state;
	assert_null(source_table_map(fd, &why));
	assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	assert_null(source_table_map(fd, &why));
	assert_non_null(strstr(why.text, "does not hold totals"));
	close(fd);
	assert_null(source_table_create(0, &fd, &why));
}

/* Each source is put again and again with the next number; some sources come and go. */
static void write_on(struct scene *scene)
{
	for (uint32_t round = 1;; round++) {
		source_table_begin(scene->written);
		for (uint32_t i = 0; i < 16; i++)
			put(scene, i, round);
		/* Enough of them to have the table made anew now and then. */
		for (uint32_t i = 0; i < MOST / 4; i++)
			put(scene, MOST + round % 64 * MOST + i, round);
	}
}

static void no_number_is_ever_torn(void **state)
{
	struct scene *scene = *state;
	uint64_t until_ns = clock_monotonic_ns() + NS_PER_S;
	int64_t last[16] = {0}, got;
	unsigned whole = 0, left_out = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		write_on(scene);
	while (clock_monotonic_ns() < until_ns || whole < 10000) {
		for (uint32_t i = 0; i < 16; i++) {
			got = found(scene, i);
			if (got == -EAGAIN || got == -ENOENT) {
				left_out++;
				continue;
			}
			/* Torn would be -1; and nothing goes back. */
			assert_true(got >= last[i]);
			last[i] = got;
			whole++;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(last[0] > 1);
	/* Mostly there is something to be had. */
	assert_true(left_out < whole);
	printf("          table: %u reads, %u left out\n", whole, left_out);
}

/* Whatever the writer was doing when it died: a look ends. */
static void a_writer_that_dies_blocks_nobody(void **state)
{
	struct scene *scene = *state;

	for (int times = 0; times < 50; times++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			write_on(scene);
		usleep(2000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (uint32_t i = 0; i < 2 * MOST; i++) {
			int64_t got = found(scene, i);

			assert_true(got >= 0 || got == -EAGAIN || got == -ENOENT);
		}
	}
}

int main(void)
{
#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		SCENE_TEST(what_is_put_is_found_by_the_other_side),
		SCENE_TEST(the_unspecified_address_is_an_address),
		SCENE_TEST(a_full_table_forgets_only_who_is_gone),
		SCENE_TEST(a_reader_cannot_write),
		SCENE_TEST(what_is_no_source_table_is_refused),
		SCENE_TEST(no_number_is_ever_torn),
		SCENE_TEST(a_writer_that_dies_blocks_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
