/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sweep of the flow table, in rounds of short steps: forgets connections past the timeout of
 * their state, counts those that are active by source address, and writes what it found to the map
 * actives for the kernel's admission. All numbers are of the entries that were seen in the round,
 * so that they cannot drift.
 *
 * Memory, besides some 0.5 MiB for batches: 44 bytes for each source that has a connection or an
 * entry in the map limits, twice, for the round before is kept; tables grow by doubling. That is
 * 11 MiB for 100 000 sources and 88 MiB when 1 M connections are of as many sources, which is given
 * back when it has not been needed for some rounds. */
#ifndef KERNEL_FLOW_SWEEP_H
#define KERNEL_FLOW_SWEEP_H

#include <stdint.h>

#include "base/address.h"
#include "base/counter.h"
#include "base/why.h"
#include "bpf/abi.h"

struct flow_sweep;

/* The maps are the caller's, and open as long as the sweep. counters may be NULL. NULL with why. */
struct flow_sweep *flow_sweep_new(
	int flows, int limits, int actives, struct counters *counters, struct why *why);
void flow_sweep_free(struct flow_sweep *sweep);

/* One step: at most some 4096 entries, and 3 calls of the kernel for each that is forgotten.
 * now_ns: CLOCK_MONOTONIC. 1: the round goes on; 0: it is done, and the next step begins another;
 * negative errno: it was given up, what the last whole round found stays, and the next step begins
 * anew. */
int flow_sweep_step(struct flow_sweep *sweep, uint64_t now_ns);

/* What the last whole round found. */
struct flow_counts {
	uint32_t active;  /* OPEN or CLOSING, within their timeout */
	uint32_t opening; /* OPENING, within it */
};
struct flow_counts flow_sweep_counts(const struct flow_sweep *sweep, const struct address *source);

struct flow_round {
	uint64_t started_ns; /* CLOCK_MONOTONIC; 0: there was no whole round yet */
	uint64_t states[FLOW_STATE_COUNT];
	uint64_t forgotten;
	uint64_t sources;	 /* with connections */
	uint64_t unanswered;	 /* connections whose answers take another way … */
	struct flow_key example; /* … and one of them */
};
const struct flow_round *flow_sweep_round(const struct flow_sweep *sweep);
/* Bytes in use now. */
size_t flow_sweep_memory(const struct flow_sweep *sweep);

/* For tests: the end of a flow that was read as expired. One that changed meanwhile stays, also
 * when it changes in this very moment. */
enum flow_end { FLOW_END_FORGOTTEN, FLOW_END_CHANGED, FLOW_END_GONE };
/* *flow: as it was read; when it changed, as it is now. */
enum flow_end flow_end(
	int flows, const struct flow_key *key, struct flow *flow, struct counters *counters);

#endif
