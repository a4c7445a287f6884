/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the chains of all days end, beside the days, in anchors.db: so that a day's file that is gone,
 * or is as it was before, is missed; and so that the chain of the days that are left still has its
 * beginning when the files of older days were removed. An anchor is written when what it is of is
 * durable: it may be behind its chain, never ahead. */
#ifndef COLLECTOR_ANCHOR_H
#define COLLECTOR_ANCHOR_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/why.h"
#include "collector/chain.h"

#define ANCHOR_FILE "anchors.db"

struct anchors;

/* Opens them for writing, made with mode 0600 where they are missing. NULL with why. keyed outlives
 * them. */
struct anchors *anchors_open(const char *directory, struct keyed *keyed, struct why *why);
void anchors_close(struct anchors *anchors);
/* They were not there: of what was stored before nothing was known. */
bool anchors_made(const struct anchors *anchors);

/* Where the appliance's chain of the latest day before ended, or CHAIN_NOWHERE. */
struct chain_place anchor_before(struct anchors *anchors, struct slice observer, int32_t day);
/* Where its chain of that day ended, as far as is known; or CHAIN_NOWHERE. */
struct chain_place anchor_of(struct anchors *anchors, struct slice observer, int32_t day);
/* Whether holds says so of where all chains of that day ended. */
bool anchor_all(struct anchors *anchors, int32_t day,
	bool (*holds)(void *context, const struct chain_place *end), void *context);
/* A chain goes on to there. What cannot be written is logged: it is written with what comes next. */
void anchor_keep(struct anchors *anchors, struct slice observer, const struct chain_place *end);
/* The anchors of a day are closed: its file is no more what it was. */
void anchor_close_day(struct anchors *anchors, int32_t day, enum chain_fate fate);

#endif
