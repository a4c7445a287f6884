/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times in which new connections to AI endpoints pass unseen: each is told by an event when it is
 * over, with its begin, its end and how many passed, and kept in a file (kernel/open_record.h). Also
 * one that nobody saw, because no daemon was there. */
#ifndef SUPERVISE_OPEN_PERIOD_H
#define SUPERVISE_OPEN_PERIOD_H

#include <stdbool.h>

#include "base/counter.h"
#include "kernel/open_record.h"

struct accounting;

struct open_period {
	bool open;
	struct open_record record;
};

/* Begins to watch. total: what the kernel has counted; alive_ns: CLOCK_REALTIME of the last sign of
 * life of an earlier daemon's workers. True: connections passed since then, and the period is over
 * with the next look. */
bool open_period_begin(struct open_period *period, const char *directory, uint64_t total,
	uint64_t alive_ns);
/* open: new connections of some source would pass now, or since open_ns (CLOCK_REALTIME). total: what
 * the kernel has counted until now. */
void open_period_look(struct open_period *period, const char *directory, bool open,
	uint64_t open_ns, uint64_t total, struct counters *counters, struct accounting *accounting);

#endif
