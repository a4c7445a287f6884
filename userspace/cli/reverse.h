/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of addresses for the eye, from the DNS (RFC 1035 section 3.5): asked in the background, a
 * few at a time, and kept for a while. What the DNS says is anybody's claim: the names are escaped,
 * and stand beside the address, never in place of it. */
#ifndef CLI_REVERSE_H
#define CLI_REVERSE_H

#include <stdbool.h>

#include "base/address.h"
#include "base/why.h"

struct config;
struct ev_loop;
struct reverse;

/* Servers are endpoints.resolvers, else those of /etc/resolv.conf; /etc/hosts is asked first. NULL:
 * see why. */
struct reverse *reverse_new(struct ev_loop *loop, const struct config *config, struct why *why);

/* true: the answer is known: *name, printable ASCII that lives until the loop runs again or another
 * address is looked up, or NULL when it has none. false: not yet; it is asked for now, unless
 * enough is asked for already. Never waits. */
bool reverse_lookup(struct reverse *reverse, const struct address *address, const char **name);

/* NULL is allowed. */
void reverse_free(struct reverse *reverse);

#endif
