// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/egress.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "kernel/egress_local.h"
#include "kernel/netlink.h"

#define RULES_MAX 16
#define PORT_DNS  53

/* One destination: of the workers' user, or of what comes in by an interface. */
struct egress_rule {
	struct address to;
	uint8_t bits;  /* of to, which count; 0: all */
	uint16_t port; /* 0: all */
	bool allowed;
};

/* from NULL: what that user sends; else what comes in by that interface. */
static int rule_do(int netlink, const struct egress_rule *rule, uint32_t uid, const char *from)
{
	bool ipv4 = address_is_ipv4(&rule->to);
	const struct fib_rule_hdr fixed = {
		.family = ipv4 ? AF_INET : AF_INET6,
		.dst_len = rule->bits ? rule->bits : ipv4 ? 32 : 128,
		.table = rule->allowed ? RT_TABLE_MAIN : RT_TABLE_UNSPEC,
		.action = rule->allowed ? FR_ACT_TO_TBL : FR_ACT_PROHIBIT,
	};
	const struct fib_rule_uid_range users = {uid, uid};
	const struct fib_rule_port_range ports = {rule->port, rule->port};
	const uint8_t protocol = EGRESS_PROTOCOL;
	struct netlink_request request;
	int error;

	netlink_start(&request, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof(fixed));
	netlink_add(&request, FRA_DST, rule->to.bytes + (ipv4 ? 12 : 0), ipv4 ? 4 : 16);
	if (from)
		netlink_add(&request, FRA_IIFNAME, from, (unsigned)strlen(from) + 1);
	else
		netlink_add(&request, FRA_UID_RANGE, &users, sizeof(users));
	if (rule->port)
		netlink_add(&request, FRA_DPORT_RANGE, &ports, sizeof(ports));
	netlink_add_u32(&request, FRA_PRIORITY, EGRESS_PRIORITY + !rule->allowed);
	netlink_add(&request, FRA_PROTOCOL, &protocol, sizeof(protocol));
	error = netlink_do(netlink, &request);
	/* Without IPv6 nobody goes there. */
	return error == -EAFNOSUPPORT && !ipv4 ? 0 : error;
}

/* ---- those that are there ---- */

struct egress_found {
	struct netlink_request deletions[RULES_MAX];
	size_t n;
};

static void rule_seen(void *context, const struct nlmsghdr *header)
{
	const struct rtattr *attributes[FRA_MAX + 1];
	struct egress_found *found = context;
	struct netlink_request *deletion;

	if (header->nlmsg_type != RTM_NEWRULE ||
		header->nlmsg_len < NLMSG_HDRLEN + sizeof(struct fib_rule_hdr) ||
		header->nlmsg_len > NETLINK_REQUEST_MAX || found->n == RULES_MAX)
		return;
	netlink_attributes(header, sizeof(struct fib_rule_hdr), attributes, FRA_MAX);
	if (netlink_u8(attributes[FRA_PROTOCOL]) != EGRESS_PROTOCOL)
		return;
	deletion = &found->deletions[found->n++];
	memcpy(deletion->memory, header, header->nlmsg_len);
	deletion->header.nlmsg_type = RTM_DELRULE;
	deletion->header.nlmsg_flags = NLM_F_REQUEST;
}

static void remove_family(int netlink, int family)
{
	const struct fib_rule_hdr fixed = {.family = (uint8_t)family};
	struct egress_found found = {.n = 0};
	struct netlink_request request;

	netlink_start(&request, RTM_GETRULE, 0, &fixed, sizeof(fixed));
	if (netlink_dump(netlink, &request, rule_seen, &found))
		return;
	for (size_t i = 0; i < found.n; i++)
		netlink_do(netlink, &found.deletions[i]);
}

static void remove_all(int netlink)
{
	remove_family(netlink, AF_INET);
	remove_family(netlink, AF_INET6);
}

void egress_remove(int netlink, const char *inside)
{
	remove_all(netlink);
	egress_local_remove(inside);
}

/* ---- those that are wanted ---- */

/* The metadata service, and Azure's host agent, which is also its name server. */
#define HOST_AGENT     {{[10] = 0xff, 0xff, 168, 63, 129, 16}}
#define METADATA       {{[10] = 0xff, 0xff, 169, 254, 169, 254}}
#define LINK_LOCAL     {{[10] = 0xff, 0xff, 169, 254}}

/* They answer whoever comes from this machine's address by what this machine is: what is forwarded there,
 * and gets that address on its way, would be answered so too. Link-local addresses are forwarded by no
 * router (RFC 3927 section 7). */
static int clients_set(int netlink, const struct config *config)
{
	static const struct egress_rule never[] = {
		{.to = HOST_AGENT},
		{.to = LINK_LOCAL, .bits = 16},
	};
	int error = 0;

	for (size_t i = 0; i < sizeof(never) / sizeof(*never) && !error; i++)
		error = rule_do(netlink, &never[i], 0, config->datapath.inside);
	return error;
}

static int workers_set(int netlink, const struct config *config)
{
	static const struct egress_rule always[] = {
		{.to = HOST_AGENT, .port = PORT_DNS, .allowed = true},
		{.to = HOST_AGENT},
		{.to = METADATA},
	};
	const struct egress_rule collector = {
		.to = config->audit.collector.address, .port = config->audit.collector.port};
	uint32_t uid = config->processes.worker.uid;
	int error = 0;

	if (!uid || config->processes.worker.missing)
		return 0;
	for (size_t i = 0; i < sizeof(always) / sizeof(*always) && !error; i++)
		error = rule_do(netlink, &always[i], uid, NULL);
	/* Of a collector on this machine egress_local decides. */
	if (!error && collector.port && uid != config->processes.shipper.uid)
		error = rule_do(netlink, &collector, uid, NULL);
	return error;
}

int egress_set(int netlink, const struct config *config, struct why *why)
{
	int error = egress_local_set(config, why);

	if (error)
		return error;
	remove_all(netlink);
	error = clients_set(netlink, config);
	if (!error)
		error = workers_set(netlink, config);
	return error ? why_set(why, -error, "policy routing: cannot forbid clients and the workers' user what "
					    "is this machine's own (iif, uidrange): %s",
			       strerror(-error))
		     : 0;
}
