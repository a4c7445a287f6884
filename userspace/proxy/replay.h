/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy of a request's body: what of it has to be sent still, and, as long as the whole of it is
 * kept, what can be sent again. All copies of a worker share a bound. */
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
	struct buf bytes;  /* of the body, from start on */
	uint64_t start;	   /* what lies before is forgotten */
	size_t reserved;   /* of total */
};

/* An empty body. */
void replay_open(struct replay *replay, struct replay_total *total);
/* Forgets everything; once it is not needed any more, and at the end. Any number of times. */
void replay_close(struct replay *replay);

/* 0 or -ENOMEM. Never refused because of the total, which is asked before. */
int replay_append(struct replay *replay, struct slice span);
/* The body's length so far. */
uint64_t replay_end(const struct replay *replay);
/* What is held from that offset on, which must not lie before start. */
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
