/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names to addresses: c-ares on the event loop, with a cache that outlives a broken DNS. */
#ifndef BACKEND_RESOLVER_H
#define BACKEND_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/why.h"

struct config;
struct ev_loop;
struct resolver;

struct resolver_answer {
	const struct address *addresses; /* IPv4 before IPv6 */
	size_t n;			 /* at least 1 */
	uint64_t ttl_ns; /* left, between endpoints.ttl_floor and .ttl_ceiling; > 0 */
	bool stale;	 /* the DNS failed: this is what it said last, at most an hour ago */
};

/* error: 0 and an answer that is valid during the call only, or a negative errno and NULL:
 * -ENOENT (no such name or no address), -ETIMEDOUT, -ECONNREFUSED (no server answers),
 * -EINVAL (not a host name), -EIO (everything else). May look up, cancel and free again. */
typedef void resolver_done(void *context, int error, const struct resolver_answer *answer);

/* Servers are endpoints.resolvers, else those of /etc/resolv.conf; /etc/hosts is honoured. At most
 * origin.names_max names besides those of the configuration are remembered, and four times as many
 * looked up: clients choose them where hosts are patterns.
 * The configuration is copied from. NULL: see why. */
struct resolver *resolver_new(struct ev_loop *loop, const struct config *config, struct why *why);

/* Looks up A and AAAA of host (any case, a final dot allowed; addresses are taken as they are).
 * Cached answers call done before this returns, and *ticket is 0 then; else *ticket names the
 * wait until done is called. Lookups of a name under way share one query.
 * 0, or a negative errno (then done is never called): -EINVAL (not a host name), -EAGAIN
 * (too many others are being looked up), -ENOMEM. */
int resolver_lookup(struct resolver *resolver, const char *host, resolver_done *done, void *context,
	uint64_t *ticket);

/* The done of this ticket will not be called; the query goes on for the cache.
 * 0 and tickets already served are ignored. */
void resolver_cancel(struct resolver *resolver, uint64_t ticket);

/* Cancels what waits (done is not called), closes all sockets. NULL is allowed. */
void resolver_free(struct resolver *resolver);

#endif
