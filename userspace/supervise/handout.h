/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parent holds for its whole life and hands to its children: listeners, the ticket
 * keys, and the rings between workers and shipper. */
#ifndef SUPERVISE_HANDOUT_H
#define SUPERVISE_HANDOUT_H

#include <stdint.h>

#include "base/list.h"
#include "base/why.h"
#include "config/config.h"
#include "kernel/datapath.h"
#include "tls/ticket_keys.h"

struct handout_listener {
	int fd4, fd6; /* fd6 -1: the host has no IPv6 */
};

/* One per worker process. It stays until the shipper has said that all of it is spooled. */
struct handout_ring {
	struct list node;
	uint32_t number; /* of the worker process */
	int ring, wake_shipper, wake_worker;
	int life; /* at its end when the worker is gone */
};

struct handout {
	int tickets;
	struct ticket_keys *ticket_keys;
	struct handout_listener listeners[WORKERS_MAX];
	unsigned nlisteners;
	struct list rings;
};

/* Makes the keys. 0, or negative errno with why; handout_close is right after both. */
int handout_open(struct handout *handout, struct why *why);
void handout_close(struct handout *handout);
/* As handout_open, with what the ticket keys of a parent before are now; the descriptor stays the
 * caller's. */
int handout_inherit(struct handout *handout, int tickets, struct why *why);

/* Those of a parent before, in their order; fd6 may be -1. -ENOSPC: there are WORKERS_MAX. */
int handout_listener_adopt(struct handout *handout, int fd4, int fd6);
/* Puts all that are there into the datapath's map. 0, or negative errno with why. */
int handout_listeners_place(
	const struct handout *handout, struct datapath *datapath, struct why *why);
/* Makes listeners until there are n, and puts them into the datapath's map; those that are there
 * stay as they are. A port still held by the workers of a daemon that was killed is waited for
 * (3 s). 0, or negative errno with why: then none was added. */
int handout_listeners_grow(struct handout *handout, const struct config *config,
	struct datapath *datapath, unsigned n, struct why *why);
/* Closes those beyond n: 0 closes all. Workers have their own descriptors of them. */
void handout_listeners_shrink(struct handout *handout, unsigned n);

/* The ring of a new worker process and its wake-ups; *worker_life is the end for the worker, the
 * caller's to close once the worker has it. NULL with why. */
struct handout_ring *handout_ring_make(struct handout *handout, uint32_t number, uint64_t bytes,
	int *worker_life, struct why *why);
/* That of a worker of a parent before; its descriptors are the handout's on success. */
int handout_ring_adopt(struct handout *handout, const struct handout_ring *ring);
struct handout_ring *handout_ring_find(struct handout *handout, uint32_t number);
void handout_ring_free(struct handout_ring *ring);

#endif
