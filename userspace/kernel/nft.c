// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_MAX (256 * 1024)

int nft_open(struct nft *nft)
{
	*nft = (struct nft){.socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)};
	if (!nft->socket || mnl_socket_bind(nft->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

void nft_close(struct nft *nft)
{
	if (nft->socket)
		mnl_socket_close(nft->socket);
	nft->socket = NULL;
}

bool nft_family_there(int family)
{
	return family == NFPROTO_IPV4 || access("/proc/net/if_inet6", F_OK) == 0;
}

/* --- messages --- */

static void message_start(struct nft_batch *batch, unsigned type, unsigned flags, int family)
{
	struct nfgenmsg *header;

	batch->message = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(batch->batch));
	batch->message->nlmsg_type = (uint16_t)type;
	batch->message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	batch->message->nlmsg_seq = ++batch->nft->sequence;
	header = mnl_nlmsg_put_extra_header(batch->message, sizeof(*header));
	header->nfgen_family = (uint8_t)family;
	header->version = NFNETLINK_V0;
	header->res_id = htons(type <= NFNL_MSG_BATCH_END ? NFNL_SUBSYS_NFTABLES : 0);
}

static void message_end(struct nft_batch *batch)
{
	if (!mnl_nlmsg_batch_next(batch->batch))
		batch->full = true;
}

static unsigned table_type(unsigned type)
{
	return NFNL_SUBSYS_NFTABLES << 8 | type;
}

static struct nlattr *nest(struct nft_batch *batch, unsigned type)
{
	return mnl_attr_nest_start(batch->message, (uint16_t)type);
}

void nft_put_u32(struct nft_batch *batch, unsigned type, uint32_t value)
{
	mnl_attr_put_u32(batch->message, (uint16_t)type, htonl(value));
}

static void put_value(struct nft_batch *batch, unsigned type, const void *value, size_t len)
{
	struct nlattr *data = nest(batch, type);

	mnl_attr_put(batch->message, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(batch->message, data);
}

/* --- expressions --- */

struct nft_expression nft_expression_start(struct nft_batch *batch, const char *name)
{
	struct nft_expression expression = {.element = nest(batch, NFTA_LIST_ELEM)};

	mnl_attr_put_strz(batch->message, NFTA_EXPR_NAME, name);
	expression.data = nest(batch, NFTA_EXPR_DATA);
	return expression;
}

void nft_expression_end(struct nft_batch *batch, struct nft_expression expression)
{
	mnl_attr_nest_end(batch->message, expression.data);
	mnl_attr_nest_end(batch->message, expression.element);
}

static void compare(struct nft_batch *batch, unsigned operation, const void *value, size_t len)
{
	struct nft_expression expression = nft_expression_start(batch, "cmp");

	nft_put_u32(batch, NFTA_CMP_SREG, NFT_REG_1);
	nft_put_u32(batch, NFTA_CMP_OP, operation);
	put_value(batch, NFTA_CMP_DATA, value, len);
	nft_expression_end(batch, expression);
}

void nft_load_meta(struct nft_batch *batch, unsigned key)
{
	struct nft_expression expression = nft_expression_start(batch, "meta");

	nft_put_u32(batch, NFTA_META_DREG, NFT_REG_1);
	nft_put_u32(batch, NFTA_META_KEY, key);
	nft_expression_end(batch, expression);
}

void nft_match_meta(struct nft_batch *batch, unsigned key, unsigned operation, const void *value,
	size_t len)
{
	nft_load_meta(batch, key);
	compare(batch, operation, value, len);
}

void nft_match_protocol(struct nft_batch *batch, uint8_t protocol)
{
	nft_match_meta(batch, NFT_META_L4PROTO, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

static void load(struct nft_batch *batch, unsigned base, unsigned offset, size_t len)
{
	struct nft_expression expression = nft_expression_start(batch, "payload");

	nft_put_u32(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	nft_put_u32(batch, NFTA_PAYLOAD_BASE, base);
	nft_put_u32(batch, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_u32(batch, NFTA_PAYLOAD_LEN, (uint32_t)len);
	nft_expression_end(batch, expression);
}

void nft_match_payload(
	struct nft_batch *batch, unsigned base, unsigned offset, const void *value, size_t len)
{
	load(batch, base, offset, len);
	compare(batch, NFT_CMP_EQ, value, len);
}

void nft_match_port(struct nft_batch *batch, unsigned offset, uint16_t port)
{
	uint16_t value = htons(port);

	nft_match_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offset, &value, sizeof(value));
}

void nft_match_transport_bits(
	struct nft_batch *batch, unsigned offset, uint8_t mask, uint8_t value)
{
	static const uint8_t none;
	struct nft_expression expression;

	load(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof(value));
	expression = nft_expression_start(batch, "bitwise");
	nft_put_u32(batch, NFTA_BITWISE_SREG, NFT_REG_1);
	nft_put_u32(batch, NFTA_BITWISE_DREG, NFT_REG_1);
	nft_put_u32(batch, NFTA_BITWISE_LEN, sizeof(value));
	put_value(batch, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	put_value(batch, NFTA_BITWISE_XOR, &none, sizeof(none));
	nft_expression_end(batch, expression);
	compare(batch, NFT_CMP_EQ, &value, sizeof(value));
}

void nft_verdict(struct nft_batch *batch, int verdict)
{
	struct nft_expression expression = nft_expression_start(batch, "immediate");
	struct nlattr *data, *code;

	nft_put_u32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nest(batch, NFTA_IMMEDIATE_DATA);
	code = nest(batch, NFTA_DATA_VERDICT);
	nft_put_u32(batch, NFTA_VERDICT_CODE, (uint32_t)verdict);
	mnl_attr_nest_end(batch->message, code);
	mnl_attr_nest_end(batch->message, data);
	nft_expression_end(batch, expression);
}

/* --- tables --- */

void nft_table_delete(struct nft_batch *batch)
{
	message_start(batch, table_type(NFT_MSG_NEWTABLE), NLM_F_CREATE, batch->family);
	mnl_attr_put_strz(batch->message, NFTA_TABLE_NAME, batch->table);
	message_end(batch);
	message_start(batch, table_type(NFT_MSG_DELTABLE), 0, batch->family);
	mnl_attr_put_strz(batch->message, NFTA_TABLE_NAME, batch->table);
	message_end(batch);
}

void nft_table_add(struct nft_batch *batch, uint32_t flags)
{
	message_start(batch, table_type(NFT_MSG_NEWTABLE), NLM_F_CREATE, batch->family);
	mnl_attr_put_strz(batch->message, NFTA_TABLE_NAME, batch->table);
	if (flags)
		nft_put_u32(batch, NFTA_TABLE_FLAGS, flags);
	message_end(batch);
}

static void chain_start(struct nft_batch *batch, const char *name)
{
	message_start(batch, table_type(NFT_MSG_NEWCHAIN), NLM_F_CREATE, batch->family);
	mnl_attr_put_strz(batch->message, NFTA_CHAIN_TABLE, batch->table);
	mnl_attr_put_strz(batch->message, NFTA_CHAIN_NAME, name);
}

void nft_chain_add_unhooked(struct nft_batch *batch, const char *name)
{
	chain_start(batch, name);
	message_end(batch);
}

void nft_chain_add(struct nft_batch *batch, const char *name, unsigned hook, int priority)
{
	struct nlattr *where;

	chain_start(batch, name);
	where = nest(batch, NFTA_CHAIN_HOOK);
	nft_put_u32(batch, NFTA_HOOK_HOOKNUM, hook);
	nft_put_u32(batch, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	mnl_attr_nest_end(batch->message, where);
	mnl_attr_put_strz(batch->message, NFTA_CHAIN_TYPE, "filter");
	message_end(batch);
}

void nft_rule_start(struct nft_batch *batch, const char *chain)
{
	message_start(
		batch, table_type(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND, batch->family);
	mnl_attr_put_strz(batch->message, NFTA_RULE_TABLE, batch->table);
	mnl_attr_put_strz(batch->message, NFTA_RULE_CHAIN, chain);
	batch->expressions = nest(batch, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nft_batch *batch)
{
	mnl_attr_nest_end(batch->message, batch->expressions);
	message_end(batch);
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

int nft_batch_send(struct nft_batch *batch)
{
	struct mnl_socket *socket = batch->nft->socket;
	uint32_t last;

	/* Asked for by the last message of weight: what fails before it is told as well. */
	batch->message->nlmsg_flags |= NLM_F_ACK;
	last = batch->nft->sequence;
	message_start(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC);
	message_end(batch);
	if (batch->full)
		return -EMSGSIZE;
	if (mnl_socket_sendto(socket, mnl_nlmsg_batch_head(batch->batch),
		    mnl_nlmsg_batch_size(batch->batch)) < 0)
		return -errno;
	return batch_answer(socket, batch->first, last);
}

int nft_batch_start(struct nft_batch *batch, struct nft *nft)
{
	*batch = (struct nft_batch){.nft = nft, .first = nft->sequence + 1};
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

void nft_batch_end(struct nft_batch *batch)
{
	mnl_nlmsg_batch_stop(batch->batch);
	free(batch->memory);
}
