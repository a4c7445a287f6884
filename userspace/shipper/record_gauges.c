// SPDX-License-Identifier: GPL-2.0-or-later
#include "shipper/record_gauges.h"

#include "audit/spool_backlog.h"
#include "base/clock.h"

#define COUNT_BYTES (1u << 20) /* read in one turn of the loop */

void record_gauges_open(struct record_gauges *gauges, struct spool *spool,
	struct counters *counters, uint64_t limit)
{
	*gauges = (struct record_gauges){.spool = spool,
		.counters = counters,
		.limit = limit,
		.known = spool_cursor(spool),
		.own = spool_backlog_next(spool),
		.counting = true};
}

void record_gauges_written(struct record_gauges *gauges, uint64_t events)
{
	gauges->written += events;
}

void record_gauges_acknowledged(
	struct record_gauges *gauges, uint64_t events, const struct spool_position *end)
{
	const struct spool_position *known = &gauges->known;

	gauges->acknowledged += events;
	if (!gauges->counting || end->segment < known->segment ||
		(end->segment == known->segment && end->offset <= known->offset))
		return;
	/* They left before they were counted. */
	gauges->known = *end;
	gauges->found = gauges->acknowledged;
}

bool record_gauges_tell(struct record_gauges *gauges, bool connected, bool blocked)
{
	struct counters *counters = gauges->counters;
	struct spool_position cursor = spool_cursor(gauges->spool);
	uint64_t all, bytes = spool_backlog_bytes(gauges->spool, &cursor);

	if (gauges->counting)
		gauges->counting = spool_backlog_count(gauges->spool, &gauges->known, gauges->own,
					   COUNT_BYTES, &gauges->found) != 0;
	/* Events that were damaged, or taken away with their file, are acknowledged by nobody. */
	if (!bytes)
		gauges->found = gauges->written = gauges->acknowledged = 0;
	all = gauges->found + gauges->written;
	counter_set(counters, COUNTER_RECORD_CONNECTED, connected);
	counter_set(counters, COUNTER_RECORD_BLOCKED, blocked);
	counter_set(counters, COUNTER_RECORD_EVENTS,
		all > gauges->acknowledged ? all - gauges->acknowledged : 0);
	counter_set(counters, COUNTER_RECORD_UNCOUNTED,
		gauges->counting ? spool_backlog_bytes(gauges->spool, &gauges->known) : 0);
	counter_set(counters, COUNTER_RECORD_BYTES, bytes);
	counter_set(counters, COUNTER_RECORD_OLDEST, spool_backlog_oldest(gauges->spool));
	counter_set(counters, COUNTER_RECORD_SPOOL, spool_size(gauges->spool));
	counter_set(counters, COUNTER_RECORD_LIMIT, gauges->limit);
	counter_set(counters, COUNTER_RECORD_TOLD, clock_monotonic_ns());
	return gauges->counting;
}
