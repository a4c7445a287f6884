// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/egress_local.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <linux/netfilter.h>

#include "base/log.h"
#include "kernel/nft.h"

#define CHAIN	 "output"
#define PORT_DNS 53
#define LOOPBACK 1  /* its number in every network namespace (LOOPBACK_IFINDEX) */
#define FLAGS_AT 13 /* in the header of TCP (RFC 9293 section 3.1) … */
#define FLAG_SYN 0x02
#define FLAG_ACK 0x10

struct table_name {
	char text[48];
};

static struct table_name name_of(const char *inside)
{
	struct table_name name;

	snprintf(name.text, sizeof(name.text), "sallyport_egress_%s", inside);
	return name;
}

/* A rule for what the workers' user sends to this machine itself. */
static void local_start(struct nft_batch *batch, uint32_t uid, uint8_t protocol)
{
	const uint32_t loopback = LOOPBACK;

	nft_rule_start(batch, CHAIN);
	nft_match_meta(batch, NFT_META_OIF, NFT_CMP_EQ, &loopback, sizeof(loopback));
	nft_match_meta(batch, NFT_META_SKUID, NFT_CMP_EQ, &uid, sizeof(uid));
	if (protocol)
		nft_match_protocol(batch, protocol);
}

static void allow_port(struct nft_batch *batch, uint32_t uid, uint8_t protocol, uint16_t port)
{
	local_start(batch, uid, protocol);
	nft_match_port(batch, 2, port);
	nft_verdict(batch, NF_ACCEPT);
	nft_rule_end(batch);
}

static void allow(struct nft_batch *batch, uint32_t uid, uint8_t protocol,
	const struct address *address, uint16_t port)
{
	bool ipv4 = address_is_ipv4(address);

	if (ipv4 != (batch->family == NFPROTO_IPV4))
		return;
	local_start(batch, uid, protocol);
	nft_match_payload(batch, NFT_PAYLOAD_NETWORK_HEADER,
		ipv4 ? offsetof(struct iphdr, daddr) : offsetof(struct ip6_hdr, ip6_dst),
		address->bytes + (ipv4 ? 12 : 0), ipv4 ? 4 : 16);
	nft_match_port(batch, 2, port);
	nft_verdict(batch, NF_ACCEPT);
	nft_rule_end(batch);
}

/* What resolv.conf names may change without us: without endpoints.resolvers it is the port. */
static void allow_resolvers(struct nft_batch *batch, const struct config *config)
{
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP};
	const struct config_endpoints *endpoints = &config->endpoints;
	uint32_t uid = config->processes.worker.uid;

	for (size_t i = 0; i < sizeof(protocols); i++) {
		if (!endpoints->nresolvers)
			allow_port(batch, uid, protocols[i], PORT_DNS);
		for (size_t j = 0; j < endpoints->nresolvers; j++) {
			const struct address_port *resolver = &endpoints->resolvers[j];

			allow(batch, uid, protocols[i], &resolver->address,
				resolver->port ? resolver->port : PORT_DNS);
		}
	}
}

static void allow_configured(struct nft_batch *batch, const struct config *config)
{
	const struct config_audit *audit = &config->audit;
	uint32_t uid = config->processes.worker.uid;

	allow_resolvers(batch, config);
	for (size_t i = 0; i < config->nbackends; i++) {
		const struct config_backend *backend = &config->backends[i];

		for (size_t j = 0; j < backend->naddresses; j++)
			allow(batch, uid, IPPROTO_TCP, &backend->addresses[j].address,
				backend->addresses[j].port ? backend->addresses[j].port
							   : backend->port);
	}
	if (config->origin.proxy.port)
		allow(batch, uid, IPPROTO_TCP, &config->origin.proxy.address,
			config->origin.proxy.port);
	if (uid != config->processes.shipper.uid)
		return;
	if (audit->collector.port)
		allow(batch, uid, IPPROTO_TCP, &audit->collector.address, audit->collector.port);
	for (size_t i = 0; i < audit->ncollector_others; i++)
		allow(batch, uid, IPPROTO_TCP, &audit->collector_others[i].address,
			audit->collector_others[i].port);
}

/* Beginnings of connections are answered, so that a host that the DNS has moved here fails at once.
 * The workers' answers to whoever connected to them are none. */
static void refuse(struct nft_batch *batch, uint32_t uid, bool answer)
{
	struct nft_expression reject;

	local_start(batch, uid, IPPROTO_TCP);
	nft_match_transport_bits(batch, FLAGS_AT, FLAG_SYN | FLAG_ACK, FLAG_SYN);
	if (answer) {
		reject = nft_expression_start(batch, "reject");
		nft_put_u32(batch, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
		nft_expression_end(batch, reject);
	} else {
		nft_verdict(batch, NF_DROP);
	}
	nft_rule_end(batch);
	local_start(batch, uid, IPPROTO_TCP);
	nft_verdict(batch, NF_ACCEPT);
	nft_rule_end(batch);
	local_start(batch, uid, 0);
	nft_verdict(batch, NF_DROP);
	nft_rule_end(batch);
}

/* config NULL: none. */
static int rules_write(
	struct nft *nft, const char *table, const struct config *config, bool answer)
{
	static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	struct nft_batch batch;
	int error = nft_batch_start(&batch, nft);

	if (error)
		return error;
	batch.table = table;
	for (int i = 0; i < 2; i++) {
		batch.family = families[i];
		if (!nft_family_there(families[i]))
			continue;
		nft_table_delete(&batch);
		if (!config)
			continue;
		nft_table_add(&batch, 0);
		nft_chain_add(&batch, CHAIN, NF_INET_LOCAL_OUT, 0);
		allow_configured(&batch, config);
		refuse(&batch, config->processes.worker.uid, answer);
	}
	error = nft_batch_send(&batch);
	nft_batch_end(&batch);
	return error;
}

int egress_local_set(const struct config *config, struct why *why)
{
	struct table_name table = name_of(config->datapath.inside);
	struct nft nft;
	int error;

	if (!config->processes.worker.uid || config->processes.worker.missing) {
		egress_local_remove(config->datapath.inside);
		return 0;
	}
	error = nft_open(&nft);
	if (!error)
		error = rules_write(&nft, table.text, config, true);
	/* CONFIG_NFT_REJECT is not everywhere. */
	if (error == -ENOENT || error == -EOPNOTSUPP)
		error = rules_write(&nft, table.text, config, false);
	nft_close(&nft);
	return error ? why_set(why, -error,
			       "nf_tables: the workers' user cannot be kept from this machine's own "
			       "services by the table %s: %s (the kernel needs CONFIG_NF_TABLES)",
			       table.text, strerror(-error))
		     : 0;
}

void egress_local_remove(const char *inside)
{
	struct table_name table = name_of(inside);
	struct nft nft;
	int error = nft_open(&nft);

	if (!error)
		error = rules_write(&nft, table.text, NULL, false);
	nft_close(&nft);
	/* Without nf_tables there is nothing. */
	if (error == -EPERM)
		log_warning("nf_tables: the table %s is not removed: it is somebody else's",
			table.text);
}
