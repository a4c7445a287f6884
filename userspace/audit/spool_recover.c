// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a spool that somebody left, in whatever state. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/record.h"
#include "audit/spool.h"
#include "audit/spool_internal.h"
#include "base/log.h"

static int by_number(const void *a, const void *b)
{
	const struct spool_segment *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

/* Lists the segments; what has another name is none of ours, and stays. */
static int recover_list(struct spool *spool, struct why *why)
{
	int error = 0, fd = openat(spool->options.directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t number;

	if (!directory) {
		error = why_set(why, errno, "cannot list the spool directory: %m");
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (!error && (errno = 0, entry = readdir(directory))) {
		if (segment_number(entry->d_name, &number))
			error = spool_segment_add(spool, number, 0);
		else if (entry->d_name[0] != '.' && strncmp(entry->d_name, "cursor", 6) != 0 &&
			 strncmp(entry->d_name, "limits.", 7) != 0)
			log_warning("the spool has a file that is not its own: %s",
				log_quote(slice_of_string(entry->d_name)).text);
	}
	if (error)
		error = why_set(why, ENOMEM, "out of memory");
	else if (errno)
		error = why_set(why, errno, "cannot list the spool directory: %m");
	closedir(directory);
	if (spool->nsegments)
		qsort(spool->segments, spool->nsegments, sizeof(*spool->segments), by_number);
	return error;
}

static int recover_cursor(struct spool *spool, struct why *why)
{
	int error = spool_cursor_load(spool->options.directory, &spool->cursor);

	if (!error)
		return 0;
	if (error != -ENOENT && error != -EBADMSG) {
		errno = -error;
		return why_set(why, errno, "cannot read the spool's cursor: %m");
	}
	if (error == -EBADMSG || spool->nsegments) {
		log_warning("the spool's cursor is %s: all of the spool is sent again",
			error == -EBADMSG ? "damaged" : "missing");
		counter_add(spool->options.counters, COUNTER_SPOOL_CURSOR_FAILED, 1);
	}
	spool->cursor = (struct spool_cursor_file){.number = 0};
	if (getrandom(&spool->cursor.number, sizeof(spool->cursor.number), 0) < 0)
		return why_set(why, errno, "no random numbers: %m");
	/* On a full disk it comes with the first acknowledgement. */
	error = spool_cursor_store(spool->options.directory, &spool->cursor, spool->options.sync);
	if (error)
		log_warning("cannot write the spool's cursor: %s", strerror(-error));
	return 0;
}

/* Removes what was acknowledged before the last life ended, and says what is missing. */
static void recover_acknowledged(struct spool *spool)
{
	uint64_t expected = spool->cursor.position.segment, missing = 0;

	/* The newest stays: it knows which records are spooled. */
	while (spool->nsegments > 1 && spool->segments[0].number < expected)
		spool_segment_drop(spool, 0, true);
	for (size_t i = 0; i < spool->nsegments && expected; i++) {
		uint64_t number = spool->segments[i].number;

		missing += number > expected ? number - expected : 0;
		expected = number >= expected ? number + 1 : expected;
	}
	if (missing) {
		log_warning("%" PRIu64 " segments of the spool are missing", missing);
		counter_add(spool->options.counters, COUNTER_SPOOL_SEGMENT_MISSING, missing);
	}
}

/* What the record says of its stream; records are in order of their sequence. */
static int recover_record(struct spool *spool, struct slice record)
{
	struct record_identity identity;
	struct stream_reached *reached;

	if (record_check(record, &identity) < 0 || identity.stream > UINT32_MAX ||
		!streams_same_epoch(&spool->streams, identity.epoch))
		return 0;
	reached = streams_get(&spool->streams, (uint32_t)identity.stream);
	if (!reached)
		return -ENOMEM;
	if (identity.sequence > reached->written)
		reached->written = reached->pending = identity.sequence;
	return 0;
}

/* Goes through one segment. *complete: its first frame is the table of streams, so that no older
 * segment is needed. *end is where its last good frame ends. */
static int recover_scan(struct spool *spool, struct segment_reader *reader, bool *complete,
	uint64_t *end)
{
	struct frame frame;
	int result;

	*end = 0;
	*complete = false;
	while ((result = segment_next(reader, &frame)) > 0) {
		if (frame.type == FRAME_RECORD)
			result = recover_record(spool, frame.body);
		else
			result = streams_decode(&spool->streams, frame.body);
		if (frame.type == FRAME_STREAMS && frame.offset == 0 && result == 0)
			*complete = true;
		if (result < 0 && result != -EBADMSG)
			return result;
		*end = frame.end;
	}
	return result;
}

/* Drops a torn tail: of the newest segment only, since others were closed in peace. */
static void recover_tail(struct spool *spool, struct spool_segment *segment, uint64_t end)
{
	char name[SEGMENT_NAME];
	int fd;

	if (end == segment->size)
		return;
	log_warning("the newest segment of the spool ends in %" PRIu64
		    " bytes that are no whole record: they are dropped",
		segment->size - end);
	counter_add(spool->options.counters, COUNTER_SPOOL_TORN, 1);
	segment_name(name, segment->number);
	fd = openat(spool->options.directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	/* Nothing is appended to this segment any more: without the cut it is merely longer. */
	if (fd < 0 || ftruncate(fd, (off_t)end) < 0)
		log_warning("cannot shorten the newest segment of the spool: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	spool->size -= segment->size - end;
	segment->size = end;
}

/* Learns the sizes; passes over what cannot be a segment. */
static int recover_sizes(struct spool *spool, struct segment_reader *reader, struct why *why)
{
	for (size_t i = 0; i < spool->nsegments;) {
		uint64_t number = spool->segments[i].number;
		int error = segment_open(reader, spool->options.directory, number);

		if (error == -EINVAL || error == -ENOENT) {
			log_warning("segment %016" PRIx64 " of the spool is not a file of ours", number);
			counter_add(spool->options.counters, COUNTER_SPOOL_DAMAGED, 1);
			spool_segment_drop(spool, i, false);
			continue;
		}
		if (error < 0) {
			errno = -error;
			return why_set(
				why, errno, "cannot open segment %016" PRIx64 ": %m", number);
		}
		spool->segments[i].size = reader->size;
		spool->size += reader->size;
		i++;
	}
	return 0;
}

/* Reads segments from the newest back to one that begins with a whole table of streams. */
static int recover_streams(struct spool *spool, struct segment_reader *reader, struct why *why)
{
	bool complete = false;
	uint64_t end;
	int error = 0;

	for (size_t i = spool->nsegments; !error && !complete && i-- > 0;) {
		struct spool_segment *segment = &spool->segments[i];

		error = segment_open(reader, spool->options.directory, segment->number);
		if (!error)
			error = recover_scan(spool, reader, &complete, &end);
		if (!error && i == spool->nsegments - 1)
			recover_tail(spool, segment, end);
	}
	if (error) {
		errno = -error;
		return why_set(why, errno, "cannot read the spool: %m");
	}
	return 0;
}

static int recover(struct spool *spool, struct why *why)
{
	struct segment_reader reader = SEGMENT_READER_CLOSED;
	uint64_t newest;
	int error;

	error = recover_list(spool, why);
	if (!error)
		error = recover_cursor(spool, why);
	/* A number is never used twice, not even that of a file which is passed over below. */
	newest = spool->nsegments ? spool->segments[spool->nsegments - 1].number : 0;
	if (newest < spool->cursor.position.segment)
		newest = spool->cursor.position.segment;
	spool->next = newest + 1;
	if (!error && spool->next >= SEGMENT_NUMBERS)
		error = why_set(why, EOVERFLOW,
			"the spool has no segment numbers left: move its files away");
	if (!error)
		error = recover_sizes(spool, &reader, why);
	if (!error) {
		recover_acknowledged(spool);
		error = recover_streams(spool, &reader, why);
	}
	segment_close(&reader);
	return error;
}

int spool_open(const struct spool_options *options, struct spool **spool, struct why *why)
{
	struct spool *s = calloc(1, sizeof(*s));
	struct stat st;
	int error;

	*spool = NULL;
	if (!s)
		return why_set(why, ENOMEM, "out of memory");
	s->options = *options;
	s->options.epoch = NULL; /* the caller's */
	s->active = -1;
	s->reader = SEGMENT_READER_CLOSED;
	streams_init(&s->streams, slice_of_string(options->epoch));
	if (fstat(options->directory, &st) < 0 || !S_ISDIR(st.st_mode))
		error = why_set(why, ENOTDIR, "the spool is not a directory");
	else
		error = recover(s, why);
	if (error) {
		s->options.directory = -1;
		spool_close(s);
		return error;
	}
	*spool = s;
	return 0;
}
