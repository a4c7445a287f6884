/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom the scout takes for one source where it gives each a share. */
#ifndef SCOUT_SOURCE_NETWORK_H
#define SCOUT_SOURCE_NETWORK_H

#include <string.h>

#include "base/address.h"

/* An IPv4 address, or the network of 64 bits of an IPv6 one: its hosts give themselves any number of
 * addresses in it (RFC 4291 section 2.5.1). */
static inline struct address source_network(const struct address *source)
{
	struct address network = *source;

	if (!address_is_ipv4(source))
		memset(network.bytes + 8, 0, 8);
	return network;
}

#endif
