/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a spool waits for the collector, for gauges: looked at without disturbing who reads it
 * for shipping. Damage is passed over in silence: whoever ships it tells of it. */
#ifndef AUDIT_SPOOL_BACKLOG_H
#define AUDIT_SPOOL_BACKLOG_H

#include "audit/spool.h"

/* The number of the segment that is made next. */
uint64_t spool_backlog_next(const struct spool *spool);
/* Adds to *records how many there are from *at on and before that segment, and moves *at behind
 * them: no more than about that many bytes are read. 1: there is more; 0: that were all; or the
 * negative errno of reading, and *at is behind the segment that cannot be read. */
int spool_backlog_count(struct spool *spool, struct spool_position *at, uint64_t before,
	size_t bytes, uint64_t *records);
/* Bytes from *at to the end. */
uint64_t spool_backlog_bytes(const struct spool *spool, const struct spool_position *at);
/* The time of the oldest record that was not acknowledged, CLOCK_REALTIME in ns; 0: there is none,
 * or it cannot be read. */
uint64_t spool_backlog_oldest(const struct spool *spool);

#endif
