/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The listening sockets of the workers, which the parent keeps for its whole life: the workers
 * inherit them, one generation after the other. */
#ifndef SUPERVISE_WORKER_LISTENERS_H
#define SUPERVISE_WORKER_LISTENERS_H

#include "base/why.h"
#include "config/config.h"
#include "kernel/datapath.h"

struct worker_listener {
	int fd4, fd6; /* fd6 -1: the host has no IPv6 */
};

struct worker_listeners {
	struct worker_listener each[WORKERS_MAX];
	unsigned n;
};

/* Those of a parent before, in their order; fd6 may be -1. -ENOSPC: there are WORKERS_MAX. */
int worker_listeners_adopt(struct worker_listeners *listeners, int fd4, int fd6);
/* Puts all that are there into the datapath's map. 0, or negative errno with why. */
int worker_listeners_place(
	const struct worker_listeners *listeners, struct datapath *datapath, struct why *why);
/* Makes listeners until there are n, and puts them into the datapath's map; those that are there
 * stay as they are. A port still held by the workers of a daemon that was killed is waited for
 * (3 s). 0, or negative errno with why: then none was added. */
int worker_listeners_grow(struct worker_listeners *listeners, const struct config *config,
	struct datapath *datapath, unsigned n, struct why *why);
/* Closes those beyond n: 0 closes all. Workers have their own descriptors of them. */
void worker_listeners_shrink(struct worker_listeners *listeners, unsigned n);

#endif
