/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may be in the endpoint map when it is full. A part of it is for resolved names alone; of the
 * addresses that were learned from what passes by, those give way that were heard of longest ago:
 * first those that only a ClientHello spoke of. */
#ifndef KERNEL_ENDPOINT_ROOM_H
#define KERNEL_ENDPOINT_ROOM_H

#include "kernel/endpoint_map.h"

struct endpoint_room {
	int map;
	size_t max;	    /* entries of the map */
	size_t learned_max; /* of these, learned ones */
	size_t n, learned;
	/* An address is no endpoint any more, to make room. May be NULL. */
	void (*forgotten)(void *context, const struct address *address);
	void *context;
};

/* Counts what is there. */
void endpoint_room_open(struct endpoint_room *room, int map, size_t max);
/* As endpoint_map_learn. -ENOSPC: nothing can give way, all are of resolved names. */
int endpoint_room_learn(struct endpoint_room *room, const struct address *address,
	uint64_t expires_ns, enum endpoint_source source, enum fail fail, uint64_t now_ns);
/* As endpoint_map_sweep. */
size_t endpoint_room_sweep(struct endpoint_room *room, uint64_t now_ns);

#endif
