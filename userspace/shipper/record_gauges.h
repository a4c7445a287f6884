/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the record arrives: the shipper tells the gauges "record.*" for the command line and the
 * metrics. Told once a second at least: what is older was told by a shipper that is gone or hangs. */
#ifndef SHIPPER_RECORD_GAUGES_H
#define SHIPPER_RECORD_GAUGES_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/spool.h"
#include "base/counter.h"

struct record_gauges {
	struct spool *spool;
	struct counters *counters;
	uint64_t limit;		     /* audit.spool_size */
	struct spool_position known; /* events before this place are counted, or acknowledged */
	uint64_t own;		     /* the segment from which on all is of this life */
	bool counting;		     /* there may be events of an earlier life after the place */
	/* All since the start: found in the spool, written, acknowledged. */
	uint64_t found, written, acknowledged;
};

/* The spool and the counters outlive it. The spool has just been opened. */
void record_gauges_open(struct record_gauges *gauges, struct spool *spool,
	struct counters *counters, uint64_t limit);
/* That many events were written to the spool. */
void record_gauges_written(struct record_gauges *gauges, uint64_t events);
/* That many events were acknowledged, which end at this place. */
void record_gauges_acknowledged(
	struct record_gauges *gauges, uint64_t events, const struct spool_position *end);
/* Sets all of them. true: events of an earlier life are not all counted, come back soon. */
bool record_gauges_tell(struct record_gauges *gauges, bool connected, bool blocked);

#endif
