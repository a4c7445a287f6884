// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/spool_backlog.h"

#include <errno.h>

#include "audit/record.h"
#include "audit/spool_internal.h"
#include "base/clock.h"

/* The first segment that has something at or after the place; NULL: none. */
static const struct spool_segment *segment_after(
	const struct spool *spool, const struct spool_position *at)
{
	for (size_t i = 0; i < spool->nsegments; i++) {
		const struct spool_segment *segment = &spool->segments[i];

		if (segment->number > at->segment ||
			(segment->number == at->segment && at->offset < segment->size))
			return segment;
	}
	return NULL;
}

static int segment_begin(const struct spool *spool, const struct spool_segment *segment,
	const struct spool_position *at, struct segment_reader *reader)
{
	int error = segment_open(reader, spool->options.directory, segment->number);

	if (error)
		return error;
	reader->at = segment->number == at->segment ? at->offset : 0;
	if (reader->size > segment->size)
		reader->size = segment->size;
	return 0;
}

uint64_t spool_backlog_next(const struct spool *spool)
{
	return spool->next;
}

int spool_backlog_count(struct spool *spool, struct spool_position *at, uint64_t before,
	size_t bytes, uint64_t *records)
{
	const struct spool_segment *segment = segment_after(spool, at);
	struct segment_reader reader = SEGMENT_READER_CLOSED;
	struct record_identity identity;
	struct frame frame;
	uint64_t until;
	int result;

	if (!segment || segment->number >= before)
		return 0;
	result = segment_begin(spool, segment, at, &reader);
	until = reader.at + bytes;
	while (!result && reader.at < until) {
		result = segment_next(&reader, &frame);
		if (result <= 0)
			break;
		*records += frame.type == FRAME_RECORD && !record_check(frame.body, &identity);
		result = 0;
	}
	/* The end of the segment, or what cannot be read of it. */
	*at = (struct spool_position){
		segment->number, reader.at < until ? segment->size : reader.at};
	segment_close(&reader);
	if (result < 0)
		return result;
	segment = segment_after(spool, at);
	return segment && segment->number < before;
}

uint64_t spool_backlog_bytes(const struct spool *spool, const struct spool_position *at)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < spool->nsegments; i++) {
		const struct spool_segment *segment = &spool->segments[i];
		uint64_t from = segment->head;

		if (segment->number < at->segment)
			continue;
		if (segment->number == at->segment && at->offset > from)
			from = at->offset;
		bytes += segment->size > from ? segment->size - from : 0;
	}
	return bytes;
}

static uint64_t be32(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 | (uint64_t)b[2] << 8 | b[3];
}

uint64_t spool_backlog_oldest(const struct spool *spool)
{
	struct segment_reader reader = SEGMENT_READER_CLOSED;
	struct spool_position at = spool->cursor.position;
	const struct spool_segment *segment;
	struct record_identity identity;
	struct frame frame;
	uint64_t time_ns = 0;

	while (!time_ns && (segment = segment_after(spool, &at))) {
		if (!segment_begin(spool, segment, &at, &reader)) {
			while (!time_ns && segment_next(&reader, &frame) > 0)
				if (frame.type == FRAME_RECORD &&
					!record_check(frame.body, &identity))
					time_ns = be32(frame.body.data) * NS_PER_S +
						  be32(frame.body.data + 4);
			segment_close(&reader);
		}
		at = (struct spool_position){segment->number, segment->size};
	}
	return time_ns;
}
