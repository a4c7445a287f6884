/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of which only clients say that a listed host lives there: our own resolver did not say
 * so, or not yet. They are steered all the same, for nobody else may know a private endpoint; but a
 * client can say so of any stranger's address, so only some of each source, and of each name. */
#ifndef SCOUT_CLAIM_H
#define SCOUT_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct claim_table;

struct claim_limits {
	size_t all;	   /* beyond it the oldest one is remembered no more */
	size_t per_source; /* of an IPv4 address, or of an IPv6 network of 64 bits */
	size_t per_name;
};

/* NULL: no memory. */
struct claim_table *claim_table_new(const struct claim_limits *limits);
/* The source says that the name is at this address, until expires_ns. true: it may; also when
 * somebody said so before. */
bool claim_add(struct claim_table *table, const struct address *address,
	const struct address *source, const char *name, uint64_t expires_ns, uint64_t now_ns);
/* The address needs no claim any more, or is forgotten. */
void claim_drop(struct claim_table *table, const struct address *address);
/* NULL is allowed. */
void claim_table_free(struct claim_table *table);

#endif
