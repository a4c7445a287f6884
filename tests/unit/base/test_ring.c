// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ring.h"

/* Where ring.c has them; a hostile producer knows it as well. */
#define HEAD_OFFSET 64
#define TAIL_OFFSET 128

struct pair {
	int fd;
	struct ring *producer, *consumer;
};

static struct pair pair_open(uint64_t bytes)
{
	struct pair p = {.fd = ring_create(bytes, NULL)};

	assert_true(p.fd >= 0);
	p.producer = ring_map(p.fd, true, NULL);
	p.consumer = ring_map(p.fd, false, NULL);
	assert_non_null(p.producer);
	assert_non_null(p.consumer);
	return p;
}

static void pair_close(struct pair *p)
{
	ring_unmap(p->producer);
	ring_unmap(p->consumer);
	close(p->fd);
}

static bool put(struct ring *ring, const void *data, size_t len)
{
	void *room = ring_reserve(ring, len);

	if (!room)
		return false;
	memcpy(room, data, len);
	ring_commit(ring, len);
	return true;
}

static void assert_next(struct ring *ring, struct ring_cursor *cursor, const char *expected)
{
	struct slice record;

	assert_int_equal(ring_next(ring, cursor, &record), 1);
	assert_int_equal(record.len, strlen(expected));
	assert_memory_equal(record.data, expected, record.len);
}

static void poke(const struct pair *p, off_t offset, uint64_t value)
{
	assert_int_equal(pwrite(p->fd, &value, sizeof(value), offset), sizeof(value));
}

static off_t data_offset(void)
{
	return (off_t)sysconf(_SC_PAGESIZE);
}

static void records_come_out_as_they_went_in(void **state)
{
	struct pair p = pair_open(1);
	struct ring_cursor cursor;
	struct slice record;

	(void)state;
	assert_true(ring_empty(p.consumer));
	assert_true(put(p.producer, "first", 5));
	assert_true(put(p.producer, "the second", 10));
	cursor = ring_cursor(p.consumer);
	assert_next(p.consumer, &cursor, "first");
	assert_next(p.consumer, &cursor, "the second");
	assert_int_equal(ring_next(p.consumer, &cursor, &record), 0);
	assert_false(ring_empty(p.producer));
	ring_release(p.consumer, &cursor);
	assert_true(ring_empty(p.consumer));
	assert_true(ring_empty(p.producer));
	pair_close(&p);
}

static void a_record_not_committed_does_not_exist(void **state)
{
	struct pair p = pair_open(1);
	struct ring_cursor cursor = ring_cursor(p.consumer);
	struct slice record;

	(void)state;
	memset(ring_reserve(p.producer, 100), 'x', 100);
	assert_int_equal(ring_next(p.consumer, &cursor, &record), 0);
	assert_true(put(p.producer, "instead", 7));
	assert_next(p.consumer, &cursor, "instead");
	pair_close(&p);
}

static void less_than_reserved_may_be_committed(void **state)
{
	struct pair p = pair_open(1);
	struct ring_cursor cursor = ring_cursor(p.consumer);

	(void)state;
	memcpy(ring_reserve(p.producer, 1000), "short", 5);
	ring_commit(p.producer, 5);
	put(p.producer, "next", 4);
	assert_next(p.consumer, &cursor, "short");
	assert_next(p.consumer, &cursor, "next");
	pair_close(&p);
}

static void what_is_not_released_is_read_again_by_the_next_consumer(void **state)
{
	struct pair p = pair_open(1);
	struct ring_cursor cursor = ring_cursor(p.consumer);

	(void)state;
	put(p.producer, "one", 3);
	put(p.producer, "two", 3);
	assert_next(p.consumer, &cursor, "one");
	ring_release(p.consumer, &cursor);
	assert_next(p.consumer, &cursor, "two");
	ring_unmap(p.consumer);
	p.consumer = ring_map(p.fd, false, NULL);
	cursor = ring_cursor(p.consumer);
	assert_next(p.consumer, &cursor, "two");
	pair_close(&p);
}

static void a_full_ring_refuses_until_something_is_released(void **state)
{
	struct pair p = pair_open(4096);
	struct ring_cursor cursor = ring_cursor(p.consumer);
	char half[4096] = {0};
	size_t max = ring_record_max(p.producer);
	struct slice record;

	(void)state;
	assert_true(max <= 2048 && max > 2000);
	assert_null(ring_reserve(p.producer, 0));
	assert_null(ring_reserve(p.producer, max + 1));
	assert_null(ring_reserve(p.producer, SIZE_MAX));
	assert_true(put(p.producer, half, max));
	assert_true(put(p.producer, half, max));
	assert_null(ring_reserve(p.producer, 1));
	assert_int_equal(ring_next(p.consumer, &cursor, &record), 1);
	assert_null(ring_reserve(p.producer, 1));
	ring_release(p.consumer, &cursor);
	assert_true(put(p.producer, half, max));
	assert_int_equal(ring_used(p.producer), 4096);
	pair_close(&p);
}

/* Lengths that share no factor with the ring's: records begin and end at every offset. */
static void records_cross_the_end_of_the_ring_in_one_piece(void **state)
{
	struct pair p = pair_open(4096);
	struct ring_cursor cursor = ring_cursor(p.consumer);

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = 1 + i * 7919 % ring_record_max(p.producer);
		char *room = ring_reserve(p.producer, len);
		struct slice record;

		assert_non_null(room);
		memset(room, (int)(i & 0xff), len);
		ring_commit(p.producer, len);
		assert_int_equal(ring_next(p.consumer, &cursor, &record), 1);
		assert_int_equal(record.len, len);
		for (size_t at = 0; at < len; at++)
			assert_int_equal((uint8_t)record.data[at], i & 0xff);
		ring_release(p.consumer, &cursor);
	}
	pair_close(&p);
}

/* Bytes that both processes can tell from the number of the record and the place in it. */
static uint8_t pattern(uint32_t number, size_t at)
{
	return (uint8_t)(number * 31 + at * 7);
}

static size_t pattern_len(uint32_t number)
{
	return 4 + number * 2654435761u % 1500;
}

static void produce_for_ever(int fd, uint32_t count)
{
	struct ring *ring = ring_map(fd, true, NULL);

	for (uint32_t number = 0; number < count; number++) {
		size_t len = pattern_len(number);
		uint8_t *room;

		while (!(room = ring_reserve(ring, len)))
			sched_yield();
		for (size_t at = 4; at < len; at++)
			room[at] = pattern(number, at);
		memcpy(room, &number, 4);
		ring_commit(ring, len);
	}
	_exit(0);
}

static void assert_pattern(struct slice record, uint32_t number)
{
	assert_int_equal(record.len, pattern_len(number));
	assert_memory_equal(record.data, &number, 4);
	for (size_t at = 4; at < record.len; at++)
		if ((uint8_t)record.data[at] != pattern(number, at))
			fail_msg("record %u is damaged at %zu", number, at);
}

static void two_processes_share_a_ring(void **state)
{
	const uint32_t count = 50000;
	int fd = ring_create(16384, NULL), status;
	struct ring_cursor cursor;
	struct ring *ring;
	struct slice record;
	uint32_t number = 0;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0)
		produce_for_ever(fd, count);
	ring = ring_map(fd, false, NULL);
	cursor = ring_cursor(ring);
	while (number < count) {
		int got = ring_next(ring, &cursor, &record);

		assert_true(got >= 0);
		if (got) {
			assert_pattern(record, number++);
		} else {
			ring_release(ring, &cursor);
			sched_yield();
		}
	}
	ring_release(ring, &cursor);
	assert_true(ring_empty(ring));
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	ring_unmap(ring);
	close(fd);
}

/* Wherever kill -9 meets the producer: what is in the ring is whole, in order, without a gap. */
static void a_killed_producer_leaves_whole_records(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		int fd = ring_create(1 << 20, NULL);
		struct ring *ring = ring_map(fd, false, NULL);
		struct ring_cursor cursor = ring_cursor(ring);
		struct slice record;
		uint32_t number = 0;
		pid_t child = fork();
		int got;

		if (child == 0)
			produce_for_ever(fd, UINT32_MAX);
		while (ring_empty(ring))
			sched_yield();
		usleep((useconds_t)(round * 37));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while ((got = ring_next(ring, &cursor, &record)) == 1)
			assert_pattern(record, number++);
		assert_int_equal(got, 0);
		assert_true(number > 0);
		/* And a new producer goes on where it stopped. */
		ring_release(ring, &cursor);
		ring_unmap(ring);
		ring = ring_map(fd, true, NULL);
		assert_true(put(ring, "after", 5));
		ring_unmap(ring);
		ring = ring_map(fd, false, NULL);
		cursor = ring_cursor(ring);
		assert_next(ring, &cursor, "after");
		ring_unmap(ring);
		close(fd);
	}
}

static void assert_dead(struct pair *p)
{
	struct ring_cursor cursor = ring_cursor(p->consumer);
	struct slice record;

	assert_int_equal(ring_next(p->consumer, &cursor, &record), -EBADMSG);
	/* Also when the producer takes it back: its place is lost. */
	poke(p, HEAD_OFFSET, 0);
	assert_int_equal(ring_next(p->consumer, &cursor, &record), -EBADMSG);
	assert_true(ring_empty(p->consumer));
	pair_close(p);
}

static void a_head_beyond_the_ring_is_refused(void **state)
{
	const uint64_t heads[] = {4096 + 8, 9, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct pair p = pair_open(4096);

		put(p.producer, "x", 1);
		poke(&p, HEAD_OFFSET, heads[i]);
		assert_dead(&p);
	}
}

static void a_record_whose_length_lies_is_refused(void **state)
{
	const uint32_t lengths[] = {0, 9, 2048, 4096, 0x7fffffff, 0xffffffff, 0xfffffff8};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct pair p = pair_open(4096);
		uint64_t check = lengths[i] ^ 0x5a11;

		put(p.producer, "12345678", 8);
		poke(&p, data_offset(), check << 32 | lengths[i]);
		assert_dead(&p);
	}
}

static void a_record_without_its_check_is_refused(void **state)
{
	struct pair p = pair_open(4096);

	(void)state;
	put(p.producer, "12345678", 8);
	poke(&p, data_offset(), 8);
	assert_dead(&p);
}

static void a_tail_moved_by_the_producer_does_not_move_the_consumer(void **state)
{
	struct pair p = pair_open(4096);
	struct ring_cursor cursor = ring_cursor(p.consumer);

	(void)state;
	put(p.producer, "one", 3);
	poke(&p, TAIL_OFFSET, 1ULL << 40);
	assert_next(p.consumer, &cursor, "one");
	ring_release(p.consumer, &cursor);
	assert_true(ring_empty(p.producer));
	pair_close(&p);
}

static void contradicting_positions_are_refused_at_the_start(void **state)
{
	struct pair p = pair_open(4096);
	struct why why;

	(void)state;
	poke(&p, TAIL_OFFSET, 8);
	assert_null(ring_map(p.fd, false, &why));
	assert_string_equal(why.text, "ring: its positions contradict each other");
	pair_close(&p);
}

static void what_is_no_sealed_ring_is_not_mapped(void **state)
{
	char page[8192] = {0};
	int unsealed, pipes[2], good = ring_create(4096, NULL);

	(void)state;
	assert_int_equal(pread(good, page, sizeof(page), 0), sizeof(page));
	unsealed = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(unsealed, page, sizeof(page)), sizeof(page));
	assert_null(ring_map(unsealed, false, NULL));
	assert_int_equal(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	ring_unmap(ring_map(unsealed, false, NULL));
	page[0] ^= 1;
	assert_int_equal(pwrite(unsealed, page, sizeof(page), 0), sizeof(page));
	assert_null(ring_map(unsealed, false, NULL));
	assert_int_equal(pipe(pipes), 0);
	assert_null(ring_map(pipes[0], false, NULL));
	assert_null(ring_map(-1, false, NULL));
	close(pipes[0]);
	close(pipes[1]);
	close(unsealed);
	close(good);
}

static void a_ring_cannot_be_resized(void **state)
{
	int fd = ring_create(4096, NULL);

	(void)state;
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	close(fd);
	assert_int_equal(ring_create((1ULL << 30) + 1, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_out_as_they_went_in),
		cmocka_unit_test(a_record_not_committed_does_not_exist),
		cmocka_unit_test(less_than_reserved_may_be_committed),
		cmocka_unit_test(what_is_not_released_is_read_again_by_the_next_consumer),
		cmocka_unit_test(a_full_ring_refuses_until_something_is_released),
		cmocka_unit_test(records_cross_the_end_of_the_ring_in_one_piece),
		cmocka_unit_test(two_processes_share_a_ring),
		cmocka_unit_test(a_killed_producer_leaves_whole_records),
		cmocka_unit_test(a_head_beyond_the_ring_is_refused),
		cmocka_unit_test(a_record_whose_length_lies_is_refused),
		cmocka_unit_test(a_record_without_its_check_is_refused),
		cmocka_unit_test(a_tail_moved_by_the_producer_does_not_move_the_consumer),
		cmocka_unit_test(contradicting_positions_are_refused_at_the_start),
		cmocka_unit_test(what_is_no_sealed_ring_is_not_mapped),
		cmocka_unit_test(a_ring_cannot_be_resized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
