// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/queue_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "bpf/abi.h"
#include "kernel/nft.h"

#define QUEUES_MAX 64
#define PRIORITY   (-150) /* as mangle: behind connection tracking, before filters */

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PORT_DNS = 53 };

/* By what the kernel is built with. */
struct means {
	bool target; /* packets get into a queue by iptables' NFQUEUE, not by nf_tables' own */
	bool tracks; /* fragments are put together by the tracking of connections */
};

/* The first that works is taken. */
static const struct means all_means[] = {{false, false}, {false, true}, {true, false}, {true, true}};

struct queue_rules {
	struct nft nft; /* may own the tables: then they end with it */
	char table[32];
	char inside[IF_NAMESIZE];
	uint16_t queue_base;
	struct means means;
};

/* One transaction under construction. */
struct batch {
	struct nft_batch nft;
	struct queue_rules *rules;
	const struct config *config;
};

unsigned queue_rules_queues(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > QUEUES_MAX ? QUEUES_MAX : (unsigned)cpus;
}

bool queue_rules_pass(const struct config *config, enum queue_rules_kind kind)
{
	if (config->datapath.fail == CONFIG_FAIL_OPEN)
		return true;
	return kind == QUEUE_RULES_DNS && (config->endpoints.learn & CONFIG_LEARN_SNI);
}

/* --- expressions --- */

/* Not of those that steer says are not for the scout. */
static void match_seen(struct batch *batch)
{
	const uint32_t unseen = MARK_UNSEEN(batch->config->datapath.mark);

	nft_match_meta(&batch->nft, NFT_META_MARK, NFT_CMP_NEQ, &unseen, sizeof(unseen));
}

static void match_interface(struct batch *batch, unsigned key)
{
	const struct queue_rules *rules = batch->rules;

	nft_match_meta(&batch->nft, key, NFT_CMP_EQ, rules->inside, sizeof(rules->inside));
}

/* Makes sure that fragments are put together before they are looked at, whatever other rules there
 * are: the kernel does so where a rule may redirect packets to a socket, which this one, that no
 * packet ever comes to, never does; and where connections are tracked, which would cost each packet
 * of every connection, and fill a table. */
static void defragment(struct batch *batch)
{
	bool tracks = batch->rules->means.tracks;
	struct nft_expression expression;

	nft_chain_add_unhooked(&batch->nft, "defragment");
	nft_rule_start(&batch->nft, "defragment");
	if (!tracks)
		nft_load_meta(&batch->nft, NFT_META_MARK);
	expression = nft_expression_start(&batch->nft, tracks ? "ct" : "tproxy");
	if (tracks) {
		nft_put_u32(&batch->nft, NFTA_CT_DREG, NFT_REG_1);
		nft_put_u32(&batch->nft, NFTA_CT_KEY, NFT_CT_STATE);
	} else {
		nft_put_u32(&batch->nft, NFTA_TPROXY_FAMILY, (uint32_t)batch->nft.family);
		nft_put_u32(&batch->nft, NFTA_TPROXY_REG_PORT, NFT_REG_1);
	}
	nft_expression_end(&batch->nft, expression);
	nft_rule_end(&batch->nft);
}

static void queue(struct batch *batch, enum queue_rules_kind kind)
{
	uint16_t total = (uint16_t)queue_rules_queues();
	uint16_t first = (uint16_t)(batch->rules->queue_base + kind * total);
	bool pass = queue_rules_pass(batch->config, kind);
	struct nft_expression expression;

	if (batch->rules->means.target) {
		/* xtables wants its data padded. */
		union {
			struct xt_NFQ_info_v3 info;
			uint64_t align;
		} data = {
			.info = {first, total, NFQ_FLAG_CPU_FANOUT | (pass ? NFQ_FLAG_BYPASS : 0)}};

		expression = nft_expression_start(&batch->nft, "target");
		mnl_attr_put_strz(batch->nft.message, NFTA_TARGET_NAME, "NFQUEUE");
		nft_put_u32(&batch->nft, NFTA_TARGET_REV, 3);
		mnl_attr_put(batch->nft.message, NFTA_TARGET_INFO, sizeof(data), &data);
	} else {
		expression = nft_expression_start(&batch->nft, "queue");
		mnl_attr_put_u16(batch->nft.message, NFTA_QUEUE_NUM, htons(first));
		mnl_attr_put_u16(batch->nft.message, NFTA_QUEUE_TOTAL, htons(total));
		mnl_attr_put_u16(batch->nft.message, NFTA_QUEUE_FLAGS,
			htons((uint16_t)(NFT_QUEUE_FLAG_CPU_FANOUT |
					 (pass ? NFT_QUEUE_FLAG_BYPASS : 0))));
	}
	nft_expression_end(&batch->nft, expression);
}

/* --- rules --- */

static void rule_end(struct batch *batch, enum queue_rules_kind kind)
{
	queue(batch, kind);
	nft_rule_end(&batch->nft);
}

static void put_dns(struct batch *batch, const char *chain)
{
	static const uint8_t protocols[] = {PROTOCOL_UDP, PROTOCOL_TCP};

	for (size_t i = 0; i < sizeof(protocols); i++) {
		nft_rule_start(&batch->nft, chain);
		match_interface(batch, NFT_META_OIFNAME);
		nft_match_protocol(&batch->nft, protocols[i]);
		nft_match_port(&batch->nft, 0, PORT_DNS);
		rule_end(batch, QUEUE_RULES_DNS);
	}
}

static void put_first(struct batch *batch, uint8_t protocol, uint16_t port)
{
	nft_rule_start(&batch->nft, "forward");
	match_interface(batch, NFT_META_IIFNAME);
	match_seen(batch);
	nft_match_protocol(&batch->nft, protocol);
	nft_match_port(&batch->nft, 2, port);
	rule_end(batch, QUEUE_RULES_FIRST);
}

uint32_t queue_rules_shown(const struct config *config)
{
	const struct config_endpoints *endpoints = &config->endpoints;
	bool refused = endpoints->encrypted_dns != CONFIG_POLICY_PASS;
	uint32_t shown = SHOWN_UDP;

	if (endpoints->learn == CONFIG_LEARN_OFF)
		return 0;
	if (endpoints->learn & CONFIG_LEARN_SNI)
		shown |= SHOWN_TCP;
	if (refused || (endpoints->learn & CONFIG_LEARN_SNI))
		shown |= SHOWN_DNS;
	return shown | (refused ? SHOWN_DNS_ALL : 0);
}

static void put_family(struct batch *batch)
{
	const struct config_endpoints *config = &batch->config->endpoints;
	uint32_t shown = queue_rules_shown(batch->config);

	nft_table_add(&batch->nft,
		batch->config->datapath.fail == CONFIG_FAIL_OPEN ? NFT_TABLE_F_OWNER : 0);
	defragment(batch);
	nft_chain_add(&batch->nft, "forward", NF_INET_FORWARD, PRIORITY);
	if (config->learn & CONFIG_LEARN_DNS) {
		nft_chain_add(&batch->nft, "output", NF_INET_LOCAL_OUT, PRIORITY);
		put_dns(batch, "forward");
		put_dns(batch, "output");
	}
	for (size_t i = 0; i < config->nports; i++) {
		put_first(batch, PROTOCOL_UDP, config->ports[i]);
		if (shown & SHOWN_TCP)
			put_first(batch, PROTOCOL_TCP, config->ports[i]);
	}
	if (shown & SHOWN_DNS) {
		put_first(batch, PROTOCOL_UDP, PORT_ENCRYPTED_DNS);
		put_first(batch, PROTOCOL_TCP, PORT_ENCRYPTED_DNS);
	}
}

/* --- transactions --- */

/* Replaces, in one transaction, whatever rules of ours there are, also those of an earlier life.
 * config NULL: with none. */
static int rules_write(struct queue_rules *rules, const struct config *config)
{
	static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	struct batch batch = {.rules = rules, .config = config};
	int error = nft_batch_start(&batch.nft, &rules->nft);

	if (error)
		return error;
	batch.nft.table = rules->table;
	for (int i = 0; i < 2; i++) {
		batch.nft.family = families[i];
		if (!nft_family_there(families[i]))
			continue;
		nft_table_delete(&batch.nft);
		if (config)
			put_family(&batch);
	}
	error = nft_batch_send(&batch.nft);
	nft_batch_end(&batch.nft);
	return error;
}

static int rules_explain(const struct queue_rules *rules, int error, struct why *why)
{
	switch (error) {
	case -EPERM:
	case -EEXIST:
		return why_set(why, -error,
			"nf_tables: the table %s is somebody else's (nft list tables)",
			rules->table);
	case -EMSGSIZE:
		return why_set(why, -error,
			"nf_tables: endpoints.ports are too many for "
			"endpoints.learn: sni");
	default:
		return why_set(why, -error,
			"nf_tables: packets cannot be queued for endpoints.learn: %s (the kernel "
			"needs CONFIG_NF_TABLES, CONFIG_NFT_TPROXY or CONFIG_NFT_CT, and "
			"CONFIG_NFT_QUEUE, or for the last CONFIG_NFT_COMPAT and "
			"CONFIG_NETFILTER_XT_TARGET_NFQUEUE; or set "
			"endpoints.learn: off)",
			strerror(-error));
	}
}

static void rules_free(struct queue_rules *rules)
{
	nft_close(&rules->nft);
	free(rules);
}

static int rules_open(const struct config *config, struct queue_rules **opened, struct why *why)
{
	struct queue_rules *rules = calloc(1, sizeof(*rules));
	int error;

	if (!rules)
		return why_set(why, ENOMEM, "nf_tables: no memory");
	rules->queue_base = config->datapath.queue_base;
	snprintf(rules->inside, sizeof(rules->inside), "%s", config->datapath.inside);
	snprintf(rules->table, sizeof(rules->table), "sallyport_%s", rules->inside);
	error = nft_open(&rules->nft);
	if (error) {
		rules_free(rules);
		return why_set(why, -error, "nf_tables: netlink: %s", strerror(-error));
	}
	*opened = rules;
	return 0;
}

/* What an earlier life may have left. Without nf_tables there is nothing. */
static void leftover_remove(const struct config *config)
{
	struct queue_rules *rules = NULL;
	struct why why = {""};

	if (rules_open(config, &rules, &why))
		return;
	if (rules_write(rules, NULL) == -EPERM)
		log_warning(
			"nf_tables: the table %s is somebody else's (nft list tables): it stays",
			rules->table);
	rules_free(rules);
}

int queue_rules_add(const struct config *config, struct queue_rules **added, struct why *why)
{
	struct queue_rules *rules = NULL;
	int error;

	*added = NULL;
	if (config->endpoints.learn == CONFIG_LEARN_OFF) {
		leftover_remove(config);
		return 0;
	}
	error = rules_open(config, &rules, why);
	if (error)
		return error;
	error = -ENOENT;
	for (size_t i = 0; i < sizeof(all_means) / sizeof(all_means[0]) &&
			   (error == -ENOENT || error == -EOPNOTSUPP);
		i++) {
		rules->means = all_means[i];
		error = rules_write(rules, config);
	}
	if (error) {
		rules_explain(rules, error, why);
		rules_free(rules);
		return error;
	}
	*added = rules;
	return 0;
}

int queue_rules_change(struct queue_rules **rules, const struct config *config, struct why *why)
{
	int error;

	if (!*rules)
		return queue_rules_add(config, rules, why);
	if (config->endpoints.learn == CONFIG_LEARN_OFF) {
		queue_rules_remove(*rules);
		*rules = NULL;
		return 0;
	}
	error = rules_write(*rules, config);
	return error ? rules_explain(*rules, error, why) : 0;
}

void queue_rules_remove(struct queue_rules *rules)
{
	int error;

	if (!rules)
		return;
	error = rules_write(rules, NULL);
	if (error)
		log_warning("nf_tables: the table %s is not removed: %s", rules->table,
			strerror(-error));
	rules_free(rules);
}
