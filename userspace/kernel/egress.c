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

#define RULES_MAX 64
#define PORT_DNS  53

/* One destination: of the workers' user, or of what comes in by an interface. */
struct egress_rule {
	struct address to;
	uint8_t bits;  /* of to, which count; 0: all */
	uint16_t port; /* 0: all */
	bool allowed;
};

struct egress_writer {
	int netlink;
	uint8_t protocol;
};

/* from NULL: what that user sends; else what comes in by that interface. */
static int rule_add(const struct egress_writer *writer, const struct egress_rule *rule, uint32_t uid,
	const char *from)
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
	netlink_add(&request, FRA_PROTOCOL, &writer->protocol, sizeof(writer->protocol));
	error = netlink_do(writer->netlink, &request);
	/* Without IPv6 nobody goes there. */
	return error == -EAFNOSUPPORT && !ipv4 ? 0 : error;
}

/* ---- those that are there ---- */

struct egress_found {
	struct netlink_request deletions[RULES_MAX];
	uint8_t protocols[RULES_MAX];
	size_t n;
};

static void rule_seen(void *context, const struct nlmsghdr *header)
{
	const struct rtattr *attributes[FRA_MAX + 1];
	struct egress_found *found = context;
	struct netlink_request *deletion;
	uint8_t protocol;

	if (header->nlmsg_type != RTM_NEWRULE ||
		header->nlmsg_len < NLMSG_HDRLEN + sizeof(struct fib_rule_hdr) ||
		header->nlmsg_len > NETLINK_REQUEST_MAX || found->n == RULES_MAX)
		return;
	netlink_attributes(header, sizeof(struct fib_rule_hdr), attributes, FRA_MAX);
	protocol = netlink_u8(attributes[FRA_PROTOCOL]);
	if (protocol != EGRESS_PROTOCOL && protocol != EGRESS_PROTOCOL_OTHER)
		return;
	found->protocols[found->n] = protocol;
	deletion = &found->deletions[found->n++];
	memcpy(deletion->memory, header, header->nlmsg_len);
	deletion->header.nlmsg_type = RTM_DELRULE;
	deletion->header.nlmsg_flags = NLM_F_REQUEST;
}

static void rules_find(int netlink, struct egress_found *found)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	found->n = 0;
	for (size_t i = 0; i < sizeof(families); i++) {
		const struct fib_rule_hdr fixed = {.family = families[i]};
		struct netlink_request request;

		netlink_start(&request, RTM_GETRULE, 0, &fixed, sizeof(fixed));
		(void)netlink_dump(netlink, &request, rule_seen, found);
	}
}

/* Those of found with this protocol; 0: all. */
static void rules_delete(int netlink, struct egress_found *found, uint8_t protocol)
{
	for (size_t i = 0; i < found->n; i++)
		if (!protocol || found->protocols[i] == protocol)
			netlink_do(netlink, &found->deletions[i]);
}

void egress_remove(int netlink, const char *inside)
{
	struct egress_found found;

	rules_find(netlink, &found);
	rules_delete(netlink, &found, 0);
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
static int clients_set(const struct egress_writer *writer, const struct config *config)
{
	static const struct egress_rule never[] = {
		{.to = HOST_AGENT},
		{.to = LINK_LOCAL, .bits = 16},
	};
	int error = 0;

	for (size_t i = 0; i < sizeof(never) / sizeof(*never) && !error; i++)
		error = rule_add(writer, &never[i], 0, config->datapath.inside);
	return error;
}

static int collector_forbid(
	const struct egress_writer *writer, const struct address_port *collector, uint32_t uid)
{
	const struct egress_rule rule = {.to = collector->address, .port = collector->port};

	return rule_add(writer, &rule, uid, NULL);
}

static int user_set(const struct egress_writer *writer, const struct config *config, uint32_t uid)
{
	static const struct egress_rule always[] = {
		{.to = HOST_AGENT, .port = PORT_DNS, .allowed = true},
		{.to = HOST_AGENT},
		{.to = METADATA},
	};
	const struct config_audit *audit = &config->audit;
	int error = 0;

	for (size_t i = 0; i < sizeof(always) / sizeof(*always) && !error; i++)
		error = rule_add(writer, &always[i], uid, NULL);
	/* Of a collector on this machine egress_local decides. */
	if (uid == config->processes.shipper.uid)
		return error;
	if (!error && audit->collector.port)
		error = collector_forbid(writer, &audit->collector, uid);
	for (size_t i = 0; i < audit->ncollector_others && !error; i++)
		error = collector_forbid(writer, &audit->collector_others[i], uid);
	return error;
}

/* Of all processes but the parent, which is root, and the keeper, whose business the identity is. */
static int users_set(const struct egress_writer *writer, const struct config *config)
{
	const struct config_processes *of = &config->processes;
	const struct config_identity *users[] = {
		&of->worker, &of->scout, &of->shipper, &of->signer};
	int error = 0;

	for (size_t i = 0; i < sizeof(users) / sizeof(*users) && !error; i++) {
		bool done = !users[i]->uid || users[i]->missing || users[i]->uid == of->keeper.uid;

		for (size_t before = 0; before < i; before++)
			done |= users[before]->uid == users[i]->uid;
		if (!done)
			error = user_set(writer, config, users[i]->uid);
	}
	return error;
}

int egress_set(int netlink, const struct config *config, struct why *why)
{
	struct egress_writer writer = {netlink, EGRESS_PROTOCOL};
	struct egress_found found;
	int error = egress_local_set(config, why);

	if (error)
		return error;
	rules_find(netlink, &found);
	for (size_t i = 0; i < found.n; i++)
		if (found.protocols[i] == EGRESS_PROTOCOL)
			writer.protocol = EGRESS_PROTOCOL_OTHER;
	/* Of one that was killed while it did the same. */
	rules_delete(netlink, &found, writer.protocol);
	error = clients_set(&writer, config);
	if (!error)
		error = users_set(&writer, config);
	/* Only now: at no time is there less than before or after. */
	if (!error)
		rules_delete(netlink, &found,
			writer.protocol == EGRESS_PROTOCOL ? EGRESS_PROTOCOL_OTHER : EGRESS_PROTOCOL);
	return error ? why_set(why, -error, "policy routing: cannot forbid clients and the processes' users what "
					    "is this machine's own (iif, uidrange): %s",
			       strerror(-error))
		     : 0;
}
