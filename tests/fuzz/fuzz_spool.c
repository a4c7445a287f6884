// SPDX-License-Identifier: GPL-2.0-or-later
/* A spool directory that somebody has been at. A good spool is made, then the input damages it,
 * step by step: five bytes say what, where and how much (the rest of the input is what is written).
 * Then it must open, give only records, take new ones, and give those back after a restart. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/record.h"
#include "audit/spool_segment.h"
#include "tests/support/spool_box.h"

#define STEPS	64 /* most of one input */
#define RECORDS 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum damage {
	DAMAGE_OVERWRITE,
	DAMAGE_TRUNCATE,
	DAMAGE_REMOVE,
	DAMAGE_REPLACE, /* the whole file */
	DAMAGE_FRAME,	/* a frame with right checksums and any body */
	DAMAGE_CURSOR,
	DAMAGE_DIRECTORY, /* in a segment's place */
	DAMAGE_LINK,
	DAMAGES
};

static void check(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void damage_file(int fd, enum damage damage, uint64_t segment, uint64_t offset,
	enum frame_type type, struct slice bytes)
{
	unsigned char header[FRAME_HEADER];
	ssize_t n = 0;

	switch (damage) {
	case DAMAGE_TRUNCATE:
		check(ftruncate(fd, (off_t)offset) == 0, "ftruncate");
		return;
	case DAMAGE_REPLACE:
		check(ftruncate(fd, 0) == 0, "ftruncate");
		n = pwrite(fd, bytes.data, bytes.len, 0);
		break;
	case DAMAGE_FRAME:
		frame_header(header, type, bytes, segment, offset);
		check(pwrite(fd, header, sizeof(header), (off_t)offset) == sizeof(header), "pwrite");
		n = pwrite(fd, bytes.data, bytes.len, (off_t)(offset + sizeof(header)));
		break;
	default:
		n = pwrite(fd, bytes.data, bytes.len, (off_t)offset);
	}
	check(n == (ssize_t)bytes.len, "pwrite");
}

/* One step; returns what is left of the input. */
static struct slice damage_step(struct spool_box *box, struct slice input)
{
	const unsigned char *step = (const unsigned char *)input.data;
	enum damage damage = step[0] % DAMAGES;
	uint64_t segment = step[1] % 8 + 1, offset = (uint64_t)(step[2] << 8 | step[3]) % 4096;
	struct slice bytes = slice_first(slice_after(input, 5), step[4]);
	char name[SEGMENT_NAME];
	int fd;

	if (damage == DAMAGE_CURSOR)
		snprintf(name, sizeof(name), "cursor");
	else
		segment_name(name, segment);
	if (damage == DAMAGE_REMOVE || damage == DAMAGE_DIRECTORY || damage == DAMAGE_LINK)
		unlinkat(box->directory, name, 0);
	if (damage == DAMAGE_DIRECTORY)
		(void)mkdirat(box->directory, name, 0700);
	if (damage == DAMAGE_LINK)
		check(symlinkat("/dev/zero", box->directory, name) == 0 || errno == EEXIST, name);
	if (damage != DAMAGE_REMOVE && damage != DAMAGE_DIRECTORY && damage != DAMAGE_LINK) {
		fd = openat(box->directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			damage_file(fd, damage, segment, offset, step[3] & 1 ? FRAME_RECORD : FRAME_STREAMS,
				bytes);
		if (fd >= 0)
			close(fd);
	}
	return slice_after(input, 5 + bytes.len);
}

static void append(struct spool *spool, uint32_t stream, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++) {
		int error = spool_box_append(spool, stream, i, 50);

		if (error == -EAGAIN) {
			check(spool_write(spool) == 0, "spool_write");
			error = spool_box_append(spool, stream, i, 50);
		}
		/* A table of streams may claim anything of a stream, also this one's records. */
		check(error == 0 || error == -EEXIST, "spool_append");
	}
	check(spool_write(spool) == 0, "spool_write");
}

/* A good spool of several segments, some of it acknowledged. */
static void make(struct spool_box *box)
{
	struct spool *spool = spool_box_open(box);
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};

	append(spool, 1, 1, RECORDS);
	check(spool_read(spool, &at, 2, 1 << 20, spool_box_given, &read) > 0, "spool_read");
	spool_acknowledge(spool, &at);
	spool_close(spool);
	free(read.sequences);
}

static uint64_t live(struct spool_box *box)
{
	struct spool *spool = spool_box_open(box);
	uint64_t before = spool_box_count(spool), after;
	int error;

	/* A sequence that only a forged table of streams knows already. */
	error = spool_box_append(spool, 4000000000, UINT64_MAX, 10);
	check(error == 0 || error == -EEXIST, "spool_append");
	check(spool_write(spool) == 0, "spool_write");
	after = spool_box_count(spool);
	check(after == before + (error == 0), "the record came back");
	spool_close(spool);
	return after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size);
	struct spool_position at;
	struct spool_box *box;
	struct spool *spool;
	uint64_t left;

	spool_box_setup((void **)&box);
	box->segment_bytes = 700;
	make(box);
	for (int i = 0; i < STEPS && input.len >= 5; i++)
		input = damage_step(box, input);
	left = live(box);
	spool = spool_box_open(box);
	/* Opening repairs nothing away: what could be read can be read again. */
	check(spool_box_count(spool) == left, "all is there after a restart");
	at = spool_cursor(spool);
	for (;;) {
		struct spool_box_read read = {.n = 0};
		int n = spool_read(spool, &at, 3, 100, spool_box_given, &read);

		free(read.sequences);
		check(n >= 0, "spool_read");
		if (!n)
			break;
		spool_acknowledge(spool, &at);
	}
	check(spool_box_count(spool) == 0, "all is acknowledged");
	spool_close(spool);
	spool = spool_box_open(box);
	check(spool_box_count(spool) == 0, "nothing comes again");
	spool_close(spool);
	spool_box_teardown((void **)&box);
	return 0;
}
