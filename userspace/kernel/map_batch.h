/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going over a hash map of the kernel, many entries at a time, while others change it. Where the
 * kernel reads it in batches, an entry that is there all the while is met exactly once, whatever is
 * added and deleted meanwhile, for a batch is of whole buckets. */
#ifndef KERNEL_MAP_BATCH_H
#define KERNEL_MAP_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_batch {
	int map; /* the caller's */
	size_t key_size;
	size_t value_size; /* in memory: of a per-CPU map, those of all CPUs in a row */
	uint32_t cpus;	   /* 1 where the map is not per CPU */
	uint32_t room, n;
	uint64_t retried; /* batches asked for again with more room */
	bool started, done;
	/* The kernel refuses batches of this map: key by key, and entries may be met twice, or
	 * missed, when others are deleted meanwhile. */
	bool by_keys;
	size_t left; /* bounds that */
	char *keys, *values, *at, *next;
};

/* At most that many entries at a time (more only where a bucket holds more), and at most 1 MiB of
 * values where 64 entries fit. 0 or negative errno; map_batch_close is right after both. */
int map_batch_open(struct map_batch *batch, int map, uint32_t entries);
void map_batch_close(struct map_batch *batch);
/* Goes to the beginning. */
void map_batch_rewind(struct map_batch *batch);
/* Reads the next entries: how many there are (batch->n as well); 0: that was all; or negative
 * errno. They may be none before the end as well: ask batch->done. */
int map_batch_next(struct map_batch *batch);

static inline const void *map_batch_key(const struct map_batch *batch, uint32_t i)
{
	return batch->keys + i * batch->key_size;
}

static inline const void *map_batch_value(const struct map_batch *batch, uint32_t i)
{
	return batch->values + i * batch->value_size;
}

#endif
