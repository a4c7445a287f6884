// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/endpoint_room.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#define RESERVED_PART 8 /* one of so many is for resolved names alone */
/* One of so many learned ones gives way at a time: they are looked for among all. */
#define EVICTED_PART 16

struct candidate {
	struct address address;
	uint64_t expires_ns;
	uint32_t source;
};

struct candidates {
	struct candidate *all;
	size_t n, room;
};

static bool is_learned(uint32_t source)
{
	return source == ENDPOINT_DNS || source == ENDPOINT_SNI;
}

static void count_one(void *context, const struct address *address, const struct endpoint *endpoint)
{
	struct endpoint_room *room = context;

	(void)address;
	room->n++;
	room->learned += is_learned(endpoint->source);
}

static void count_all(struct endpoint_room *room)
{
	room->n = room->learned = 0;
	endpoint_map_walk(room->map, count_one, room);
}

void endpoint_room_open(struct endpoint_room *room, int map, size_t max)
{
	*room = (struct endpoint_room){
		.map = map, .max = max, .learned_max = max - max / RESERVED_PART};
	count_all(room);
}

static void collect(void *context, const struct address *address, const struct endpoint *endpoint)
{
	struct candidates *candidates = context;

	if (is_learned(endpoint->source) && candidates->n < candidates->room)
		candidates->all[candidates->n++] = (struct candidate){
			*address, endpoint->expires_ns, endpoint->source};
}

/* The first are those to go: of a ClientHello alone, then by the end of their time, which is made
 * later whenever they are heard of. */
static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->source != y->source)
		return x->source == ENDPOINT_SNI ? -1 : 1;
	return (x->expires_ns > y->expires_ns) - (x->expires_ns < y->expires_ns);
}

static int evict(struct endpoint_room *room)
{
	struct candidates candidates = {.room = room->learned};
	size_t evicted = 0, wanted;

	candidates.all = calloc(room->learned + 1, sizeof(*candidates.all));
	if (!candidates.all)
		return -ENOMEM;
	endpoint_map_walk(room->map, collect, &candidates);
	qsort(candidates.all, candidates.n, sizeof(*candidates.all), candidate_compare);
	wanted = candidates.n / EVICTED_PART + 1;
	for (size_t i = 0; i < candidates.n && i < wanted; i++) {
		if (bpf_map_delete_elem(room->map, &candidates.all[i].address))
			continue;
		evicted++;
		if (room->forgotten)
			room->forgotten(room->context, &candidates.all[i].address);
	}
	free(candidates.all);
	count_all(room);
	return evicted ? 0 : -ENOSPC;
}

int endpoint_room_learn(struct endpoint_room *room, const struct address *address,
	uint64_t expires_ns, enum endpoint_source source, enum fail fail, uint64_t now_ns)
{
	struct endpoint endpoint;
	bool known = bpf_map_lookup_elem(room->map, address, &endpoint) == 0;
	bool was_learned = known && is_learned(endpoint.source);
	int error = 0;

	if (!endpoint_address_usable(address))
		return -EINVAL;
	if (!known && (room->n >= room->max ||
			      (is_learned(source) && room->learned >= room->learned_max)))
		error = evict(room);
	if (!error)
		error = endpoint_map_learn(
			room->map, address, expires_ns, source, fail, now_ns);
	if (error || bpf_map_lookup_elem(room->map, address, &endpoint))
		return error;
	room->n += !known;
	room->learned += is_learned(endpoint.source);
	room->learned -= was_learned;
	return 0;
}

size_t endpoint_room_sweep(struct endpoint_room *room, uint64_t now_ns)
{
	size_t forgotten = endpoint_map_sweep(room->map, now_ns);

	if (forgotten)
		count_all(room);
	return forgotten;
}
