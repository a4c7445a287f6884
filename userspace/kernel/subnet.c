// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/subnet.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static const unsigned char *bytes_of(const struct sockaddr *address, size_t *len)
{
	*len = address->sa_family == AF_INET6 ? 16 : 4;
	return address->sa_family == AF_INET6
		       ? (const unsigned char *)&((const struct sockaddr_in6 *)address)->sin6_addr
		       : (const unsigned char *)&((const struct sockaddr_in *)address)->sin_addr;
}

/* Whether the mask of either covers the other: the wider network holds both. */
static bool overlaps(const struct ifaddrs *a, const struct ifaddrs *b)
{
	const unsigned char *x, *y, *mask_x, *mask_y;
	size_t len;

	x = bytes_of(a->ifa_addr, &len);
	y = bytes_of(b->ifa_addr, &len);
	mask_x = bytes_of(a->ifa_netmask, &len);
	mask_y = bytes_of(b->ifa_netmask, &len);
	for (size_t i = 0; i < len; i++)
		if ((x[i] ^ y[i]) & mask_x[i] & mask_y[i])
			return false;
	return true;
}

/* Link-local networks are everywhere, and no client's way anywhere. */
static bool counts(const struct ifaddrs *entry)
{
	if (!entry->ifa_addr || !entry->ifa_netmask || (entry->ifa_flags & IFF_LOOPBACK))
		return false;
	if (entry->ifa_addr->sa_family == AF_INET6)
		return !IN6_IS_ADDR_LINKLOCAL(
			&((const struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr);
	return entry->ifa_addr->sa_family == AF_INET;
}

static bool shares(const struct ifaddrs *all, const struct ifaddrs *other, const char *inside)
{
	for (; all; all = all->ifa_next)
		if (counts(all) && strcmp(all->ifa_name, inside) == 0 &&
			all->ifa_addr->sa_family == other->ifa_addr->sa_family &&
			overlaps(all, other))
			return true;
	return false;
}

int subnet_shared(const char *inside,
	void (*each)(void *context, const char *interface, const struct address *address),
	void *context)
{
	struct ifaddrs *all;
	int n = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		struct address address = {.bytes = {[10] = 0xff, [11] = 0xff}};
		const unsigned char *bytes;
		size_t len;

		if (!counts(at) || strcmp(at->ifa_name, inside) == 0 || !shares(all, at, inside))
			continue;
		bytes = bytes_of(at->ifa_addr, &len);
		memcpy(address.bytes + sizeof(address.bytes) - len, bytes, len);
		each(context, at->ifa_name, &address);
		n++;
	}
	freeifaddrs(all);
	return n;
}
