/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's counters of each source address, summed over the CPUs. */
#ifndef KERNEL_SOURCE_MAP_H
#define KERNEL_SOURCE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "bpf/abi.h"
#include "kernel/map_batch.h"

struct datapath_source {
	struct address address;
	struct source_counters counters; /* summed over the CPUs */
	uint32_t active;		 /* connections now; by datapath_status_read alone, else 0 */
};

/* Going over all of them, a batch at a time. */
struct source_map {
	struct map_batch batch;
};

/* map: the map sources, the caller's. 0 or negative errno; source_map_close is right after both. */
int source_map_open(struct source_map *sources, int map);
void source_map_close(struct source_map *sources);
void source_map_rewind(struct source_map *sources);
/* Reads the next ones: how many, or negative errno. After the last batch.done is set. */
int source_map_next(struct source_map *sources);
/* The one with that number, below what source_map_next returned. */
void source_map_get(const struct source_map *sources, uint32_t i, struct datapath_source *source);

/* Reads all at once, each once, sorted by address: *all is the caller's to free. 0 or negative
 * errno. */
int source_map_read(int map, struct datapath_source **all, size_t *n);

/* The sum of everything that is counted: more whenever anything of this source was. */
uint64_t source_activity(const struct source_counters *counters);

#endif
