// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int room_make(struct segments *segments, size_t end)
{
	size_t capacity = segments->capacity ? segments->capacity : 512;
	char *memory;

	if (end <= segments->capacity)
		return 0;
	while (capacity < end)
		capacity *= 2;
	memory = realloc(segments->memory, capacity);
	if (!memory)
		return -ENOMEM;
	segments->memory = memory;
	segments->capacity = capacity;
	return 0;
}

static void piece_remove(struct segments *segments, size_t i)
{
	segments->npieces--;
	memmove(&segments->pieces[i], &segments->pieces[i + 1],
		(segments->npieces - i) * sizeof(segments->pieces[0]));
}

/* Copies what no piece from index first on has yet. */
static void fill_gaps(struct segments *segments, size_t first, size_t start, struct slice bytes)
{
	size_t at = start, end = start + bytes.len;

	for (size_t i = first; at < end; i++) {
		bool last = i == segments->npieces || segments->pieces[i].start >= end;
		size_t until = last ? end : segments->pieces[i].start;

		if (until > at)
			memcpy(segments->memory + at, bytes.data + (at - start), until - at);
		if (last)
			return;
		if (segments->pieces[i].end > at)
			at = segments->pieces[i].end;
	}
}

int segments_add(struct segments *segments, size_t offset, struct slice bytes, size_t limit)
{
	size_t first = 0, after, start = offset, end;
	int error;

	if (!bytes.len)
		return 0;
	if (offset > limit || bytes.len > limit - offset)
		return -EMSGSIZE;
	end = offset + bytes.len;
	while (first < segments->npieces && segments->pieces[first].end < start)
		first++;
	after = first;
	while (after < segments->npieces && segments->pieces[after].start <= end)
		after++;
	if (after == first && segments->npieces == SEGMENTS_PIECES_MAX)
		return -ENOBUFS;
	error = room_make(segments, end);
	if (error)
		return error;
	fill_gaps(segments, first, offset, bytes);
	if (after == first) {
		memmove(&segments->pieces[first + 1], &segments->pieces[first],
			(segments->npieces - first) * sizeof(segments->pieces[0]));
		segments->npieces++;
	} else {
		if (segments->pieces[first].start < start)
			start = segments->pieces[first].start;
		if (segments->pieces[after - 1].end > end)
			end = segments->pieces[after - 1].end;
		while (--after > first)
			piece_remove(segments, after);
	}
	segments->pieces[first] = (struct segments_piece){start, end};
	return 0;
}

bool segments_agree(const struct segments *segments, size_t offset, struct slice bytes)
{
	for (size_t i = 0; i < segments->npieces; i++) {
		const struct segments_piece *piece = &segments->pieces[i];
		size_t from = piece->start > offset ? piece->start : offset;
		size_t to = piece->end < offset + bytes.len ? piece->end : offset + bytes.len;

		if (from < to && memcmp(segments->memory + from, bytes.data + (from - offset),
					 to - from) != 0)
			return false;
	}
	return true;
}

struct slice segments_front(const struct segments *segments)
{
	if (!segments->npieces || segments->pieces[0].start > 0)
		return SLICE_NONE;
	return slice_of(segments->memory, segments->pieces[0].end);
}

void segments_consume(struct segments *segments, size_t len)
{
	size_t last;

	if (!len || !segments->npieces)
		return;
	last = segments->pieces[segments->npieces - 1].end;
	memmove(segments->memory, segments->memory + len, last - len);
	if (segments->pieces[0].end == len)
		piece_remove(segments, 0);
	for (size_t i = 0; i < segments->npieces; i++) {
		segments->pieces[i].start -= segments->pieces[i].start ? len : 0;
		segments->pieces[i].end -= len;
	}
}

void segments_free(struct segments *segments)
{
	free(segments->memory);
	*segments = SEGMENTS_EMPTY;
}
