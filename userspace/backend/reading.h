/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a backend says of its own limits, read from the fields of its response's head: how much is
 * left, when it is full again, and whether it asks for a pause. Fields that cannot be read count as
 * absent: a backend cannot make itself unusable, nor anything else, by what it sends. */
#ifndef BACKEND_READING_H
#define BACKEND_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Longer times are read as this one (Azure has been seen to ask for 86400 s). */
#define READING_LONGEST_NS (24ULL * 3600 * 1000000000)

/* Of requests, or of tokens: x-ratelimit-{limit,remaining,reset}-… */
struct reading_limit {
	bool has_limit, has_remaining, has_reset;
	uint64_t limit, remaining;
	uint64_t reset_ns; /* from now */
};

struct reading {
	struct reading_limit requests, tokens;
	bool pauses; /* it asks for a pause … */
	uint64_t pause_ns;
	/* Which field asked, the most exact one first; 0: none. Private to reading.c. */
	unsigned rank;
};

/* Takes one field of the head; name in any case. now_s: seconds since 1970, for a date in
 * Retry-After (RFC 9110 section 10.2.3). *reading is all zero before the first. */
void reading_field(
	struct reading *reading, struct slice name, struct slice value, uint64_t now_s);

#endif
