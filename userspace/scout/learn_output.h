/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What learning asks of its surroundings. */
#ifndef SCOUT_LEARN_OUTPUT_H
#define SCOUT_LEARN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "kernel/datapath.h"
#include "scout/nfqueue.h"
#include "scout/packet.h"

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

#endif
