/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The routing that delivers marked packets to local sockets, per family:
 *	ip rule add pref ROUTE_PRIORITY iif INSIDE fwmark MARK lookup TABLE
 *	ip route add local default dev lo table TABLE
 * `iif` keeps the rule away from reverse-path checks (src_valid_mark) and from sockets that take
 * over the mark (tcp_fwmark_accept). Ours are known by their protocol number. */
#ifndef KERNEL_ROUTE_H
#define KERNEL_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "kernel/netlink.h"

#define ROUTE_PRIORITY 5111 /* before main (32766), after local (0) */
#define ROUTE_PROTOCOL 151  /* of rules and routes; free in iproute2's rt_protos */

struct route {
	const char *inside; /* interface name */
	uint32_t mark;
	uint32_t table;
};

/* The requests alone, for AF_INET or AF_INET6; flags are added to the type's. */
void route_build_rule(struct netlink_request *request, const struct route *route, int family,
	uint16_t type, uint16_t flags);
void route_build_local(struct netlink_request *request, const struct route *route, int family,
	int loopback, uint16_t type, uint16_t flags);

/* Adds what is missing, and removes our rules that say something else (left by an appliance with
 * another configuration). -EAFNOSUPPORT: the family is not there or is disabled. -EBUSY: the
 * table holds foreign routes. Other negative errno: see why. */
int route_add(int netlink, const struct route *route, int family, struct why *why);
/* Removes all rules of ours and the routes of ours in the table. */
void route_remove(int netlink, const struct route *route, int family);
/* Looks whether the rule and the route are there now. */
int route_look(int netlink, const struct route *route, int family, bool *rule, bool *local);

#endif
