/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For learn.c, learn_dns.c and learn_hello.c only. */
#ifndef SCOUT_LEARN_INTERNAL_H
#define SCOUT_LEARN_INTERNAL_H

#include "base/list.h"
#include "base/log_limit.h"
#include "scout/alias.h"
#include "scout/claim.h"
#include "scout/dns.h"
#include "scout/known.h"
#include "scout/learn_output.h"
#include "scout/packet.h"
#include "scout/peek.h"

/* Addresses whose name our own resolver was asked for. n 0: it is free. */
struct learn_question {
	struct datapath_endpoint endpoints[LEARN_ASK_MAX];
	size_t n;
	uint32_t ticket; /* who waits for the endpoints, 0: nobody */
	uint32_t needed; /* who must not go on without one of them, 0: nobody */
	unsigned source; /* the client's place in struct learn_lookups */
};

#define LEARN_SOURCES 1024
#define LEARN_HELD_CHAINS 256 /* a power of 2 */

/* Lookups of this second, and those that are not answered. */
struct learn_lookups {
	uint64_t window, seed;
	unsigned n;
	uint16_t of_source[LEARN_SOURCES]; /* by the hash of their address */
	uint8_t open[LEARN_SOURCES];
};

struct learn {
	const struct config *config;
	struct counters *counters;
	struct learn_output output;
	struct known *known;
	struct peek_table *peeks;
	struct alias_table *aliases;
	struct claim_table *claims;
	struct learn_question questions[LEARN_QUESTIONS];
	struct learn_lookups lookups;
	struct list held; /* by deadline */
	struct list held_chains[LEARN_HELD_CHAINS]; /* the same by their connections */
	size_t nheld, held_bytes;
	uint32_t ticket; /* the last one given */
	struct log_limit undecided;
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
	THEN_PASS_LEARNED,  /* a DNS reply, where nobody looks at what follows: not when refused */
	THEN_ONLY_LEARNED,  /* such a one that claims too much: in no other case */
	THEN_REFUSE,	    /* when it was answered; without an answer it passes: fail: open */
	THEN_REFUSE_ALWAYS, /* in any case: fail: closed */
};

/* Whether what may be a call to a host that fails closed has to be refused: there is such a host.
 */
bool learn_closed(const struct learn *learn);
/* What is known of an address that a packet waited for. */
enum learned {
	LEARN_KNOWN,
	LEARN_REFUSED, /* it cannot be steered */
	LEARN_UNKNOWN, /* nobody said anything, or the resolver knows nothing of it */
};

void learn_pass(struct learn *learn, const struct seen *seen);
/* Drops it and tells the sender; of TCP both sides. */
void learn_refuse(struct learn *learn, const struct seen *seen);
/* Resets the connection of the packet, on one of its sides. */
void learn_reset(struct learn *learn, const struct ip_packet *packet, bool to_server);
/* As peek_table_new wants it; context: the learn. */
void learn_hello_forget(void *context, const struct peek *peek);
/* Drops it; the server of a TCP connection learns that it is over. */
void learn_deny(struct learn *learn, const struct seen *seen);
/* What a packet may wait for: that the parent answers the question of this number. */
uint32_t learn_ticket(struct learn *learn);
/* Makes the packet wait, for an answer (ticket, 0: none), for the rest of the message that it is a
 * part of, or both. false: there is no room; it has its verdict. */
bool learn_hold(
	struct learn *learn, const struct seen *seen, enum then then, uint32_t ticket, bool rest);
/* The ticket that a packet of this connection waits for; 0: none does. */
uint32_t learn_ticket_of(struct learn *learn, const struct peek_key *key);
/* Asks about each packet of this connection that waits for the rest of its message, in the order
 * they came. true: it has, and was changed as it should be. */
void learn_rest(struct learn *learn, const struct peek_key *key,
	bool (*over)(void *context, struct seen *seen), void *context);
/* Who waited for this number is let go. */
void learn_ticket_over(struct learn *learn, uint32_t ticket, enum learned learned);
/* Who waits for it goes on in no other case. */
void learn_ticket_only(struct learn *learn, uint32_t ticket);
/* What the connection or reply of a host is, by the configuration: DNS alone or also later. */
enum then learn_dns_then(const struct learn *learn);
struct peek_key learn_peek_key(const struct ip_packet *packet);

/* The addresses of one packet's replies, on their way to the parent. */
struct learn_asking {
	struct learn *learn;
	struct seen *seen;
	struct datapath_endpoint endpoints[LEARN_ASK_MAX];
	size_t n;
	bool listed;	/* the reply is for a host whose calls are inspected */
	enum fail fail; /* the mode of whom the reply is for */
	bool news;	/* one of them was not known */
	char name[256]; /* that our own resolver is asked for: the listed one */
	struct datapath_endpoint known[LEARN_ASK_MAX]; /* the same of those that are known */
	size_t nknown;
	uint32_t ticket; /* of the packet, as soon as it needs one */
	bool over;	 /* some of those that were sent are not claimed … */
	bool refused;	 /* … and nobody can be asked for them */
};

/* learn_confirm.c: asks our own resolver whether these are addresses of the name; ticket: who waits
 * for them; needed: who is refused when one of them is none. false: it cannot be asked now, and
 * nothing was done. */
bool learn_confirm(struct learn *learn, const struct seen *seen, const char *name,
	const struct datapath_endpoint *endpoints, size_t n, uint32_t ticket, uint32_t needed);
/* Whether the client may say by itself that the name is there. */
bool learn_claim(struct learn *learn, const struct seen *seen, const char *name,
	const struct datapath_endpoint *endpoint);

/* learn_dns.c: a packet from port 53 to a client. */
void learn_dns(struct learn *learn, struct seen *seen);
/* Whether a message is a reply that teaches something, by its question, and in *listed whether it
 * is to be edited. */
bool learn_dns_wanted(struct learn *learn, uint64_t now_ns, struct slice message,
	struct dns_reply *reply, bool *listed);
/* The latter, of a message of which there is the question. */
bool learn_dns_listed(struct learn *learn, uint64_t now_ns, const struct dns_reply *reply);
/* Takes the addresses and aliases of such a reply. */
void learn_dns_read(struct learn_asking *asking, struct slice message,
	const struct dns_reply *reply, bool listed);
/* Asks for the rest of them; ticket: what the packet waits for, 0: nothing. */
void learn_asking_send(struct learn_asking *asking, uint32_t ticket);

/* learn_stream.c: the same over TCP. */
void learn_stream(struct learn *learn, struct seen *seen);
/* What waits for the rest of a message goes without. peek: the connection's, or NULL. */
void learn_stream_give_up(struct learn *learn, const struct peek_key *key, struct peek *peek);

/* learn_hello.c: a packet of a client. */
void learn_hello(struct learn *learn, struct seen *seen);

#endif
