/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's set of endpoints: single addresses (learned, expiring) and configured prefixes. */
#ifndef KERNEL_ENDPOINT_MAP_H
#define KERNEL_ENDPOINT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/why.h"
#include "bpf/abi.h"

/* Whether an address can be an AI service's: no loopback, link-local, multicast, unspecified,
 * broadcast or reserved address (RFC 6890). Private ones can: private endpoints. */
bool endpoint_address_usable(const struct address *address);

/* Makes the map hold exactly these prefixes, with this mode; new ones are there before old ones go.
 * -ENOSPC when there are more than max. */
int endpoint_map_prefixes(int map, const struct prefix *prefixes, size_t n, size_t max,
	enum fail fail, struct why *why);
/* See datapath_endpoint_learn, _sweep and _fail. now_ns: CLOCK_MONOTONIC. */
int endpoint_map_learn(int map, const struct address *address, uint64_t expires_ns,
	enum endpoint_source source, enum fail fail, uint64_t now_ns);
size_t endpoint_map_sweep(int map, uint64_t now_ns);
void endpoint_map_fail(int map, bool any_closed, bool any_open);
/* See datapath_endpoints. each may not change the map. */
void endpoint_map_walk(int map,
	void (*each)(void *context, const struct address *address, const struct endpoint *endpoint),
	void *context);

#endif
