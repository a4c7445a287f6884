// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/queue_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "bpf/abi.h"

#define BATCH_MAX  (256 * 1024)
#define QUEUES_MAX 64
#define PRIORITY   (-150) /* as mangle: behind connection tracking, before filters */

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PORT_DNS = 53 };
#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 2
#endif

/* How a packet gets into a queue, by what the kernel is built with. */
enum means {
	MEANS_QUEUE /* nf_tables' own */,
	MEANS_TARGET /* iptables' NFQUEUE, used from there */
};

struct queue_rules {
	struct mnl_socket *socket; /* may own the tables: then they end with it */
	char table[32];
	char inside[IF_NAMESIZE];
	uint16_t queue_base;
	enum means means;
	uint32_t sequence; /* of the last message */
};

/* One transaction under construction. */
struct batch {
	struct queue_rules *rules;
	const struct config *config;
	char *memory;
	struct mnl_nlmsg_batch *batch;
	struct nlmsghdr *message;
	struct nlattr *expressions;
	uint32_t first; /* its first message's number */
	bool full;
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

/* --- messages --- */

static void message_start(struct batch *batch, unsigned type, unsigned flags, int family)
{
	struct nfgenmsg *header;

	batch->message = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(batch->batch));
	batch->message->nlmsg_type = (uint16_t)type;
	batch->message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	batch->message->nlmsg_seq = ++batch->rules->sequence;
	header = mnl_nlmsg_put_extra_header(batch->message, sizeof(*header));
	header->nfgen_family = (uint8_t)family;
	header->version = NFNETLINK_V0;
	header->res_id = htons(type <= NFNL_MSG_BATCH_END ? NFNL_SUBSYS_NFTABLES : 0);
}

static void message_end(struct batch *batch)
{
	if (!mnl_nlmsg_batch_next(batch->batch))
		batch->full = true;
}

static unsigned table_type(unsigned type)
{
	return NFNL_SUBSYS_NFTABLES << 8 | type;
}

static void put_u32(struct batch *batch, unsigned type, uint32_t value)
{
	mnl_attr_put_u32(batch->message, (uint16_t)type, htonl(value));
}

static struct nlattr *nest(struct batch *batch, unsigned type)
{
	return mnl_attr_nest_start(batch->message, (uint16_t)type);
}

/* --- expressions (nf_tables.h): each appends one to the rule under construction --- */

struct expression {
	struct nlattr *element, *data;
};

static struct expression expression_start(struct batch *batch, const char *name)
{
	struct expression expression = {.element = nest(batch, NFTA_LIST_ELEM)};

	mnl_attr_put_strz(batch->message, NFTA_EXPR_NAME, name);
	expression.data = nest(batch, NFTA_EXPR_DATA);
	return expression;
}

static void expression_end(struct batch *batch, struct expression expression)
{
	mnl_attr_nest_end(batch->message, expression.data);
	mnl_attr_nest_end(batch->message, expression.element);
}

static void compare(struct batch *batch, unsigned operation, const void *value, size_t len)
{
	struct expression expression = expression_start(batch, "cmp");
	struct nlattr *data;

	put_u32(batch, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(batch, NFTA_CMP_OP, operation);
	data = nest(batch, NFTA_CMP_DATA);
	mnl_attr_put(batch->message, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(batch->message, data);
	expression_end(batch, expression);
}

static void match_meta(struct batch *batch, unsigned key, const void *value, size_t len)
{
	struct expression expression = expression_start(batch, "meta");

	put_u32(batch, NFTA_META_DREG, NFT_REG_1);
	put_u32(batch, NFTA_META_KEY, key);
	expression_end(batch, expression);
	compare(batch, NFT_CMP_EQ, value, len);
}

/* Not of those that steer says are not for the scout. */
static void match_seen(struct batch *batch)
{
	struct expression expression = expression_start(batch, "meta");
	const uint32_t unseen = MARK_UNSEEN(batch->config->datapath.mark);

	put_u32(batch, NFTA_META_DREG, NFT_REG_1);
	put_u32(batch, NFTA_META_KEY, NFT_META_MARK);
	expression_end(batch, expression);
	compare(batch, NFT_CMP_NEQ, &unseen, sizeof(unseen));
}

static void match_interface(struct batch *batch, unsigned key)
{
	match_meta(batch, key, batch->rules->inside, sizeof(batch->rules->inside));
}

static void match_protocol(struct batch *batch, uint8_t protocol)
{
	match_meta(batch, NFT_META_L4PROTO, &protocol, sizeof(protocol));
}

/* offset 0: source port, 2: destination port. */
static void match_port(struct batch *batch, unsigned offset, uint16_t port)
{
	struct expression expression = expression_start(batch, "payload");
	uint16_t value = htons(port);

	put_u32(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(batch, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_u32(batch, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(batch, NFTA_PAYLOAD_LEN, sizeof(value));
	expression_end(batch, expression);
	compare(batch, NFT_CMP_EQ, &value, sizeof(value));
}

/* Makes sure that fragments are put together before they are looked at, whatever other rules there
 * are: the kernel does so where connections are tracked. Nothing goes by what it tracks, which is
 * nothing where the answers take another way. */
static void track(struct batch *batch)
{
	struct expression expression = expression_start(batch, "ct");

	put_u32(batch, NFTA_CT_DREG, NFT_REG_1);
	put_u32(batch, NFTA_CT_KEY, NFT_CT_STATE);
	expression_end(batch, expression);
}

static void queue(struct batch *batch, enum queue_rules_kind kind)
{
	uint16_t total = (uint16_t)queue_rules_queues();
	uint16_t first = (uint16_t)(batch->rules->queue_base + kind * total);
	bool pass = queue_rules_pass(batch->config, kind);
	struct expression expression;

	if (batch->rules->means == MEANS_TARGET) {
		/* xtables wants its data padded. */
		union {
			struct xt_NFQ_info_v3 info;
			uint64_t align;
		} data = {
			.info = {first, total, NFQ_FLAG_CPU_FANOUT | (pass ? NFQ_FLAG_BYPASS : 0)}};

		expression = expression_start(batch, "target");
		mnl_attr_put_strz(batch->message, NFTA_TARGET_NAME, "NFQUEUE");
		put_u32(batch, NFTA_TARGET_REV, 3);
		mnl_attr_put(batch->message, NFTA_TARGET_INFO, sizeof(data), &data);
	} else {
		expression = expression_start(batch, "queue");
		mnl_attr_put_u16(batch->message, NFTA_QUEUE_NUM, htons(first));
		mnl_attr_put_u16(batch->message, NFTA_QUEUE_TOTAL, htons(total));
		mnl_attr_put_u16(batch->message, NFTA_QUEUE_FLAGS,
			htons((uint16_t)(NFT_QUEUE_FLAG_CPU_FANOUT |
					 (pass ? NFT_QUEUE_FLAG_BYPASS : 0))));
	}
	expression_end(batch, expression);
}

/* --- tables --- */

/* Makes sure that there is none: to delete one that is not there would be an error. */
static void put_delete(struct batch *batch, int family)
{
	message_start(batch, table_type(NFT_MSG_NEWTABLE), NLM_F_CREATE, family);
	mnl_attr_put_strz(batch->message, NFTA_TABLE_NAME, batch->rules->table);
	message_end(batch);
	message_start(batch, table_type(NFT_MSG_DELTABLE), 0, family);
	mnl_attr_put_strz(batch->message, NFTA_TABLE_NAME, batch->rules->table);
	message_end(batch);
}

static void put_table(struct batch *batch, int family)
{
	message_start(batch, table_type(NFT_MSG_NEWTABLE), NLM_F_CREATE, family);
	mnl_attr_put_strz(batch->message, NFTA_TABLE_NAME, batch->rules->table);
	if (batch->config->datapath.fail == CONFIG_FAIL_OPEN)
		put_u32(batch, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	message_end(batch);
}

static void put_chain(struct batch *batch, int family, const char *name, unsigned hook)
{
	struct nlattr *where;

	message_start(batch, table_type(NFT_MSG_NEWCHAIN), NLM_F_CREATE, family);
	mnl_attr_put_strz(batch->message, NFTA_CHAIN_TABLE, batch->rules->table);
	mnl_attr_put_strz(batch->message, NFTA_CHAIN_NAME, name);
	where = nest(batch, NFTA_CHAIN_HOOK);
	put_u32(batch, NFTA_HOOK_HOOKNUM, hook);
	put_u32(batch, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	mnl_attr_nest_end(batch->message, where);
	mnl_attr_put_strz(batch->message, NFTA_CHAIN_TYPE, "filter");
	message_end(batch);
}

static void rule_start(struct batch *batch, int family, const char *chain)
{
	message_start(batch, table_type(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND, family);
	mnl_attr_put_strz(batch->message, NFTA_RULE_TABLE, batch->rules->table);
	mnl_attr_put_strz(batch->message, NFTA_RULE_CHAIN, chain);
	batch->expressions = nest(batch, NFTA_RULE_EXPRESSIONS);
}

static void rule_end(struct batch *batch, enum queue_rules_kind kind)
{
	queue(batch, kind);
	mnl_attr_nest_end(batch->message, batch->expressions);
	message_end(batch);
}

static void put_dns(struct batch *batch, int family, const char *chain)
{
	static const uint8_t protocols[] = {PROTOCOL_UDP, PROTOCOL_TCP};

	for (size_t i = 0; i < sizeof(protocols); i++) {
		rule_start(batch, family, chain);
		match_interface(batch, NFT_META_OIFNAME);
		match_protocol(batch, protocols[i]);
		match_port(batch, 0, PORT_DNS);
		track(batch);
		rule_end(batch, QUEUE_RULES_DNS);
	}
}

static void put_first(struct batch *batch, int family, uint8_t protocol, uint16_t port)
{
	rule_start(batch, family, "forward");
	match_interface(batch, NFT_META_IIFNAME);
	match_seen(batch);
	match_protocol(batch, protocol);
	match_port(batch, 2, port);
	track(batch);
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

static void put_family(struct batch *batch, int family)
{
	const struct config_endpoints *config = &batch->config->endpoints;
	uint32_t shown = queue_rules_shown(batch->config);

	put_table(batch, family);
	put_chain(batch, family, "forward", NF_INET_FORWARD);
	if (config->learn & CONFIG_LEARN_DNS) {
		put_chain(batch, family, "output", NF_INET_LOCAL_OUT);
		put_dns(batch, family, "forward");
		put_dns(batch, family, "output");
	}
	for (size_t i = 0; i < config->nports; i++) {
		put_first(batch, family, PROTOCOL_UDP, config->ports[i]);
		if (shown & SHOWN_TCP)
			put_first(batch, family, PROTOCOL_TCP, config->ports[i]);
	}
	if (shown & SHOWN_DNS) {
		put_first(batch, family, PROTOCOL_UDP, PORT_ENCRYPTED_DNS);
		put_first(batch, family, PROTOCOL_TCP, PORT_ENCRYPTED_DNS);
	}
}

/* --- transactions --- */

/* The first error among the answers to a transaction; the kernel then changed nothing. */
static int batch_answer(struct mnl_socket *socket, uint32_t first, uint32_t last)
{
	char answer[8192];
	int error = 0;

	for (;;) {
		ssize_t got = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		const struct nlmsghdr *header = (const void *)answer;
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			const struct nlmsgerr *result = mnl_nlmsg_get_payload(header);

			/* An older transaction may have left something. */
			if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq < first)
				continue;
			if (result->error && !error)
				error = result->error;
			/* The end of a batch is not answered; an error of the batch as a whole
			 * carries the number of its beginning. */
			if (header->nlmsg_seq >= last ||
				(result->error && header->nlmsg_seq == first))
				return error;
		}
	}
}

static int batch_send(struct batch *batch)
{
	struct mnl_socket *socket = batch->rules->socket;
	uint32_t last;

	/* Asked for by the last message of weight: what fails before it is told as well. */
	batch->message->nlmsg_flags |= NLM_F_ACK;
	last = batch->rules->sequence;
	message_start(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC);
	message_end(batch);
	if (batch->full)
		return -EMSGSIZE;
	if (mnl_socket_sendto(socket, mnl_nlmsg_batch_head(batch->batch),
		    mnl_nlmsg_batch_size(batch->batch)) < 0)
		return -errno;
	return batch_answer(socket, batch->first, last);
}

static int batch_start(struct batch *batch, struct queue_rules *rules)
{
	*batch = (struct batch){.rules = rules, .first = rules->sequence + 1};
	/* libmnl lets the last message that does not fit run over the limit. */
	batch->memory = malloc(2 * BATCH_MAX);
	batch->batch = batch->memory ? mnl_nlmsg_batch_start(batch->memory, BATCH_MAX) : NULL;
	if (!batch->batch) {
		free(batch->memory);
		return -ENOMEM;
	}
	message_start(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC);
	message_end(batch);
	return 0;
}

static void batch_end(struct batch *batch)
{
	mnl_nlmsg_batch_stop(batch->batch);
	free(batch->memory);
}

static bool family_there(int family)
{
	return family == NFPROTO_IPV4 || access("/proc/net/if_inet6", F_OK) == 0;
}

/* Replaces, in one transaction, whatever rules of ours there are, also those of an earlier life.
 * config NULL: with none. */
static int rules_write(struct queue_rules *rules, const struct config *config)
{
	static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	struct batch batch;
	int error = batch_start(&batch, rules);

	if (error)
		return error;
	batch.config = config;
	for (int i = 0; i < 2; i++) {
		if (!family_there(families[i]))
			continue;
		put_delete(&batch, families[i]);
		if (config)
			put_family(&batch, families[i]);
	}
	error = batch_send(&batch);
	batch_end(&batch);
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
			"needs CONFIG_NF_TABLES, CONFIG_NFT_CT and CONFIG_NFT_QUEUE, or for the "
			"last CONFIG_NFT_COMPAT and CONFIG_NETFILTER_XT_TARGET_NFQUEUE; or set "
			"endpoints.learn: off)",
			strerror(-error));
	}
}

static int rules_open(const struct config *config, struct queue_rules **opened, struct why *why)
{
	struct queue_rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		return why_set(why, ENOMEM, "nf_tables: no memory");
	rules->queue_base = config->datapath.queue_base;
	snprintf(rules->inside, sizeof(rules->inside), "%s", config->datapath.inside);
	snprintf(rules->table, sizeof(rules->table), "sallyport_%s", rules->inside);
	rules->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!rules->socket || mnl_socket_bind(rules->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int error = errno;

		if (rules->socket)
			mnl_socket_close(rules->socket);
		free(rules);
		return why_set(why, error, "nf_tables: netlink: %s", strerror(error));
	}
	*opened = rules;
	return 0;
}

static void rules_free(struct queue_rules *rules)
{
	mnl_socket_close(rules->socket);
	free(rules);
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
	error = rules_write(rules, config);
	if (error == -ENOENT || error == -EOPNOTSUPP) {
		rules->means = MEANS_TARGET;
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
