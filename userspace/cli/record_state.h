/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the record arrives, as the shipper told it last. */
#ifndef CLI_RECORD_STATE_H
#define CLI_RECORD_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"

/* A shipper tells each second, and may sit in fsync(2) for long. */
#define RECORD_SILENT_NS (30 * NS_PER_S)

struct record_state {
	bool told;	 /* by the shipper of a daemon that runs; else the rest is not there */
	uint64_t age_ns; /* since it was told */
	bool connected;	 /* to the collector */
	bool blocked;	 /* nothing can be spooled: calls wait, or will */
	uint64_t events; /* that wait for the collector … */
	bool counting;	 /* … at least: not all are counted yet */
	uint64_t bytes;	 /* their bytes */
	uint64_t oldest_ns; /* CLOCK_REALTIME: of the oldest of them; 0: none */
	uint64_t spool, limit; /* bytes of the files, and how many they may have */
};

/* now_ns: CLOCK_MONOTONIC. counters NULL: no daemon runs. */
struct record_state record_state_read(const struct counters *counters, uint64_t now_ns);
/* What is exchanged now is recorded: nothing blocks, and the shipper is there. True as well when
 * nothing was told, by a daemon of before there were gauges. */
bool record_state_good(const struct record_state *state);
/* How long the oldest event waits; 0: none does. */
uint64_t record_state_waiting_ns(const struct record_state *state, uint64_t realtime_ns);
/* One or two words: "arrives", "waits", "BLOCKED", "STOPPED", "unknown". */
const char *record_state_word(const struct record_state *state);

#endif
