// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/replay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK (256u << 10)

void replay_open(struct replay *replay, struct replay_total *total)
{
	*replay = (struct replay){.total = total, .bytes = BUF_EMPTY};
}

/* What is held counts, and what was reserved though it has not come. */
static void replay_count(struct replay *replay, size_t len)
{
	replay->total->held += len - replay->reserved;
	replay->reserved = len;
}

static void block_free(char **block)
{
	if (*block)
		explicit_bzero(*block, BLOCK);
	free(*block);
	*block = NULL;
}

/* The blocks before that one are needed no more. */
static void blocks_forget(struct replay *replay, size_t before)
{
	for (; replay->gone < before; replay->gone++)
		block_free(&replay->blocks[replay->gone]);
}

static void blocks_close(struct replay *replay)
{
	blocks_forget(replay, replay->nblocks);
	free(replay->blocks);
	replay->blocks = NULL;
	replay->nblocks = replay->gone = 0;
}

void replay_close(struct replay *replay)
{
	replay->start = replay->end;
	buf_wipe(&replay->bytes);
	blocks_close(replay);
	replay_count(replay, 0);
}

/* Room in the last block, or in a new one; 0 without memory. */
static size_t block_room(struct replay *replay, char **room)
{
	uint64_t at = replay->end - replay->blocks_at;
	size_t used = replay->nblocks ? (size_t)(at - (replay->nblocks - 1) * (uint64_t)BLOCK) : BLOCK;
	char **blocks;

	if (used == BLOCK) {
		/* As many pointers as a power of two has room for. */
		if (!(replay->nblocks & (replay->nblocks - 1))) {
			blocks = realloc(replay->blocks,
				(replay->nblocks ? 2 * replay->nblocks : 1) * sizeof(*blocks));
			if (!blocks)
				return 0;
			replay->blocks = blocks;
		}
		replay->blocks[replay->nblocks] = malloc(BLOCK);
		if (!replay->blocks[replay->nblocks])
			return 0;
		replay->nblocks++;
		used = 0;
	}
	*room = replay->blocks[replay->nblocks - 1] + used;
	return BLOCK - used;
}

static int blocks_append(struct replay *replay, struct slice span)
{
	if (!replay->nblocks)
		replay->blocks_at = replay->end;
	while (span.len) {
		char *to;
		struct slice piece = slice_first(span, block_room(replay, &to));

		if (!piece.len)
			return -ENOMEM;
		memcpy(to, piece.data, piece.len);
		replay->end += piece.len;
		span = slice_after(span, piece.len);
	}
	return 0;
}

int replay_append(struct replay *replay, struct slice span)
{
	struct slice first = slice_first(
		span, replay->nblocks ? 0 : BLOCK - buf_len(&replay->bytes));
	int error = buf_append_slice(&replay->bytes, first);

	if (error)
		return error;
	replay->end += first.len;
	error = blocks_append(replay, slice_after(span, first.len));
	if (replay->end - replay->start > replay->reserved)
		replay_count(replay, (size_t)(replay->end - replay->start));
	return error;
}

uint64_t replay_end(const struct replay *replay)
{
	return replay->end;
}

struct slice replay_from(const struct replay *replay, uint64_t offset)
{
	uint64_t begun = replay->start + buf_len(&replay->bytes), at;

	assert(offset >= replay->start && offset <= replay->end);
	if (offset < begun)
		return slice_after(buf_slice(&replay->bytes), (size_t)(offset - replay->start));
	if (offset == replay->end)
		return SLICE_NONE;
	at = offset - replay->blocks_at;
	return slice_first(slice_of(replay->blocks[at / BLOCK] + at % BLOCK, BLOCK - at % BLOCK),
		replay->end - offset < BLOCK ? (size_t)(replay->end - offset) : BLOCK);
}

void replay_forget(struct replay *replay, uint64_t offset)
{
	assert(offset >= replay->start && offset <= replay->end);
	buf_consume(&replay->bytes, (size_t)(offset - replay->start)); /* as much as there is */
	replay->start = offset;
	if (offset == replay->end)
		blocks_close(replay);
	else if (replay->nblocks && offset > replay->blocks_at)
		blocks_forget(replay, (size_t)((offset - replay->blocks_at) / BLOCK));
	replay_count(replay, (size_t)(replay->end - replay->start));
}

bool replay_reserve(struct replay *replay, uint64_t len)
{
	if (len <= replay->reserved)
		return true;
	if (len - replay->reserved > replay->total->most ||
		replay->total->held > replay->total->most - (size_t)(len - replay->reserved))
		return false;
	replay_count(replay, (size_t)len);
	return true;
}
