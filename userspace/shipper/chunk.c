// SPDX-License-Identifier: GPL-2.0-or-later
#include "shipper/chunk.h"

#include <errno.h>

#define CHUNK_BYTES (1u << 20) /* of records; one record may be longer */

static int chunk_add(void *context, struct slice record)
{
	return forward_chunk_add(context, record);
}

int chunk_take(struct chunk *chunk, struct spool *spool, struct spool_position *at,
	const struct config_audit *config, struct buf *spare)
{
	struct spool_position end = *at;
	struct forward_chunk making;
	uint64_t begin;
	int n;

	*chunk = (struct chunk){.bytes = *spare};
	*spare = BUF_EMPTY;
	n = forward_chunk_begin(&making, slice_of_string(config->tag), &chunk->bytes);
	if (!n)
		n = spool_read(spool, &end, config->batch, CHUNK_BYTES, chunk_add, &making);
	if (n > 0) {
		begin = end.segment == at->segment ? at->offset : 0;
		chunk->id = forward_id(spool_number(spool), end.segment, begin, end.offset);
		chunk->end = end;
		chunk->records = making.count;
		if (forward_chunk_end(&making, &chunk->id) < 0)
			n = -ENOMEM;
	}
	if (n <= 0)
		chunk_release(chunk, spare);
	if (n < 0)
		return n;
	*at = end;
	return n > 0;
}

int chunk_send(struct chunk *chunk, struct secure_socket *socket)
{
	struct slice rest = slice_after(buf_slice(&chunk->bytes), chunk->sent);

	while (rest.len) {
		ssize_t n = secure_write(socket, rest);

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		chunk->sent += (size_t)n;
		rest = slice_after(rest, (size_t)n);
	}
	return 1;
}

void chunk_release(struct chunk *chunk, struct buf *spare)
{
	if (spare->memory || chunk->bytes.capacity > 4 * CHUNK_BYTES) {
		buf_free(&chunk->bytes);
		return;
	}
	buf_clear(&chunk->bytes);
	*spare = chunk->bytes;
	chunk->bytes = BUF_EMPTY;
}
