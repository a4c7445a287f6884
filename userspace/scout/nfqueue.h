/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's queues of packets, one per processor and kind, on the event loop. */
#ifndef SCOUT_NFQUEUE_H
#define SCOUT_NFQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/slice.h"
#include "base/why.h"

struct ev_loop;
struct nfqueue;

/* A packet that waits for its verdict. */
struct nfqueue_packet {
	uint16_t queue; /* index, from 0 */
	uint32_t id;
	uint32_t interface; /* index of the one it came in by; 0: it is our own */
};

#define NFQUEUE_KINDS 2

struct nfqueue_options {
	uint16_t first,
		n; /* queue numbers first … first + n - 1, and as many for each other kind */
	/* By kind: a packet that finds its queue full, or is too long for it, passes; else it is
	 * dropped. */
	bool fail_open[NFQUEUE_KINDS];
	/* A packet from its IP header on. bytes may be changed in place and live until the call
	 * returns. Whoever is called gives the verdict, then or later. */
	void (*each)(void *context, const struct nfqueue_packet *packet, char *bytes, size_t len);
	void *context;
};

/* Opens what needs root. The queues are read as soon as the loop runs and nobody else reads them:
 * after a reload the process before this one may do so for a moment. Needs CAP_NET_ADMIN, also
 * later. Errors are explained in why. */
int nfqueue_open(struct ev_loop *loop, const struct nfqueue_options *options,
	struct counters *counters, struct nfqueue **queue, struct why *why);
/* Lets the packet go on (changed: with these bytes instead, from its IP header on; else
 * SLICE_NONE), or drops it. */
void nfqueue_verdict(struct nfqueue *queue, const struct nfqueue_packet *packet, bool pass,
	struct slice changed);
/* Whether all queues are read by us. */
bool nfqueue_reads(const struct nfqueue *queue);
/* Stops reading: what comes from then on is for the rules to decide; what waits must have its
 * verdict. NULL is allowed. */
void nfqueue_close(struct nfqueue *queue);

#endif
