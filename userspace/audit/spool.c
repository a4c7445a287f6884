// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/record.h"
#include "audit/spool_internal.h"
#include "base/log.h"

int spool_segment_add(struct spool *spool, uint64_t number, uint64_t head)
{
	if (spool->nsegments == spool->segments_room) {
		size_t room = spool->segments_room ? 2 * spool->segments_room : 16;
		struct spool_segment *grown =
			reallocarray(spool->segments, room, sizeof(*spool->segments));

		if (!grown)
			return -ENOMEM;
		spool->segments = grown;
		spool->segments_room = room;
	}
	spool->segments[spool->nsegments++] = (struct spool_segment){number, head, head};
	return 0;
}

void spool_segment_drop(struct spool *spool, size_t index, bool remove)
{
	struct spool_segment *segment = &spool->segments[index];
	char name[SEGMENT_NAME];

	segment_name(name, segment->number);
	if (remove && unlinkat(spool->options.directory, name, 0) < 0 && errno != ENOENT) {
		log_warning("cannot remove segment %s of the spool: %s", name, strerror(errno));
		counter_add(spool->options.counters, COUNTER_SPOOL_ERROR, 1);
	}
	if (spool->reader.fd >= 0 && spool->reader.number == segment->number)
		segment_close(&spool->reader);
	spool->size -= segment->size;
	spool->nsegments--;
	memmove(segment, segment + 1, (spool->nsegments - index) * sizeof(*segment));
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->active >= 0)
		close(spool->active);
	segment_close(&spool->reader);
	if (spool->options.directory >= 0)
		close(spool->options.directory);
	streams_free(&spool->streams);
	buf_free(&spool->pending);
	free(spool->segments);
	free(spool);
}

static struct spool_segment *spool_newest(struct spool *spool)
{
	return spool->nsegments ? &spool->segments[spool->nsegments - 1] : NULL;
}

static bool position_before(struct spool_position a, struct spool_position b)
{
	return a.segment < b.segment || (a.segment == b.segment && a.offset < b.offset);
}

/* Everything in this segment was acknowledged. */
static bool spool_done(const struct spool *spool, const struct spool_segment *segment)
{
	struct spool_position end = {segment->number, segment->size};

	return !position_before(spool->cursor.position, end);
}

/* Removes segments that nobody needs: all before the cursor but the newest. */
static void spool_trim(struct spool *spool)
{
	while (spool->nsegments > 1 && spool_done(spool, &spool->segments[0]))
		spool_segment_drop(spool, 0, true);
}

static int spool_close_active(struct spool *spool)
{
	int error = spool_sync(spool);

	if (spool->active >= 0)
		close(spool->active);
	spool->active = -1;
	spool->dirty = false;
	return error;
}

static int write_all(int fd, struct slice data, uint64_t offset)
{
	while (data.len) {
		ssize_t n = pwrite(fd, data.data, data.len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data = slice_after(data, (size_t)n);
		offset += (uint64_t)n;
	}
	return 0;
}

/* The first frame: the streams as they are when the segment begins. */
static int segment_begin(struct spool *spool, int fd, uint64_t number, uint64_t *size)
{
	struct buf frame = BUF_EMPTY;
	struct slice body;
	int error;

	if (!buf_reserve(&frame, FRAME_HEADER))
		return -ENOMEM;
	buf_commit(&frame, FRAME_HEADER);
	error = streams_encode(&spool->streams, &frame);
	if (!error) {
		body = slice_after(buf_slice(&frame), FRAME_HEADER);
		frame_header((unsigned char *)frame.memory + frame.start, FRAME_STREAMS, body,
			number, 0);
		error = write_all(fd, buf_slice(&frame), 0);
		*size = buf_len(&frame);
	}
	buf_free(&frame);
	/* Its name must last before it is trusted with anything. */
	if (!error && spool->options.sync &&
		(fdatasync(fd) < 0 || fsync(spool->options.directory) < 0))
		error = -errno;
	return error;
}

static int segment_create(struct spool *spool)
{
	uint64_t number = spool->next, size = 0;
	char name[SEGMENT_NAME];
	int fd, error;

	if (number >= SEGMENT_NUMBERS)
		return -EOVERFLOW;
	segment_name(name, number);
	fd = openat(spool->options.directory, name,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		/* Somebody else's: the next attempt takes the number after it. */
		spool->next += errno == EEXIST;
		return -errno;
	}
	error = segment_begin(spool, fd, number, &size);
	if (!error)
		error = spool_segment_add(spool, number, size);
	if (error) {
		close(fd);
		unlinkat(spool->options.directory, name, 0);
		return error;
	}
	spool->next++;
	spool->size += size;
	spool->active = fd;
	spool_trim(spool);
	return 0;
}

/* On a full disk even the last acknowledged segment is of use: it gives its room back. */
static int segment_replace(struct spool *spool)
{
	struct spool_segment *newest = spool_newest(spool);
	int error = segment_create(spool);

	if ((error != -ENOSPC && error != -EDQUOT) || !newest || !spool_done(spool, newest))
		return error;
	spool_segment_drop(spool, spool->nsegments - 1, true);
	return segment_create(spool);
}

/* Sees to it that the newest segment takes len more bytes. */
static int spool_room(struct spool *spool, size_t len)
{
	size_t pending = buf_len(&spool->pending);
	struct spool_segment *active = spool->active >= 0 ? spool_newest(spool) : NULL;
	bool full = active && active->size + pending + len > spool->options.segment_bytes;
	bool over = spool->size + pending + len > spool->options.bytes;

	/* Over the limit with all of it acknowledged: a new segment lets the old ones go. */
	if (over && spool->nsegments && spool_done(spool, spool_newest(spool)))
		full = true;
	else if (over)
		return -ENOSPC;
	if (active && !full)
		return 0;
	if (pending)
		return -EAGAIN;
	spool_close_active(spool);
	return segment_replace(spool);
}

/* Copies the record behind what is pending, checks the copy, and puts a header in front. */
static int spool_put(struct spool *spool, uint32_t stream, struct slice record)
{
	struct record_identity identity;
	struct stream_reached *reached;
	struct spool_segment *active = spool_newest(spool);
	uint64_t offset = active->size + buf_len(&spool->pending);
	unsigned char *frame = (unsigned char *)buf_reserve(&spool->pending, FRAME_HEADER + record.len);
	struct slice body;

	if (!frame)
		return -ENOMEM;
	memcpy(frame + FRAME_HEADER, record.data, record.len);
	body = slice_of((char *)frame + FRAME_HEADER, record.len);
	if (record_check(body, &identity) < 0 || identity.stream != stream ||
		!streams_same_epoch(&spool->streams, identity.epoch))
		return -EBADMSG;
	reached = streams_get(&spool->streams, stream);
	if (!reached)
		return -ENOMEM;
	if (identity.sequence <= reached->pending)
		return -EEXIST;
	frame_header(frame, FRAME_RECORD, body, active->number, offset);
	buf_commit(&spool->pending, FRAME_HEADER + record.len);
	reached->pending = identity.sequence;
	spool->npending++;
	return 0;
}

int spool_append(struct spool *spool, uint32_t stream, struct slice record)
{
	int error;

	if (!record.len || record.len > FRAME_BODY_MAX)
		return -EMSGSIZE;
	error = spool_room(spool, FRAME_HEADER + record.len);
	return error ? error : spool_put(spool, stream, record);
}

/* A write that failed half way leaves no frame behind that a recovery could find. */
static void spool_undo(struct spool *spool)
{
	struct spool_segment *active = spool_newest(spool);

	if (ftruncate(spool->active, (off_t)active->size) < 0) {
		log_error("cannot shorten a segment of the spool: %s", strerror(errno));
		counter_add(spool->options.counters, COUNTER_SPOOL_ERROR, 1);
		spool_close_active(spool);
	}
}

int spool_write(struct spool *spool)
{
	size_t len = buf_len(&spool->pending);
	int error;

	if (!len)
		return 0;
	error = write_all(spool->active, buf_slice(&spool->pending), spool_newest(spool)->size);
	streams_settle(&spool->streams, !error);
	if (error) {
		spool_undo(spool);
	} else {
		spool_newest(spool)->size += len;
		spool->size += len;
		spool->dirty = true;
		counter_add(spool->options.counters, COUNTER_SPOOL_WRITTEN, spool->npending);
	}
	spool->npending = 0;
	buf_clear(&spool->pending);
	return error;
}

int spool_sync(struct spool *spool)
{
	int error;

	if (!spool->dirty || spool->active < 0)
		return 0;
	spool->dirty = false;
	if (!spool->options.sync || fdatasync(spool->active) == 0)
		return 0;
	error = -errno;
	close(spool->active);
	spool->active = -1;
	counter_add(spool->options.counters, COUNTER_SPOOL_ERROR, 1);
	return error;
}

bool spool_dirty(const struct spool *spool)
{
	return spool->dirty;
}

void spool_forget(struct spool *spool, uint32_t stream)
{
	streams_forget(&spool->streams, stream);
}

struct spool_position spool_cursor(const struct spool *spool)
{
	return spool->cursor.position;
}

/* The first segment that has something at or after the place; nsegments: none. */
static size_t spool_find(const struct spool *spool, const struct spool_position *at)
{
	size_t i;

	for (i = 0; i < spool->nsegments; i++) {
		const struct spool_segment *segment = &spool->segments[i];

		if (segment->size > segment->head &&
			(segment->number > at->segment ||
				(segment->number == at->segment && at->offset < segment->size)))
			break;
	}
	return i;
}

bool spool_has_after(const struct spool *spool, const struct spool_position *position)
{
	return spool_find(spool, position) < spool->nsegments;
}

struct reading {
	uint32_t records;
	size_t bytes;
	int (*given)(void *context, struct slice record);
	void *context;
	uint32_t count;
	size_t len;
};

/* Gives the records of the open segment from reader->at on, up to the limits. */
static int reading_segment(struct reading *reading, struct segment_reader *reader)
{
	struct record_identity identity;
	struct frame frame;
	int result = 0;

	while (reading->count < reading->records && (result = segment_next(reader, &frame)) > 0) {
		if (frame.type != FRAME_RECORD)
			continue;
		if (reading->count && reading->len + frame.body.len > reading->bytes) {
			reader->at = frame.offset;
			break;
		}
		/* A checksum is no proof of who wrote it: nothing but records leaves the spool. */
		if (record_check(frame.body, &identity) < 0) {
			reader->damaged++;
			continue;
		}
		result = reading->given(reading->context, frame.body);
		if (result)
			return result;
		reading->count++;
		reading->len += frame.body.len;
	}
	return result < 0 ? result : 0;
}

static void spool_told_damage(struct spool *spool)
{
	uint64_t left_out;

	if (!spool->reader.damaged)
		return;
	counter_add(spool->options.counters, COUNTER_SPOOL_DAMAGED, spool->reader.damaged);
	if (log_limit(&spool->damaged, &left_out))
		log_error("segment %016" PRIx64 " of the spool is damaged: %" PRIu64
			  " places were passed over (%" PRIu64 " such reports left out)",
			spool->reader.number, spool->reader.damaged, left_out);
	spool->reader.damaged = 0;
}

/* Opens segment i unless it is open; -ENOENT drops it. */
static int spool_open_reader(struct spool *spool, size_t i)
{
	uint64_t number = spool->segments[i].number;
	int error;

	if (spool->reader.fd >= 0 && spool->reader.number == number)
		return 0;
	error = segment_open(&spool->reader, spool->options.directory, number);
	if (error != -ENOENT && error != -EINVAL)
		return error;
	log_error("segment %016" PRIx64 " of the spool has gone: its records are lost", number);
	counter_add(spool->options.counters, COUNTER_SPOOL_SEGMENT_MISSING, 1);
	if (i == spool->nsegments - 1)
		spool_close_active(spool);
	spool_segment_drop(spool, i, false);
	return -ENOENT;
}

int spool_read(struct spool *spool, struct spool_position *at, uint32_t records, size_t bytes,
	int (*given)(void *context, struct slice record), void *context)
{
	struct reading reading = {records, bytes, given, context, 0, 0};
	struct spool_position place = *at;
	size_t i;
	int error = 0;

	while (!reading.count && (i = spool_find(spool, &place)) < spool->nsegments) {
		struct spool_segment *segment = &spool->segments[i];

		error = spool_open_reader(spool, i);
		if (error == -ENOENT)
			continue;
		if (error)
			break;
		if (place.segment != segment->number)
			place = (struct spool_position){segment->number, 0};
		spool->reader.at = place.offset;
		/* The file may be longer, by a write that failed, but never counts beyond this. */
		spool->reader.size = segment->size;
		error = reading_segment(&reading, &spool->reader);
		spool_told_damage(spool);
		if (error)
			break;
		place.offset = spool->reader.at;
	}
	if (error && error != -ENOENT)
		return error;
	*at = place;
	return (int)reading.count;
}

void spool_acknowledge(struct spool *spool, const struct spool_position *position)
{
	bool remove, sync;
	uint64_t left_out;
	int error;

	if (!position_before(spool->cursor.position, *position))
		return;
	spool->cursor.position = *position;
	remove = spool->nsegments > 1 && spool_done(spool, &spool->segments[0]);
	sync = remove && spool->options.sync;
	error = spool_cursor_store(spool->options.directory, &spool->cursor, sync);
	/* Also without a cursor: a full disk must not keep its own remedy from it, and a missing
	 * segment is no obstacle to a recovery. */
	spool_trim(spool);
	if (error && remove)
		error = spool_cursor_store(spool->options.directory, &spool->cursor, sync);
	if (!error)
		return;
	counter_add(spool->options.counters, COUNTER_SPOOL_CURSOR_FAILED, 1);
	if (log_limit(&spool->cursor_failed, &left_out))
		log_error("cannot write the spool's cursor: %s; after a restart acknowledged events"
			  " may be sent again (%" PRIu64 " such reports left out)",
			strerror(-error), left_out);
}

int spool_directory(const struct spool *spool)
{
	return spool->options.directory;
}

uint64_t spool_size(const struct spool *spool)
{
	return spool->size;
}

uint64_t spool_number(const struct spool *spool)
{
	return spool->cursor.number;
}
