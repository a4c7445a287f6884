/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/route.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#define RULES_MAX 16 /* stale rules removed in one go: there is one, unless somebody plays */

static const char *family_name(int family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

void route_build_rule(struct netlink_request *request, const struct route *route, int family,
	uint16_t type, uint16_t flags)
{
	const struct fib_rule_hdr fixed = {
		.family = (uint8_t)family,
		.table = RT_TABLE_UNSPEC, /* it has 32 bits: FRA_TABLE */
		.action = FR_ACT_TO_TBL,
	};
	const uint8_t protocol = ROUTE_PROTOCOL;

	/* All of it fits by far: an interface name has 15 bytes. */
	netlink_start(request, type, flags, &fixed, sizeof(fixed));
	netlink_add(request, FRA_IIFNAME, route->inside, strlen(route->inside) + 1);
	netlink_add_u32(request, FRA_FWMARK, route->mark);
	netlink_add_u32(request, FRA_FWMASK, UINT32_MAX);
	netlink_add_u32(request, FRA_TABLE, route->table);
	netlink_add_u32(request, FRA_PRIORITY, ROUTE_PRIORITY);
	netlink_add(request, FRA_PROTOCOL, &protocol, sizeof(protocol));
}

void route_build_local(struct netlink_request *request, const struct route *route, int family,
	int loopback, uint16_t type, uint16_t flags)
{
	const struct rtmsg fixed = {
		.rtm_family = (unsigned char)family,
		.rtm_table = RT_TABLE_UNSPEC,
		.rtm_protocol = ROUTE_PROTOCOL,
		.rtm_scope = RT_SCOPE_HOST,
		.rtm_type = RTN_LOCAL,
	};

	netlink_start(request, type, flags, &fixed, sizeof(fixed));
	netlink_add_u32(request, RTA_TABLE, route->table);
	netlink_add_u32(request, RTA_OIF, (uint32_t)loopback);
}

/* What a dump of rules found. */
struct rules {
	const struct route *route;
	bool found;				 /* exactly the one wanted */
	struct netlink_request stale[RULES_MAX]; /* requests that delete the others of ours … */
	uint32_t tables[RULES_MAX];		 /* … and the tables they lead to */
	size_t nstale;
};

static void rule_seen(void *context, const struct nlmsghdr *header)
{
	const struct rtattr *attributes[FRA_MAX + 1];
	const struct fib_rule_hdr *fixed = NLMSG_DATA(header);
	struct rules *rules = context;
	const struct route *route = rules->route;
	struct netlink_request *stale;
	const char *inside;

	if (header->nlmsg_type != RTM_NEWRULE || header->nlmsg_len < NLMSG_HDRLEN + sizeof(*fixed))
		return;
	netlink_attributes(header, sizeof(*fixed), attributes, FRA_MAX);
	if (netlink_u8(attributes[FRA_PROTOCOL]) != ROUTE_PROTOCOL)
		return;
	inside = attributes[FRA_IIFNAME] ? (const char *)attributes[FRA_IIFNAME] + RTA_LENGTH(0)
					 : "";
	if (strcmp(inside, route->inside) == 0 &&
		netlink_u32(attributes[FRA_FWMARK]) == route->mark &&
		netlink_u32(attributes[FRA_FWMASK]) == UINT32_MAX &&
		netlink_u32(attributes[FRA_TABLE]) == route->table &&
		netlink_u32(attributes[FRA_PRIORITY]) == ROUTE_PRIORITY && !rules->found) {
		rules->found = true;
		return;
	}
	/* The same message, as a deletion. */
	if (rules->nstale == RULES_MAX || header->nlmsg_len > NETLINK_REQUEST_MAX)
		return;
	rules->tables[rules->nstale] = netlink_u32(attributes[FRA_TABLE]);
	stale = &rules->stale[rules->nstale++];
	memcpy(stale->memory, header, header->nlmsg_len);
	stale->header.nlmsg_type = RTM_DELRULE;
	stale->header.nlmsg_flags = NLM_F_REQUEST;
}

static int rules_read(int netlink, const struct route *route, int family, struct rules *rules)
{
	const struct fib_rule_hdr fixed = {.family = (uint8_t)family};
	struct netlink_request request;

	memset(rules, 0, sizeof(*rules));
	rules->route = route;
	netlink_start(&request, RTM_GETRULE, 0, &fixed, sizeof(fixed));
	return netlink_dump(netlink, &request, rule_seen, rules);
}

static void local_delete(int netlink, const struct route *route, int family)
{
	struct netlink_request request;

	route_build_local(&request, route, family, (int)if_nametoindex("lo"), RTM_DELROUTE, 0);
	netlink_do(netlink, &request);
}

static void stale_delete(int netlink, struct rules *rules, int family)
{
	for (size_t i = 0; i < rules->nstale; i++) {
		struct route old = *rules->route;

		old.table = rules->tables[i];
		netlink_do(netlink, &rules->stale[i]);
		if (old.table != rules->route->table)
			local_delete(netlink, &old, family);
	}
}

struct locals {
	const struct route *route;
	int loopback;
	bool found;
	size_t foreign;
};

static void local_seen(void *context, const struct nlmsghdr *header)
{
	const struct rtattr *attributes[RTA_MAX + 1];
	const struct rtmsg *fixed = NLMSG_DATA(header);
	struct locals *locals = context;

	if (header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len < NLMSG_HDRLEN + sizeof(*fixed))
		return;
	netlink_attributes(header, sizeof(*fixed), attributes, RTA_MAX);
	if (netlink_u32(attributes[RTA_TABLE]) != locals->route->table)
		return;
	if (fixed->rtm_protocol != ROUTE_PROTOCOL)
		locals->foreign++;
	else if (fixed->rtm_type == RTN_LOCAL && fixed->rtm_dst_len == 0 &&
		 netlink_u32(attributes[RTA_OIF]) == (uint32_t)locals->loopback)
		locals->found = true;
}

static int locals_read(int netlink, const struct route *route, int family, struct locals *locals)
{
	const struct rtmsg fixed = {.rtm_family = (unsigned char)family};
	struct netlink_request request;
	int error;

	*locals = (struct locals){.route = route, .loopback = (int)if_nametoindex("lo")};
	netlink_start(&request, RTM_GETROUTE, 0, &fixed, sizeof(fixed));
	netlink_add_u32(&request, RTA_TABLE, route->table);
	error = netlink_dump(netlink, &request, local_seen, locals);
	return error == -ENOENT ? 0 : error; /* no such table yet */
}

static bool family_missing(int error)
{
	return error == -EAFNOSUPPORT || error == -EOPNOTSUPP || error == -EPFNOSUPPORT;
}

static int local_add(int netlink, const struct route *route, int family, struct why *why)
{
	struct netlink_request request;
	struct locals locals;
	int error = locals_read(netlink, route, family, &locals);

	if (family_missing(error))
		return -EAFNOSUPPORT;
	if (error)
		return why_set(why, -error, "routing table %u cannot be read: %s", route->table,
			strerror(-error));
	if (locals.foreign)
		return why_set(why, EBUSY,
			"routing table %u has %s routes of somebody else; choose a free one "
			"(datapath.table)",
			route->table, family_name(family));
	route_build_local(&request, route, family, locals.loopback, RTM_NEWROUTE,
		NLM_F_CREATE | NLM_F_REPLACE);
	error = netlink_do(netlink, &request);
	/* Where IPv6 is disabled by sysctl, lo takes no route. */
	if (family_missing(error) ||
		(family == AF_INET6 && (error == -EACCES || error == -EINVAL || error == -EPERM)))
		return -EAFNOSUPPORT;
	if (error)
		return why_set(why, -error, "%s route \"local default dev lo table %u\": %s%s",
			family_name(family), route->table, strerror(-error),
			error == -ENETDOWN ? "; bring lo up (ip link set lo up)" : "");
	return 0;
}

int route_add(int netlink, const struct route *route, int family, struct why *why)
{
	struct netlink_request request;
	struct rules rules;
	int error = local_add(netlink, route, family, why);

	if (error)
		return error;
	route_build_rule(&request, route, family, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
	error = netlink_do(netlink, &request);
	if (family_missing(error))
		return -EAFNOSUPPORT;
	if (error && error != -EEXIST)
		return why_set(why, -error,
			"%s rule \"iif %s fwmark %#x lookup %u\" cannot be added: %s",
			family_name(family), route->inside, route->mark, route->table,
			strerror(-error));
	/* Only after the new one is there: a marked packet without a rule would be forwarded. */
	if (rules_read(netlink, route, family, &rules) == 0)
		stale_delete(netlink, &rules, family);
	return 0;
}

void route_remove(int netlink, const struct route *route, int family)
{
	struct netlink_request request;
	struct rules rules;

	if (rules_read(netlink, route, family, &rules) == 0) {
		stale_delete(netlink, &rules, family);
		if (rules.found) {
			route_build_rule(&request, route, family, RTM_DELRULE, 0);
			netlink_do(netlink, &request);
		}
	}
	local_delete(netlink, route, family);
}

int route_look(int netlink, const struct route *route, int family, bool *rule, bool *local)
{
	struct locals locals;
	struct rules rules;
	int error;

	*rule = *local = false;
	error = rules_read(netlink, route, family, &rules);
	if (error == 0) {
		*rule = rules.found;
		error = locals_read(netlink, route, family, &locals);
		*local = error == 0 && locals.found;
	}
	return family_missing(error) ? 0 : error;
}
