/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of one process that records events, as the parent keeps it: until the shipper has said
 * that all of it is spooled. */
#ifndef SUPERVISE_EVENT_RING_H
#define SUPERVISE_EVENT_RING_H

#include <stdint.h>

#include "base/list.h"
#include "base/why.h"

struct event_ring {
	struct list node;
	uint32_t number; /* of the process that records */
	int ring, wake_shipper, wake_worker;
	int life; /* at its end when that process is gone */
};

/* The ring of a new process and its wake-ups, put into the list of rings; *worker_life is the end
 * for the process, the caller's to close once the process has it. NULL with why. */
struct event_ring *event_ring_make(
	struct list *rings, uint32_t number, uint64_t bytes, int *worker_life, struct why *why);
/* That of a parent before; its descriptors are the ring's on success. 0, or -ENOMEM. */
int event_ring_adopt(struct list *rings, const struct event_ring *ring);
/* NULL: there is none. */
struct event_ring *event_ring_find(struct list *rings, uint32_t number);
/* Takes it out of its list. */
void event_ring_free(struct event_ring *ring);

#endif
