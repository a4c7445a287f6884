/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For learn.c, learn_dns.c and learn_hello.c only. */
#ifndef SCOUT_LEARN_INTERNAL_H
#define SCOUT_LEARN_INTERNAL_H

#include "base/list.h"
#include "scout/known.h"
#include "scout/learn.h"
#include "scout/packet.h"
#include "scout/peek.h"

struct learn {
	const struct config *config;
	struct counters *counters;
	struct learn_output output;
	struct known *known;
	struct peek_table *peeks;
	struct list held; /* by deadline */
	size_t nheld;
	uint32_t ticket; /* the last one given */
};

/* A packet under decision. */
struct seen {
	struct nfqueue_packet queued;
	struct ip_packet packet;
	char *bytes;
	size_t len;
	uint64_t now_ns;
	bool changed; /* bytes were */
};

/* What a packet that waits for an answer is let go to. */
enum then {
	THEN_PASS,
	THEN_REFUSE, /* once the address is an endpoint, else it passes */
};

void learn_pass(struct learn *learn, const struct seen *seen);
/* Drops it and tells the sender; of TCP both sides. */
void learn_refuse(struct learn *learn, const struct seen *seen);
/* Drops it; the server of a TCP connection learns that it is over. */
void learn_deny(struct learn *learn, const struct seen *seen);
/* Begins to wait for the ticket it returns. 0: there is no room; the packet was passed. */
uint32_t learn_hold(struct learn *learn, const struct seen *seen, enum then then);
struct peek_key learn_peek_key(const struct ip_packet *packet);

/* learn_dns.c: a packet from port 53 to a client. */
void learn_dns(struct learn *learn, struct seen *seen);
/* learn_hello.c: a packet of a client. */
void learn_hello(struct learn *learn, struct seen *seen);

#endif
