// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/spool_streams.h"

#include <errno.h>
#include <stdlib.h>

#include "audit/little_endian.h"

#define ENTRY_SIZE 12 /* stream, sequence */

void streams_init(struct spool_streams *streams, struct slice epoch)
{
	*streams = (struct spool_streams){.reached = NULL};
	epoch = slice_first(epoch, STREAMS_EPOCH);
	memcpy(streams->epoch, epoch.data, epoch.len);
}

void streams_free(struct spool_streams *streams)
{
	free(streams->reached);
	streams->reached = NULL;
	streams->n = 0;
}

bool streams_same_epoch(const struct spool_streams *streams, struct slice epoch)
{
	return slice_equal(epoch, slice_of(streams->epoch, strnlen(streams->epoch, STREAMS_EPOCH)));
}

/* The index of the first entry that is not before the stream. */
static size_t streams_index(const struct spool_streams *streams, uint32_t stream)
{
	size_t low = 0, high = streams->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (streams->reached[middle].stream < stream)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void streams_remove(struct spool_streams *streams, size_t index)
{
	memmove(streams->reached + index, streams->reached + index + 1,
		(streams->n - index - 1) * sizeof(*streams->reached));
	streams->n--;
}

struct stream_reached *streams_get(struct spool_streams *streams, uint32_t stream)
{
	size_t index = streams_index(streams, stream);
	struct stream_reached *at;

	if (index < streams->n && streams->reached[index].stream == stream)
		return streams->reached + index;
	if (!streams->reached) {
		streams->reached = calloc(STREAMS_MAX, sizeof(*streams->reached));
		if (!streams->reached)
			return NULL;
	}
	if (streams->n == STREAMS_MAX) {
		streams_remove(streams, 0);
		index -= index > 0;
	}
	at = streams->reached + index;
	memmove(at + 1, at, (streams->n - index) * sizeof(*at));
	*at = (struct stream_reached){.stream = stream};
	streams->n++;
	return at;
}

void streams_forget(struct spool_streams *streams, uint32_t stream)
{
	size_t index = streams_index(streams, stream);

	if (index < streams->n && streams->reached[index].stream == stream)
		streams_remove(streams, index);
}

void streams_settle(struct spool_streams *streams, bool written)
{
	for (size_t i = 0; i < streams->n; i++) {
		if (written)
			streams->reached[i].written = streams->reached[i].pending;
		else
			streams->reached[i].pending = streams->reached[i].written;
	}
}

int streams_encode(const struct spool_streams *streams, struct buf *body)
{
	size_t size = STREAMS_EPOCH + streams->n * ENTRY_SIZE;
	unsigned char *at = (unsigned char *)buf_reserve(body, size);

	if (!at)
		return -ENOMEM;
	memcpy(at, streams->epoch, STREAMS_EPOCH);
	at += STREAMS_EPOCH;
	for (size_t i = 0; i < streams->n; i++, at += ENTRY_SIZE) {
		put_le32(at, streams->reached[i].stream);
		put_le64(at + 4, streams->reached[i].written);
	}
	buf_commit(body, size);
	return 0;
}

int streams_decode(struct spool_streams *streams, struct slice body)
{
	const unsigned char *at = (const unsigned char *)body.data;

	if (body.len < STREAMS_EPOCH || (body.len - STREAMS_EPOCH) % ENTRY_SIZE ||
		(body.len - STREAMS_EPOCH) / ENTRY_SIZE > STREAMS_MAX)
		return -EBADMSG;
	if (memcmp(at, streams->epoch, STREAMS_EPOCH) != 0)
		return 0;
	for (size_t i = STREAMS_EPOCH; i < body.len; i += ENTRY_SIZE) {
		struct stream_reached *reached = streams_get(streams, get_le32(at + i));

		if (!reached)
			return -ENOMEM;
		/* Segments may be read from the newest back: never down again. */
		if (get_le64(at + i + 4) > reached->written)
			reached->written = reached->pending = get_le64(at + i + 4);
	}
	return 0;
}
