/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of the source addresses by events: source.summary, once in a while for each that had
 * traffic since the last time; source.drop when packets of one were dropped. It remembers what was
 * told, so that nothing is told twice and a period of many sources can be told in several passes,
 * as the ring has room.
 *
 * Memory: 136 bytes for each of datapath.max_sources, and 8 to 16 for its place; only of sources
 * that were there. */
#ifndef AUDIT_SOURCE_EXPORTER_H
#define AUDIT_SOURCE_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/recorder.h"
#include "audit/source_table.h"
#include "base/address_table.h"
#include "base/clock.h"
#include "base/counter.h"

/* Between two source.drop events of one source and reason. */
#define SOURCE_DROP_NS (10 * NS_PER_S)
/* source.drop events in one pass. */
#define SOURCE_DROPS_MAX 64

struct source_exporter {
	struct recorder *recorder;
	struct counters *counters; /* may be NULL */
	struct address_table told;
	uint64_t
		known_ns; /* CLOCK_MONOTONIC: what was counted before was told in an earlier life */
	uint32_t period;  /* of summaries */
	bool due;	  /* it is not told to everybody yet */
	uint64_t due_ns;  /* CLOCK_MONOTONIC: when it began */
	/* Of the pass. */
	uint32_t pass;
	uint64_t now_ns;
	bool last;    /* nothing comes after it: no limits */
	bool put_off; /* sources were left for the next pass */
	unsigned drops;
	uint64_t at;	     /* sources before this one */
	uint64_t drops_from; /* whose drops are not told: they were in an earlier pass */
	uint64_t drops_next; /* drops_from of the next pass */
};

/* known_ns: see above; 0: there was none. The recorder stays the caller's. */
void source_exporter_init(struct source_exporter *exporter, struct recorder *recorder,
	struct counters *counters, size_t max_sources, uint64_t known_ns);
void source_exporter_free(struct source_exporter *exporter);

/* Begins another period of summaries, unless the last one is still being told. */
void source_exporter_due(struct source_exporter *exporter, uint64_t now_ns);
/* A pass over all sources. now_ns: CLOCK_MONOTONIC. last: whatever is new is told, not only what
 * may be told again by now. */
void source_exporter_begin(struct source_exporter *exporter, uint64_t now_ns, bool last);
/* One source of it. False: a summary of it is due, and the ring has no room for it now: call it
 * again for the same one later, or source_exporter_put_off. */
bool source_exporter_export(struct source_exporter *exporter, const struct address *address,
	const struct source_totals *totals);
/* From here on this pass leaves summaries for the next one. */
void source_exporter_put_off(struct source_exporter *exporter);
/* True: with this pass the period was told to its end; due_ns says when it began. */
bool source_exporter_end(struct source_exporter *exporter);

#endif
