/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the scout makes of the packets it is shown: which addresses become endpoints, and what
 * becomes of the packet. Knows no socket and no clock. */
#ifndef SCOUT_LEARN_H
#define SCOUT_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/slice.h"
#include "config/config.h"
#include "kernel/datapath.h"
#include "scout/learn_output.h"
#include "scout/nfqueue.h"

struct learn;

/* The configuration is kept, not copied. NULL: no memory. */
struct learn *learn_new(
	const struct config *config, struct counters *counters, const struct learn_output *output);

/* A packet, from its IP header on; bytes may be changed. from_client: it came in by
 * datapath.inside, else it goes there. */
void learn_packet(struct learn *learn, const struct nfqueue_packet *packet, bool from_client,
	char *bytes, size_t len, uint64_t now_ns);
/* What our own resolver says of the name of a question: no addresses, if it says nothing. */
void learn_confirmed(struct learn *learn, unsigned question, const struct address *addresses,
	size_t n, uint64_t now_ns);
/* The parent's word: what became of these (enum endpoint_state). Packets that waited for it get
 * their verdict. */
void learn_told(struct learn *learn, const struct datapath_endpoint *endpoints, size_t n,
	uint64_t now_ns);
/* Lets go what waited for endpoints.hold. Returns when to come again, UINT64_MAX: nothing waits. */
uint64_t learn_due(struct learn *learn, uint64_t now_ns);
/* Lets go everything and frees; NULL is allowed. */
void learn_free(struct learn *learn);

#endif
