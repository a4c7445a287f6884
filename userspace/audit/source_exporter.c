// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/source_exporter.h"

#include <errno.h>
#include <string.h>

#include "audit/source_event.h"
#include "kernel/datapath_status.h"

/* The kernel stamps a source once a tick (see TICK_JIFFIES_SHIFT): what it counted later in that
 * tick is not in the stamp. */
#define TICK_NS_MAX (400 * NS_PER_MS)

struct told {
	struct address address;
	uint32_t pass; /* in which it was there last */
	uint32_t period;
	uint64_t activity;
	uint32_t active;
	uint32_t drop_after_s[DROP_COUNT]; /* CLOCK_MONOTONIC: when the reason may be told again */
	uint64_t drops[DROP_COUNT];
};

void source_exporter_init(struct source_exporter *exporter, struct recorder *recorder,
	struct counters *counters, size_t max_sources, uint64_t known_ns)
{
	*exporter = (struct source_exporter){
		.recorder = recorder, .counters = counters, .known_ns = known_ns};
	address_table_init(&exporter->told, sizeof(struct told), max_sources);
}

void source_exporter_free(struct source_exporter *exporter)
{
	address_table_free(&exporter->told);
}

void source_exporter_due(struct source_exporter *exporter, uint64_t now_ns)
{
	if (exporter->due)
		return;
	exporter->due = true;
	exporter->due_ns = now_ns;
	exporter->period++;
}

void source_exporter_begin(struct source_exporter *exporter, uint64_t now_ns, bool last)
{
	exporter->pass++;
	exporter->now_ns = now_ns;
	exporter->last = last;
	if (last) {
		exporter->due = false;
		source_exporter_due(exporter, now_ns);
	}
	exporter->put_off = false;
	exporter->at = 0;
	exporter->drops = 0;
	exporter->drops_from = exporter->drops_next;
	exporter->drops_next = 0;
}

/* ---- what is remembered ---- */

static bool was_there_lately(void *context, const void *entry)
{
	const struct source_exporter *exporter = context;

	return exporter->pass - ((const struct told *)entry)->pass <= 1;
}

static void told_set(struct told *told, const struct source_totals *totals, uint64_t activity)
{
	told->activity = activity;
	told->active = totals->active;
	memcpy(told->drops, totals->counters.drops, sizeof(told->drops));
}

/* NULL: there is no room to remember it. */
static struct told *told_find(struct source_exporter *exporter, const struct address *address,
	const struct source_totals *totals, uint64_t activity)
{
	struct told *told = address_table_put(&exporter->told, address);

	if (!told && errno == ENOSPC) {
		address_table_keep(&exporter->told, was_there_lately, exporter);
		told = address_table_put(&exporter->told, address);
	}
	if (!told) {
		counter_add(exporter->counters, COUNTER_ACCOUNTING_SOURCES_FULL, 1);
		return NULL;
	}
	if (told->pass == 0 && totals->counters.seen_ns + TICK_NS_MAX < exporter->known_ns)
		told_set(told, totals, activity);
	/* The kernel forgot it in between, and counts it anew. */
	if (activity < told->activity) {
		told->activity = 0;
		memset(told->drops, 0, sizeof(told->drops));
	}
	told->pass = exporter->pass;
	return told;
}

/* ---- events ---- */

static void summary_tell(struct source_exporter *exporter, const struct address *address,
	const struct source_totals *totals)
{
	struct source_event_text text;
	struct event event = {
		.time_ns = clock_realtime_ns(),
		.kind = SLICE("source.summary"),
		.action = SLICE("account"),
		.outcome = SLICE("unknown"),
		.source_ip = *address,
	};

	source_event_totals(&event, totals, &text);
	recorder_record(exporter->recorder, &event, NULL);
	counter_add(exporter->counters, COUNTER_ACCOUNTING_SUMMARIES, 1);
}

static void drop_tell(struct source_exporter *exporter, const struct address *address,
	enum drop drop, uint64_t count, uint64_t total)
{
	struct event event = {
		.time_ns = clock_realtime_ns(),
		.kind = SLICE("source.drop"),
		.action = SLICE("drop"),
		.outcome = SLICE("failure"),
		.source_ip = *address,
		.drop_reason = slice_of_string(drop_name(drop)),
		.drop_count = event_number(count),
		.drop_total = event_number(total),
	};

	recorder_record(exporter->recorder, &event, NULL);
	counter_add(exporter->counters, COUNTER_ACCOUNTING_DROPS, 1);
}

/* Passes go over the sources in about the same order: one that had too much to tell is followed by
 * one that goes on there, so that everybody has his turn. */
static bool drop_may(struct source_exporter *exporter, uint32_t after_s)
{
	if (exporter->last)
		return true;
	if (exporter->at < exporter->drops_from || after_s > exporter->now_ns / NS_PER_S)
		return false;
	if (exporter->drops < SOURCE_DROPS_MAX)
		return true;
	if (!exporter->drops_next)
		exporter->drops_next = exporter->at;
	return false;
}

static void drops_look(
	struct source_exporter *exporter, struct told *told, const struct source_counters *counters)
{
	for (enum drop drop = 0; drop < DROP_COUNT; drop++) {
		uint64_t total = counters->drops[drop];

		/* One that was told before it was counted anew, with less than was told. */
		if (total < told->drops[drop])
			told->drops[drop] = 0;
		if (total == told->drops[drop])
			continue;
		if (!drop_may(exporter, told->drop_after_s[drop])) {
			counter_add(exporter->counters, COUNTER_ACCOUNTING_DROPS_PUT_OFF, 1);
			continue;
		}
		drop_tell(exporter, &told->address, drop, total - told->drops[drop], total);
		told->drops[drop] = total;
		told->drop_after_s[drop] =
			(uint32_t)((exporter->now_ns + SOURCE_DROP_NS) / NS_PER_S);
		exporter->drops++;
	}
}

static bool summary_is_due(const struct source_exporter *exporter, const struct told *told,
	uint64_t activity, uint32_t active)
{
	return exporter->due && !exporter->put_off && told->period != exporter->period &&
	       (activity != told->activity || active != told->active);
}

bool source_exporter_export(struct source_exporter *exporter, const struct address *address,
	const struct source_totals *totals)
{
	uint64_t activity = source_activity(&totals->counters);
	struct told *told = told_find(exporter, address, totals, activity);

	if (told) {
		drops_look(exporter, told, &totals->counters);
		if (summary_is_due(exporter, told, activity, totals->active)) {
			if (recorder_is_half_full(exporter->recorder))
				return false;
			summary_tell(exporter, address, totals);
			told->period = exporter->period;
			told->activity = activity;
			told->active = totals->active;
		}
	}
	exporter->at++;
	return true;
}

void source_exporter_put_off(struct source_exporter *exporter)
{
	exporter->put_off = true;
	counter_add(exporter->counters, COUNTER_ACCOUNTING_SUMMARIES_LATE, 1);
}

bool source_exporter_end(struct source_exporter *exporter)
{
	bool whole = exporter->due && !exporter->put_off;

	if (whole)
		exporter->due = false;
	return whole;
}
