// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/replay.h"

#include <assert.h>

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

void replay_close(struct replay *replay)
{
	replay->start = replay_end(replay);
	buf_wipe(&replay->bytes);
	replay_count(replay, 0);
}

int replay_append(struct replay *replay, struct slice span)
{
	int error = buf_append_slice(&replay->bytes, span);

	if (!error && buf_len(&replay->bytes) > replay->reserved)
		replay_count(replay, buf_len(&replay->bytes));
	return error;
}

uint64_t replay_end(const struct replay *replay)
{
	return replay->start + buf_len(&replay->bytes);
}

struct slice replay_from(const struct replay *replay, uint64_t offset)
{
	assert(offset >= replay->start && offset <= replay_end(replay));
	return slice_after(buf_slice(&replay->bytes), (size_t)(offset - replay->start));
}

void replay_forget(struct replay *replay, uint64_t offset)
{
	assert(offset >= replay->start && offset <= replay_end(replay));
	buf_consume(&replay->bytes, (size_t)(offset - replay->start));
	replay->start = offset;
	replay_count(replay, buf_len(&replay->bytes));
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
