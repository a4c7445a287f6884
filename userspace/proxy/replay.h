/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy of a request's body: what of it has to be sent still, and, as long as the whole of it is
 * kept, what can be sent again. All copies of a worker share a bound.
 *
 * They are kept in memory, in blocks that are neither moved nor copied as more comes. A file would keep
 * what people say on a disk, which no worker may write to and whose slowness the loop would wait for;
 * how much memory they may take is configured. */
#ifndef PROXY_REPLAY_H
#define PROXY_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* What the copies of one worker hold together. */
struct replay_total {
	size_t held, most; /* bytes */
};

struct replay {
	struct replay_total *total;
	uint64_t start, end; /* what of the body is held; what lies before is forgotten */
	struct buf bytes;    /* the beginning of that … */
	char **blocks;	     /* … and what follows, from blocks_at on; all but the last are full */
	size_t nblocks, gone; /* the first of them are NULL: forgotten */
	uint64_t blocks_at;
	size_t reserved; /* of total */
};

/* An empty body. */
void replay_open(struct replay *replay, struct replay_total *total);
/* Forgets everything; once it is not needed any more, and at the end. Any number of times. */
void replay_close(struct replay *replay);

/* 0 or -ENOMEM. Never refused because of the total, which is asked before. */
int replay_append(struct replay *replay, struct slice span);
/* The body's length so far. */
uint64_t replay_end(const struct replay *replay);
/* What is held from that offset on, which must not lie before start: as much as lies in one piece.
 * Empty at the end alone. Of a body that is whole, the first 256 KiB are one piece. */
struct slice replay_from(const struct replay *replay, uint64_t offset);
/* Nothing before the offset is needed any more. */
void replay_forget(struct replay *replay, uint64_t offset);
/* Nothing is forgotten: it can be sent again from its beginning. */
static inline bool replay_is_whole(const struct replay *replay)
{
	return !replay->start;
}

/* Whether copies may hold more than each needs. */
static inline bool replay_may_grow(const struct replay *replay)
{
	return replay->total->held < replay->total->most;
}

/* Whether this copy may hold that many bytes; if so, they are reserved for it. */
bool replay_reserve(struct replay *replay, uint64_t len);

#endif
