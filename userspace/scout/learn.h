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
#include "scout/nfqueue.h"
#include "scout/packet.h"

struct learn;

struct learn_output {
	/* As nfqueue_verdict. Once for every packet. */
	void (*verdict)(void *context, const struct nfqueue_packet *packet, bool pass,
		struct slice changed);
	/* Asks the parent to make these endpoints; learn_told tells what became of it. */
	void (*ask)(void *context, const struct datapath_endpoint *endpoints, size_t n);
	/* Whether the datapath saw the packet's TCP connection begin; then *isn is its SYN's
	 * number. */
	bool (*begun)(void *context, const struct ip_packet *packet, uint32_t *isn);
	/* What follows the first bytes of its connection need not be shown any more. */
	void (*judged)(void *context, const struct ip_packet *packet, uint32_t isn, uint32_t bytes);
	/* Looks the name up; learn_confirmed gets the answer, at once or later. */
	void (*confirm)(void *context, unsigned question, const char *name);
	/* Sends a whole IP packet. */
	void (*emit)(void *context, const struct address *destination, struct slice packet);
	void *context;
};

#define LEARN_ASK_MAX	64 /* endpoints of one question */
#define LEARN_QUESTIONS 64 /* to the resolver, at a time */

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
