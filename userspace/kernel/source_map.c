/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/source_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES_AT_ONCE 1024

int source_map_open(struct source_map *sources, int map)
{
	int error = map_batch_open(&sources->batch, map, SOURCES_AT_ONCE);

	if (!error && (sources->batch.key_size != sizeof(struct address) ||
			      sources->batch.value_size !=
				      sources->batch.cpus * sizeof(struct source_counters)))
		error = -EPROTO;
	return error;
}

void source_map_close(struct source_map *sources)
{
	map_batch_close(&sources->batch);
}

void source_map_rewind(struct source_map *sources)
{
	map_batch_rewind(&sources->batch);
}

int source_map_next(struct source_map *sources)
{
	return map_batch_next(&sources->batch);
}

static void counters_sum(struct source_counters *sum, const struct source_counters *of)
{
#define SUM_COUNT(member, name, help) sum->member += of->member;
	SOURCE_COUNTS(SUM_COUNT)
#undef SUM_COUNT
	for (int drop = 0; drop < DROP_COUNT; drop++)
		sum->drops[drop] += of->drops[drop];
	if (of->seen_ns > sum->seen_ns) {
		sum->seen_ns = of->seen_ns;
		sum->tick = of->tick;
	}
}

void source_map_get(const struct source_map *sources, uint32_t i, struct datapath_source *source)
{
	const struct source_counters *each = map_batch_value(&sources->batch, i);

	memset(source, 0, sizeof(*source));
	memcpy(&source->address, map_batch_key(&sources->batch, i), sizeof(source->address));
	for (uint32_t cpu = 0; cpu < sources->batch.cpus; cpu++)
		counters_sum(&source->counters, &each[cpu]);
}

/* Of the same address the one that was read last goes last: it has counted more. */
static int source_compare(const void *a, const void *b)
{
	const struct datapath_source *x = a, *y = b;
	int order = memcmp(&x->address, &y->address, sizeof(x->address));

	if (order)
		return order;
	return x->counters.packets < y->counters.packets
		       ? -1
		       : x->counters.packets > y->counters.packets;
}

static size_t sources_sort(struct datapath_source *all, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(all, n, sizeof(*all), source_compare);
	for (size_t i = 0; i < n; i++) {
		if (kept && address_equal(&all[kept - 1].address, &all[i].address))
			kept--;
		all[kept++] = all[i];
	}
	return kept;
}

int source_map_read(int map, struct datapath_source **all, size_t *n)
{
	struct datapath_source *found = NULL, *larger;
	struct source_map sources;
	size_t used = 0, room = 0;
	int error = source_map_open(&sources, map);

	while (!error && !sources.batch.done) {
		int got = source_map_next(&sources);

		if (got < 0) {
			error = got;
			break;
		}
		if (used + (size_t)got > room) {
			room = 2 * (used + (size_t)got);
			larger = reallocarray(found, room, sizeof(*found));
			if (!larger) {
				error = -ENOMEM;
				break;
			}
			found = larger;
		}
		for (int i = 0; i < got; i++)
			source_map_get(&sources, (uint32_t)i, &found[used++]);
	}
	source_map_close(&sources);
	if (error) {
		free(found);
		found = NULL;
		used = 0;
	}
	*n = sources_sort(found, used);
	*all = found;
	return error;
}

uint64_t source_activity(const struct source_counters *counters)
{
	uint64_t sum = 0;

#define SUM_ACTIVITY(member, name, help) sum += counters->member;
	SOURCE_COUNTS(SUM_ACTIVITY)
#undef SUM_ACTIVITY
	for (int drop = 0; drop < DROP_COUNT; drop++)
		sum += counters->drops[drop];
	return sum;
}
