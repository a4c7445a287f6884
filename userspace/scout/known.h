/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scout's own copy of the endpoint map, which only the parent can read. */
#ifndef SCOUT_KNOWN_H
#define SCOUT_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct known;

/* Holds at most max addresses. NULL: no memory. */
struct known *known_new(size_t max);
/* The address is an endpoint until expires_ns; 0: for good. Without room it is left out. */
void known_add(struct known *known, const struct address *address, uint64_t expires_ns,
	uint64_t now_ns);
/* Whether it is one now, and in *since_ns since when it is known here. */
bool known_find(const struct known *known, const struct address *address, uint64_t now_ns,
	uint64_t *since_ns);
/* The address is none any more. */
void known_forget(struct known *known, const struct address *address);
void known_free(struct known *known);

#endif
