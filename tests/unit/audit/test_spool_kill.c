// SPDX-License-Identifier: GPL-2.0-or-later
/* kill -9 of who writes to the spool, again and again, at moments that a seed decides. The writer is
 * the shipper in small: records come from a ring that survives it, are spooled, and released; a
 * reader in the same process takes some out and acknowledges them. Whatever the moment: each record
 * of the ring is spooled once, in order, and none that was not acknowledged is missing. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "audit/record.h"
#include "base/ring.h"
#include "tests/support/spool_box.h"

#define LIVES	40
#define RECORDS 60 /* put into the ring in each life */

/* What the writer has told of, outside of itself. */
struct witness {
	_Atomic uint64_t attempted;    /* set before the spool is told of an acknowledgement … */
	_Atomic uint64_t acknowledged; /* … and after */
};

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void write_and_release(struct spool *spool, struct ring *ring, struct ring_cursor *cursor)
{
	if (spool_write(spool) || spool_sync(spool))
		_exit(3);
	ring_release(ring, cursor);
}

/* Ring to spool, a few at a time; then some of the spool away. Never returns. */
static void life(struct spool_box *box, int ring_fd, struct witness *witness, uint32_t seed)
{
	struct why why;
	struct ring *ring = ring_map(ring_fd, false, &why);
	struct spool *spool = spool_box_open(box);
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};
	struct ring_cursor cursor;
	struct slice record;

	if (!ring)
		_exit(2);
	cursor = ring_cursor(ring);
	for (;;) {
		for (uint32_t n = random_next(&seed) % 5; n && ring_next(ring, &cursor, &record) > 0;
			n--) {
			int error = spool_append(spool, 1, record);

			if (error == -EAGAIN) {
				if (spool_write(spool))
					_exit(4);
				error = spool_append(spool, 1, record);
			}
			if (error && error != -EEXIST)
				_exit(5);
		}
		write_and_release(spool, ring, &cursor);
		read.n = 0;
		if (random_next(&seed) % 3 == 0 &&
			spool_read(spool, &at, 4, 1 << 20, spool_box_given, &read) > 0) {
			witness->attempted = read.sequences[read.n - 1];
			spool_acknowledge(spool, &at);
			witness->acknowledged = read.sequences[read.n - 1];
		}
	}
}

static void ring_fill(struct ring *ring, uint64_t *sequence, uint32_t *seed)
{
	struct buf record = BUF_EMPTY;

	for (int i = 0; i < RECORDS; i++) {
		void *room;

		buf_clear(&record);
		spool_box_record(
			&record, "0123456789abcdef", 1, *sequence, random_next(seed) % 2000);
		room = ring_reserve(ring, buf_len(&record));
		if (!room)
			break;
		memcpy(room, buf_slice(&record).data, buf_len(&record));
		ring_commit(ring, buf_len(&record));
		++*sequence;
	}
	buf_free(&record);
}

/* Everything from the cursor on is there, once, in order; and then what is in the ring. */
static void assert_nothing_lost(
	struct spool_box *box, int ring_fd, struct witness *witness, uint64_t last)
{
	struct spool *spool = spool_box_open(box);
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};
	struct why why;
	struct ring *ring = ring_map(ring_fd, false, &why);
	struct ring_cursor cursor = ring_cursor(ring);
	struct record_identity identity;
	struct slice record;
	uint64_t spooled;

	while (spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read) > 0)
		;
	if (read.n) {
		assert_true(read.sequences[0] > witness->acknowledged);
		assert_true(read.sequences[0] <= witness->attempted + 1);
	}
	for (size_t i = 1; i < read.n; i++)
		assert_int_equal(read.sequences[i], read.sequences[0] + i);
	spooled = read.n ? read.sequences[read.n - 1] : 0;
	/* The ring goes on without a gap; what is in both is recognised. */
	while (ring_next(ring, &cursor, &record) > 0) {
		int error = spool_append(spool, 1, record);

		assert_int_equal(record_check(record, &identity), 0);
		if (error == -EEXIST) {
			assert_true(!spooled || identity.sequence <= spooled);
			continue;
		}
		if (error == -EAGAIN) {
			assert_int_equal(spool_write(spool), 0);
			error = spool_append(spool, 1, record);
		}
		assert_int_equal(error, 0);
		assert_true(!spooled || identity.sequence == spooled + 1);
		spooled = identity.sequence;
	}
	if (spooled)
		assert_int_equal(spooled, last);
	/* What was appended here is not written: the next life finds it in the ring again. */
	free(read.sequences);
	ring_unmap(ring);
	spool_close(spool);
}

static void kill_again_and_again(struct spool_box *box, uint32_t seed)
{
	struct why why;
	int ring_fd = ring_create(1u << 20, &why);
	struct ring *ring = ring_map(ring_fd, true, &why);
	struct witness *witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t sequence = 1;

	assert_non_null(ring);
	assert_ptr_not_equal(witness, MAP_FAILED);
	for (int i = 0; i < LIVES; i++) {
		struct timespec wait = {0, (long)(random_next(&seed) % 4000) * 1000};
		pid_t child;
		int status;

		ring_fill(ring, &sequence, &seed);
		child = fork();
		assert_true(child >= 0);
		if (!child)
			life(box, ring_fd, witness, random_next(&seed));
		nanosleep(&wait, NULL);
		/* On a machine that is busy none may have come so far: the last one gets the time. */
		for (int n = 0; i == LIVES - 1 && !witness->acknowledged && n < 1000; n++)
			nanosleep(&(struct timespec){0, 10000000}, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_nothing_lost(box, ring_fd, witness, sequence - 1);
	}
	assert_true(witness->acknowledged > 0);
	munmap(witness, sizeof(*witness));
	ring_unmap(ring);
	close(ring_fd);
}

static void test_kill(void **state)
{
	kill_again_and_again(*state, 1);
}

static void test_kill_with_small_segments(void **state)
{
	struct spool_box *box = *state;

	box->segment_bytes = 3000;
	kill_again_and_again(box, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spool_box_setup, spool_box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kill),
		TEST(test_kill_with_small_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
