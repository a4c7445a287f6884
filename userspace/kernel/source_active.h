/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many connections of each source are active: as the daemon's last sweep of the flow table
 * says, or counted in it now. */
#ifndef KERNEL_SOURCE_ACTIVE_H
#define KERNEL_SOURCE_ACTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/flow_count.h"

struct datapath_source;

/* Sets `active` of each source from the map actives. Returns when that was counted
 * (CLOCK_MONOTONIC, at most SWEEP_STALE_NS before now_ns), or 0: there was no sweep lately, and
 * nothing was set. */
uint64_t source_active_swept(
	struct datapath_source *sources, size_t n, int actives, uint64_t now_ns);

/* Counts the map flows, and with it the active connections of each source. 0 or negative errno. */
int source_active_count(struct datapath_source *sources, size_t n, int flows, uint64_t now_ns,
	struct flow_count *count);

#endif
