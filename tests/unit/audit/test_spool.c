// SPDX-License-Identifier: GPL-2.0-or-later
/* The spool: what was written comes out once and in order, over restarts, damage and full disks. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "audit/spool_segment.h"
#include "tests/support/spool_box.h"

/* Appends records 1 … n of stream 1 (or first … last), writing each batch. */
static void append(struct spool *spool, uint64_t first, uint64_t last, size_t padding)
{
	for (uint64_t i = first; i <= last; i++) {
		int error = spool_box_append(spool, 1, i, padding);

		if (error == -EAGAIN) {
			assert_int_equal(spool_write(spool), 0);
			error = spool_box_append(spool, 1, i, padding);
		}
		assert_int_equal(error, 0);
	}
	assert_int_equal(spool_write(spool), 0);
}

static void assert_reads(struct spool *spool, uint64_t first, uint64_t last)
{
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};

	while (spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read) > 0)
		;
	assert_int_equal(read.n, last + 1 - first);
	for (uint64_t i = 0; i < read.n; i++)
		assert_int_equal(read.sequences[i], first + i);
	free(read.sequences);
}

static void test_goes_in_and_out(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};

	assert_int_equal(spool_box_append(spool, 1, 1, 0), 0);
	assert_false(spool_has_after(spool, &at));
	append(spool, 2, 10, 10);
	assert_true(spool_dirty(spool));
	assert_int_equal(spool_sync(spool), 0);
	assert_false(spool_dirty(spool));
	assert_int_equal(spool_read(spool, &at, 4, 1 << 20, spool_box_given, &read), 4);
	assert_int_equal(spool_read(spool, &at, 100, 1, spool_box_given, &read), 1);
	assert_int_equal(spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read), 5);
	assert_int_equal(spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read), 0);
	assert_false(spool_has_after(spool, &at));
	spool_acknowledge(spool, &at);
	spool_close(spool);
	spool = spool_box_open(box);
	assert_reads(spool, 1, 0);
	spool_close(spool);
	free(read.sequences);
}

static void test_restart_keeps_what_is_not_acknowledged(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_position at;
	struct spool_box_read read = {.n = 0};
	uint64_t number = spool_number(spool);

	append(spool, 1, 1000, 200);
	assert_true(spool_box_segments(box) > 3);
	at = spool_cursor(spool);
	while (read.n < 700)
		spool_read(spool, &at, 7, 1 << 20, spool_box_given, &read);
	spool_acknowledge(spool, &at);
	spool_close(spool);
	spool = spool_box_open(box);
	assert_int_equal(spool_number(spool), number);
	assert_reads(spool, read.n + 1, 1000);
	/* goes on in a new segment, after what is there */
	append(spool, 1001, 1010, 10);
	assert_reads(spool, read.n + 1, 1010);
	spool_close(spool);
	free(read.sequences);
}

static void test_segments_go_when_acknowledged(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};

	for (uint64_t i = 1; i <= 2000; i += 10) {
		append(spool, i, i + 9, 200);
		while (spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read) > 0)
			;
		spool_acknowledge(spool, &at);
		assert_true(spool_box_segments(box) <= 2);
	}
	assert_int_equal(read.n, 2000);
	assert_true(spool_size(spool) < 3 * box->segment_bytes);
	spool_close(spool);
	free(read.sequences);
}

static void test_what_is_spooled_is_not_spooled_again(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct buf record = BUF_EMPTY;

	append(spool, 1, 5, 0);
	assert_int_equal(spool_box_append(spool, 1, 5, 0), -EEXIST);
	assert_int_equal(spool_box_append(spool, 2, 5, 0), 0);
	assert_int_equal(spool_box_append(spool, 2, 4, 0), -EEXIST);
	assert_int_equal(spool_write(spool), 0);
	for (int i = 0; i < 3; i++) {
		spool_close(spool);
		spool = spool_box_open(box);
		assert_int_equal(spool_box_append(spool, 1, 5, 0), -EEXIST);
		assert_int_equal(spool_box_append(spool, 2, 5, 0), -EEXIST);
		/* a new segment, which tells the table on */
		assert_int_equal(spool_box_append(spool, 3, (uint64_t)i + 1, 0), 0);
		assert_int_equal(spool_write(spool), 0);
	}
	spool_forget(spool, 2);
	assert_int_equal(spool_box_append(spool, 2, 1, 0), 0);
	assert_int_equal(spool_write(spool), 0);
	spool_close(spool);
	/* a daemon's other life begins with nothing, and leaves nothing behind */
	box->epoch = "fedcba9876543210";
	spool = spool_box_open(box);
	spool_box_record(&record, box->epoch, 1, 1, 0);
	assert_int_equal(spool_append(spool, 1, buf_slice(&record)), 0);
	assert_int_equal(spool_append(spool, 1, buf_slice(&record)), -EEXIST);
	buf_free(&record);
	spool_close(spool);
}

static void test_refuses_what_is_no_record(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct buf record = BUF_EMPTY;
	static char long_one[FRAME_BODY_MAX + 1];

	assert_int_equal(spool_append(spool, 1, SLICE("not a record")), -EBADMSG);
	assert_int_equal(spool_append(spool, 1, SLICE("")), -EMSGSIZE);
	assert_int_equal(spool_append(spool, 1, slice_of(long_one, sizeof(long_one))), -EMSGSIZE);
	spool_box_record(&record, "0123456789abcdef", 2, 1, 0);
	assert_int_equal(spool_append(spool, 1, buf_slice(&record)), -EBADMSG);
	buf_clear(&record);
	spool_box_record(&record, "another epoch", 1, 1, 0);
	assert_int_equal(spool_append(spool, 1, buf_slice(&record)), -EBADMSG);
	append(spool, 1, 3, 0);
	assert_reads(spool, 1, 3);
	buf_free(&record);
	spool_close(spool);
}

static void test_torn_tail(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	uint64_t size;

	append(spool, 1, 20, 100);
	size = spool_size(spool);
	spool_close(spool);
	/* cut at every place of the last two records */
	for (uint64_t cut = 1; cut < 300; cut += 7) {
		uint64_t left;

		spool_box_truncate(box, 1, size - cut);
		spool = spool_box_open(box);
		left = spool_box_count(spool);
		assert_true(left == 19 || left == 18);
		assert_reads(spool, 1, left);
		spool_close(spool);
	}
	/* and with rubbish behind it */
	spool_box_overwrite(box, 1, spool_box_size(box, 1), "\xff\xc1\xfe\xc0rubbish", 11);
	size = spool_box_size(box, 1);
	spool = spool_box_open(box);
	assert_true(spool_box_size(box, 1) < size);
	assert_reads(spool, 1, 17 + (spool_box_count(spool) == 18));
	spool_close(spool);
}

static void test_one_bad_byte_costs_one_record(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_position second, at = {0, 0}, begin;
	struct spool_box_read read = {.n = 0};

	append(spool, 1, 5, 100);
	begin = at;
	assert_int_equal(spool_read(spool, &begin, 1, 1 << 20, spool_box_given, &read), 1);
	second = begin;
	assert_int_equal(spool_read(spool, &second, 1, 1 << 20, spool_box_given, &read), 1);
	spool_close(spool);
	for (uint64_t offset = begin.offset; offset < second.offset; offset++) {
		char byte = spool_box_flip(box, 1, offset);

		spool = spool_box_open(box);
		read.n = 0;
		at = (struct spool_position){0, 0};
		assert_int_equal(
			spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read), 4);
		assert_int_equal(read.sequences[0], 1);
		for (uint64_t i = 1; i < 4; i++)
			assert_int_equal(read.sequences[i], i + 2);
		spool_close(spool);
		spool_box_overwrite(box, 1, offset, &byte, 1);
	}
	free(read.sequences);
}

static void test_missing_segments_and_foreign_files(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_box_read read = {.n = 0};
	struct spool_position at = {0, 0};

	append(spool, 1, 1000, 200);
	spool_close(spool);
	spool_box_unlink(box, "0000000000000003.seg");
	assert_int_equal(mkdirat(box->directory, "0000000000000004.seg.d", 0700), 0);
	assert_int_equal(mkdirat(box->directory, "00000000000000aa.seg", 0700), 0);
	assert_int_equal(symlinkat("/etc/passwd", box->directory, "00000000000000ab.seg"), 0);
	assert_int_equal(mkfifoat(box->directory, "00000000000000ac.seg", 0600), 0);
	assert_int_equal(mkfifoat(box->directory, "ffffffffffffffff.seg", 0600), 0);
	spool = spool_box_open(box);
	while (spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read) > 0)
		;
	assert_true(read.n > 500 && read.n < 1000);
	for (size_t i = 1; i < read.n; i++)
		assert_true(read.sequences[i] > read.sequences[i - 1]);
	append(spool, 1001, 1010, 10);
	/* one that goes while the spool is open */
	spool_box_unlink(box, "0000000000000002.seg");
	read.n = 0;
	at = (struct spool_position){2, 0};
	while (spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read) > 0)
		;
	assert_int_equal(read.sequences[read.n - 1], 1010);
	spool_close(spool);
	free(read.sequences);
}

static void test_bad_cursor_sends_all_again(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};

	append(spool, 1, 10, 0);
	assert_int_equal(spool_read(spool, &at, 5, 1 << 20, spool_box_given, &read), 5);
	spool_acknowledge(spool, &at);
	spool_close(spool);
	spool_box_damage_cursor(box);
	spool = spool_box_open(box);
	assert_reads(spool, 1, 10);
	spool_close(spool);
	spool_box_unlink(box, "cursor");
	spool = spool_box_open(box);
	assert_reads(spool, 1, 10);
	spool_close(spool);
	free(read.sequences);
}

static void test_bounded(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool;
	struct spool_position at;
	struct spool_box_read read = {.n = 0};
	uint64_t next = 1;
	int error;

	box->bytes = 100000;
	spool = spool_box_open(box);
	at = spool_cursor(spool);
	for (int round = 0; round < 5; round++) {
		while (!(error = spool_box_append(spool, 1, next, 200)) || error == -EAGAIN) {
			if (error)
				assert_int_equal(spool_write(spool), 0);
			else
				next++;
		}
		assert_int_equal(error, -ENOSPC);
		assert_int_equal(spool_write(spool), 0);
		assert_true(spool_size(spool) <= box->bytes);
		while (spool_read(spool, &at, 10, 1 << 20, spool_box_given, &read) > 0)
			;
		assert_int_equal(read.n, next - 1);
		spool_acknowledge(spool, &at);
	}
	assert_true(next > 1000);
	for (uint64_t i = 0; i < read.n; i++)
		assert_int_equal(read.sequences[i], i + 1);
	spool_close(spool);
	free(read.sequences);
}

/* A write that the kernel refuses half way: a limit of the file size does what a full disk does. */
static void test_write_that_fails(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct rlimit limit, before;
	uint64_t size;

	append(spool, 1, 3, 100);
	size = spool_box_size(box, 1);
	for (uint64_t i = 4; i <= 8; i++)
		assert_int_equal(spool_box_append(spool, 1, i, 100), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = (struct rlimit){size + 300, before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(spool_write(spool), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(spool_box_size(box, 1), size);
	assert_reads(spool, 1, 3);
	/* as if it had never been */
	append(spool, 4, 8, 100);
	assert_reads(spool, 1, 8);
	spool_close(spool);
	spool = spool_box_open(box);
	assert_reads(spool, 1, 8);
	spool_close(spool);
}

/* Appends and writes until the disk takes no more; returns the sequence that comes next. */
static uint64_t append_until_full(struct spool *spool, uint64_t next)
{
	int error = 0;

	while (!error) {
		error = spool_box_append(spool, 1, next, 200);
		if (!error || error == -EAGAIN) {
			uint64_t appended = next + !error;

			error = spool_write(spool);
			if (!error)
				next = appended;
		}
	}
	assert_int_equal(error, -ENOSPC);
	return next;
}

/* A disk that is really full: a small one of its own, in a mount namespace of its own. */
static void test_full_disk(void **state)
{
	struct spool_box *box = *state;
	struct spool_position at;
	struct spool_box_read read = {.n = 0};
	struct spool *spool;
	uint64_t next = 1;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", box->path, "tmpfs", 0, "size=128k") < 0)
		skip();
	close(box->directory);
	box->directory = open(box->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	spool = spool_box_open(box);
	at = spool_cursor(spool);
	/* each time it is full: acknowledged up to the last, it takes as much again */
	for (int round = 0; round < 5; round++) {
		next = append_until_full(spool, next);
		while (spool_read(spool, &at, 10, 1 << 20, spool_box_given, &read) > 0)
			;
		assert_int_equal(read.n, next - 1);
		spool_acknowledge(spool, &at);
	}
	assert_true(next > 1000);
	for (uint64_t i = 0; i < read.n; i++)
		assert_int_equal(read.sequences[i], i + 1);
	/* and with some of it left, nothing of that is lost on the way over a restart */
	next = append_until_full(spool, next);
	spool_close(spool);
	spool = spool_box_open(box);
	assert_reads(spool, read.n + 1, next - 1);
	spool_close(spool);
	free(read.sequences);
	close(box->directory);
	umount(box->path);
	box->directory = open(box->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_text_is_no_frame(void **state)
{
	struct spool_box *box = *state;
	struct spool *spool = spool_box_open(box);
	struct spool_position at = {0, 0};
	struct spool_box_read read = {.n = 0};
	struct buf forged = BUF_EMPTY, outer = BUF_EMPTY;
	unsigned char header[FRAME_HEADER];

	/* A frame in a prompt is no UTF-8: the encoder repairs it, the spool refuses it. */
	spool_box_record(&forged, "0123456789abcdef", 1, 99, 0);
	frame_header(header, FRAME_RECORD, buf_slice(&forged), 1, 60);
	spool_box_text_record(&outer, slice_of((char *)header, sizeof(header)));
	assert_null(memmem(outer.memory, buf_len(&outer), header, 4));
	append(spool, 1, 2, 0);
	spool_close(spool);
	spool_box_flip(box, 1, 40);
	spool = spool_box_open(box);
	spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read);
	for (size_t i = 0; i < read.n; i++)
		assert_true(read.sequences[i] <= 2);
	spool_close(spool);
	buf_free(&forged);
	buf_free(&outer);
	free(read.sequences);
}

static void test_unusable_directory(void **state)
{
	struct spool_options options = {.epoch = "0123456789abcdef", .bytes = 1000,
		.segment_bytes = 1000};
	struct spool *spool;
	struct why why;

	(void)state;
	options.directory = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	assert_int_equal(spool_open(&options, &spool, &why), -ENOTDIR);
	assert_null(spool);
	close(options.directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, spool_box_setup, spool_box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_goes_in_and_out),
		TEST(test_restart_keeps_what_is_not_acknowledged),
		TEST(test_segments_go_when_acknowledged),
		TEST(test_what_is_spooled_is_not_spooled_again),
		TEST(test_refuses_what_is_no_record),
		TEST(test_torn_tail),
		TEST(test_one_bad_byte_costs_one_record),
		TEST(test_missing_segments_and_foreign_files),
		TEST(test_bad_cursor_sends_all_again),
		TEST(test_bounded),
		TEST(test_write_that_fails),
		TEST(test_full_disk),
		TEST(test_text_is_no_frame),
		TEST(test_unusable_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
