// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/spool_box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/event.h"
#include "audit/record.h"
#include "audit/spool_segment.h"
#include "base/log.h"

#define EPOCH "0123456789abcdef"

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	abort();
}

int spool_box_setup(void **state)
{
	struct spool_box *box = calloc(1, sizeof(*box));

	check(box != NULL, "calloc");
	/* Damage is the purpose here: not a line of it is news. */
	log_open("test", (enum log_level)0);
	/* In memory where that is to be had: thousands of files are made and removed. */
	snprintf(box->path, sizeof(box->path), "%s/sallyport-spool-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	check(mkdtemp(box->path) != NULL, "mkdtemp");
	box->directory = open(box->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(box->directory >= 0, box->path);
	box->epoch = EPOCH;
	box->bytes = 1u << 30;
	box->segment_bytes = 32u << 10;
	*state = box;
	return 0;
}

int spool_box_teardown(void **state)
{
	struct spool_box *box = *state;
	DIR *directory = opendir(box->path);
	struct dirent *entry;

	check(directory != NULL, box->path);
	while ((entry = readdir(directory))) {
		if (unlinkat(box->directory, entry->d_name, 0) < 0)
			unlinkat(box->directory, entry->d_name, AT_REMOVEDIR);
	}
	closedir(directory);
	close(box->directory);
	rmdir(box->path);
	free(box);
	return 0;
}

struct spool *spool_box_open(struct spool_box *box)
{
	struct spool_options options = {
		.directory = dup(box->directory),
		.epoch = box->epoch,
		.bytes = box->bytes,
		.segment_bytes = box->segment_bytes,
	};
	struct spool *spool;
	struct why why;

	if (spool_open(&options, &spool, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	return spool;
}

void spool_box_record(
	struct buf *record, const char *epoch, uint32_t stream, uint64_t sequence, size_t padding)
{
	char *text = malloc(padding + 1);
	struct event event = {
		.epoch = slice_of_string(epoch),
		.stream = event_number(stream),
		.sequence = event_number(sequence),
	};

	check(text != NULL, "malloc");
	memset(text, 'x', padding);
	event.input_messages = slice_of(text, padding);
	errno = -event_encode(&event, record);
	check(errno == 0, "event_encode");
	free(text);
}

void spool_box_text_record(struct buf *record, struct slice text)
{
	struct event event = {
		.epoch = SLICE(EPOCH),
		.stream = event_number(1),
		.sequence = event_number(1),
		.input_messages = text,
	};

	errno = -event_encode(&event, record);
	check(errno == 0, "event_encode");
}

int spool_box_append(struct spool *spool, uint32_t stream, uint64_t sequence, size_t padding)
{
	struct buf record = BUF_EMPTY;
	int error;

	spool_box_record(&record, EPOCH, stream, sequence, padding);
	error = spool_append(spool, stream, buf_slice(&record));
	buf_free(&record);
	return error;
}

int spool_box_given(void *context, struct slice record)
{
	struct spool_box_read *read = context;
	struct record_identity identity;

	errno = -record_check(record, &identity);
	check(errno == 0, "record_check");
	if (read->n == read->room) {
		read->room = read->room ? 2 * read->room : 64;
		read->sequences = reallocarray(
			read->sequences, read->room, sizeof(*read->sequences));
		check(read->sequences != NULL, "reallocarray");
	}
	read->sequences[read->n++] = identity.sequence;
	return 0;
}

uint64_t spool_box_count(struct spool *spool)
{
	struct spool_position at = spool_cursor(spool);
	struct spool_box_read read = {.n = 0};

	while (spool_read(spool, &at, 100, 1 << 20, spool_box_given, &read) > 0)
		;
	free(read.sequences);
	return read.n;
}

size_t spool_box_segments(const struct spool_box *box)
{
	DIR *directory = opendir(box->path);
	struct dirent *entry;
	uint64_t number;
	size_t n = 0;

	check(directory != NULL, box->path);
	while ((entry = readdir(directory)))
		n += segment_number(entry->d_name, &number);
	closedir(directory);
	return n;
}

static int open_segment(const struct spool_box *box, uint64_t segment)
{
	char name[SEGMENT_NAME];
	int fd;

	segment_name(name, segment);
	fd = openat(box->directory, name, O_RDWR | O_CLOEXEC);
	check(fd >= 0, name);
	return fd;
}

uint64_t spool_box_size(const struct spool_box *box, uint64_t segment)
{
	int fd = open_segment(box, segment);
	off_t size = lseek(fd, 0, SEEK_END);

	close(fd);
	return (uint64_t)size;
}

void spool_box_truncate(const struct spool_box *box, uint64_t segment, uint64_t size)
{
	int fd = open_segment(box, segment);

	check(ftruncate(fd, (off_t)size) == 0, "ftruncate");
	close(fd);
}

void spool_box_overwrite(const struct spool_box *box, uint64_t segment, uint64_t offset,
	const char *data, size_t len)
{
	int fd = open_segment(box, segment);

	check(pwrite(fd, data, len, (off_t)offset) == (ssize_t)len, "pwrite");
	close(fd);
}

char spool_box_flip(const struct spool_box *box, uint64_t segment, uint64_t offset)
{
	int fd = open_segment(box, segment);
	char was, is;

	check(pread(fd, &was, 1, (off_t)offset) == 1, "pread");
	is = (char)~was;
	check(pwrite(fd, &is, 1, (off_t)offset) == 1, "pwrite");
	close(fd);
	return was;
}

void spool_box_damage_cursor(const struct spool_box *box)
{
	int fd = openat(box->directory, "cursor", O_RDWR | O_CLOEXEC);

	check(fd >= 0 && pwrite(fd, "\xff\xff", 2, 20) == 2, "cursor");
	close(fd);
}

void spool_box_unlink(const struct spool_box *box, const char *name)
{
	check(unlinkat(box->directory, name, 0) == 0, name);
}
