/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to origins: resolved, opened, verified, kept alive and used again. */
#ifndef PROXY_ORIGIN_H
#define PROXY_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/resolver.h"
#include "base/address.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/why.h"
#include "config/config.h"
#include "io/turn.h"
#include "proxy/upstream.h"
#include "tls/origin_leg.h"

/* Whom to speak to. Two targets with all the same share connections. */
struct origin_target {
	const char *host;	/* the SNI and the name that is verified, lower case */
	uint16_t port;
	const struct address_port *addresses; /* override the resolver; owned by the configuration */
	size_t naddresses;
	struct tls_origin_leg *leg; /* that verifies it; NULL: the one of all */
};

/* Why there is no connection: error.type of the event, and the words for the client. */
struct origin_failure {
	const char *type;	/* "origin_unresolved", "origin_unreachable", "origin_timeout",
				 * "proxy_refused", or the name of the failed verification */
	struct why why;
	bool timeout;		/* 504 rather than 502 */
	bool unverified;	/* the certificate: trying again will not help */
};

struct origin_request;
struct origins;

struct origins *origins_new(struct turn *turn, const struct config *config,
	struct resolver *resolver, struct tls_origin_leg *leg, struct counters *counters,
	struct why *why);
/* Closes every idle connection; the slots in use must have been released. */
void origins_free(struct origins *origins);

/* How many are known now: those with a connection, or with a request for one. */
size_t origins_count(const struct origins *origins);

/* Tells done once: with a slot on a verified connection, which tells its user through handler and
 * user until it is released, or with NULL and the failure (valid during the call). May tell before
 * it returns. fresh: no kept connection, because one just turned out to be stale, or because what
 * is to be sent could not be sent again.
 * *request is set while the answer is outstanding, for origin_cancel, and NULL otherwise. */
typedef void origin_done(
	void *user, struct upstream_slot *slot, const struct origin_failure *failure);
void origin_acquire(struct origins *origins, const struct origin_target *target, bool fresh,
	const struct upstream_user *handler, origin_done *done, void *user,
	struct origin_request **request);
void origin_cancel(struct origin_request *request);

#endif
