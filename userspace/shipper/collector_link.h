/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shipper's connection to the collector: takes chunks out of the spool, sends them, and moves
 * the spool's cursor when they are acknowledged. Connects again for ever. */
#ifndef SHIPPER_COLLECTOR_LINK_H
#define SHIPPER_COLLECTOR_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "audit/spool.h"
#include "base/counter.h"
#include "base/slice.h"
#include "base/why.h"
#include "config/config.h"

struct ev_loop;
struct collector_link;

struct collector_link_options {
	struct ev_loop *loop;
	const struct config_audit *config; /* outlives the link */
	struct spool *spool;		   /* likewise */
	struct counters *counters;
	struct slice host; /* our name for a collector that shares key; both outlive the link */
	struct slice key;  /* empty: there is no handshake */
	SSL_CTX *tls;	   /* of the appliance's side (tls/forward_leg.h); NULL: plain */
	/* That many records were acknowledged, up to this place; the spool's cursor follows. */
	void (*acknowledged)(void *context, uint64_t records, const struct spool_position *end);
	void *context;
};

/* Connects at once, from within the loop. 0, or -ENOMEM and why. */
int collector_link_new(const struct collector_link_options *options, struct collector_link **link,
	struct why *why);
void collector_link_free(struct collector_link *link);

/* That many records were written to the spool: they leave when they make a batch, or after
 * config->flush_ns. */
void collector_link_more(struct collector_link *link, uint64_t records);
/* From now on nothing waits for a batch to be full. */
void collector_link_hurry(struct collector_link *link);
/* Tells the spool at once what was acknowledged, which it is told from time to time otherwise: its
 * room is needed. */
void collector_link_settle(struct collector_link *link);
/* There is a point in waiting: the collector is there, and has not acknowledged everything. */
bool collector_link_busy(const struct collector_link *link);
/* There is a connection. */
bool collector_link_up(const struct collector_link *link);

#endif
