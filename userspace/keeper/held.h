/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A credential as the keeper has it: the last good value, how long it is good, and when to ask for it
 * again. Knows neither sockets nor clocks: the time is handed in (CLOCK_MONOTONIC). */
#ifndef KEEPER_HELD_H
#define KEEPER_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/slice.h"
#include "supervise/role.h"

/* After a failure: from a second on, doubled by each that follows, at most a minute; half of it is
 * left to chance, so that many who failed at the same time do not come back at the same time. */
#define HELD_RETRY_FIRST_NS (1 * NS_PER_S)
#define HELD_RETRY_MOST_NS  (60 * NS_PER_S)
/* Who is asked may want a longer pause (Retry-After), but not any. */
#define HELD_PAUSE_MOST_NS (300 * NS_PER_S)

struct held {
	struct secret *value; /* NULL: there never was one */
	uint32_t version;     /* of the value, from 1 */
	uint64_t got_ns;      /* when it was got, or found to be still the same */
	uint64_t expires_ns;  /* 0: never */
	uint64_t next_ns;     /* when to ask again; 0: when it is told that it has changed */
	unsigned failures;    /* in a row */
	bool tried;	      /* there was an attempt, and it is over */
	char error[256];      /* of the last attempt; "": it was good */
};

/* A value came. True: it is another than before. -ENOMEM in *error, and the one before stays. */
bool held_take(struct held *held, struct slice value, uint64_t expires_ns, uint64_t next_ns,
	uint64_t now_ns, int *error);
/* None came, and why. pause_ns: how long who was asked wants to be left alone, 0: does not say.
 * chance: any number. retry false: it is not asked for by the clock. */
void held_fail(struct held *held, const char *why, bool retry, uint64_t pause_ns, uint32_t chance,
	uint64_t now_ns);
bool held_is_expired(const struct held *held, uint64_t now_ns);
enum credential_state held_state(const struct held *held, uint64_t now_ns);
void held_free(struct held *held);

#endif
