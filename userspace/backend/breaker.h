/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The breaker of one row of standing: a backend, or a deployment of it, that fails is not asked for a
 * while; then one call of one worker tries it, and what comes of that decides. */
#ifndef BACKEND_BREAKER_H
#define BACKEND_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/standing.h"
#include "backend/backend_outcome.h"
#include "backend/reading.h"

/* Who tries holds the place so long at most; should he die, another one goes on. */
#define BREAKER_PROBE_NS (60ULL * 1000000000)
/* Afterwards a backend gets its full part only bit by bit, over this time. */
#define BREAKER_SLOW_START_NS (30ULL * 1000000000)

struct breaker_rules {
	uint32_t failures; /* so many in a row open it */
	uint32_t percent;  /* or so many of the calls of ten seconds, if there are … */
	uint32_t calls;	   /* … so many at least */
	uint64_t open_ns;  /* the first time; twice as long each time a probe fails */
	uint64_t open_max_ns;
	uint64_t pause_max_ns; /* a longer pause than this is not taken at its word */
};

enum breaker_state {
	BREAKER_CLOSED,	  /* it is asked */
	BREAKER_LOW,	  /* it is nearly empty: asked if nobody else is there */
	BREAKER_PAUSED,	  /* it asked for a pause */
	BREAKER_HALF_OPEN /* one may try */,
	BREAKER_OPEN	  /* it is not asked; or somebody tries */
};

/* What the state is called in events and on the command line. */
const char *breaker_state_name(enum breaker_state state);
const char *backend_outcome_name(enum backend_outcome outcome);
/* What it says of the backend as a whole. */
enum backend_outcome backend_outcome_of_whole(enum backend_outcome outcome);

/* row NULL: nothing is known, so it is closed. *until_ns: when that may change by itself; 0: it does
 * not; half-open: since when it is. */
enum breaker_state breaker_state(
	const struct standing_row *row, uint64_t now_ns, uint64_t *until_ns);
/* The part of its weight that a backend gets, in thousandths: less than all after a recovery. */
uint32_t breaker_part(const struct standing_row *row, uint64_t now_ns);

/* Becomes the one that tries. False: somebody else does, or nobody has to any more. */
bool breaker_probe(struct standing_row *row, uint64_t now_ns);

/* What came of an attempt; probe: of the one that tried. reading: what its head said of limits, or
 * NULL. True: the breaker was opened, or closed again, by this. */
bool breaker_record(struct standing_row *row, const struct breaker_rules *rules,
	enum backend_outcome outcome, const struct reading *reading, bool probe, uint64_t now_ns);

/* The credential that the backend refused is another one now: it is tried at once. False: that was not
 * why it is out. */
bool breaker_renewed(struct standing_row *row, uint64_t now_ns);

/* Tokens that calls have used of the backend, in the minute of now; and when that ends. */
void breaker_spend(struct standing_row *row, uint64_t tokens, uint64_t now_ns);
uint64_t breaker_spent(const struct standing_row *row, uint64_t now_ns);
uint64_t breaker_minute_end(uint64_t now_ns);

#endif
