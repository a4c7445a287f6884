/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nf_tables over netlink (linux/netfilter/nf_tables.h): a batch of messages is one transaction, of
 * which all is done or nothing. Rules are built expression by expression. */
#ifndef KERNEL_NFT_H
#define KERNEL_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netfilter/nf_tables.h>

struct mnl_nlmsg_batch;
struct mnl_socket;
struct nlattr;
struct nlmsghdr;

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 2
#endif

/* A socket to the kernel. Tables with NFT_TABLE_F_OWNER end with it. */
struct nft {
	struct mnl_socket *socket;
	uint32_t sequence; /* of the last message */
};

/* 0, or negative errno; close it in any case. */
int nft_open(struct nft *nft);
void nft_close(struct nft *nft);

/* The families that this kernel has, of NFPROTO_IPV4 and NFPROTO_IPV6. */
bool nft_family_there(int family);

/* One transaction under construction. What is put after `table` and `family` are set belongs to
 * them. */
struct nft_batch {
	struct nft *nft;
	const char *table;
	int family;
	char *memory;
	struct mnl_nlmsg_batch *batch;
	struct nlmsghdr *message;
	struct nlattr *expressions;
	uint32_t first; /* its first message's number */
	bool full;
};

/* 0, or -ENOMEM. What was started is ended. */
int nft_batch_start(struct nft_batch *batch, struct nft *nft);
/* 0, or the kernel's first negative errno, and nothing was changed; -EMSGSIZE: too much for one. */
int nft_batch_send(struct nft_batch *batch);
void nft_batch_end(struct nft_batch *batch);

/* Makes sure that there is no such table: to delete one that is not there would be an error. */
void nft_table_delete(struct nft_batch *batch);
void nft_table_add(struct nft_batch *batch, uint32_t flags);
/* A base chain of type filter. hook: enum nf_inet_hooks. */
void nft_chain_add(struct nft_batch *batch, const char *name, unsigned hook, int priority);
/* A chain that nothing goes through, unless a rule sends it there. */
void nft_chain_add_unhooked(struct nft_batch *batch, const char *name);
void nft_rule_start(struct nft_batch *batch, const char *chain);
void nft_rule_end(struct nft_batch *batch);

/* --- expressions: each appends one to the rule under construction --- */

struct nft_expression {
	struct nlattr *element, *data;
};

struct nft_expression nft_expression_start(struct nft_batch *batch, const char *name);
void nft_expression_end(struct nft_batch *batch, struct nft_expression expression);
/* An attribute of the expression, in network byte order. */
void nft_put_u32(struct nft_batch *batch, unsigned type, uint32_t value);

/* The rule is for packets of which this is equal (NFT_CMP_EQ), or is not (NFT_CMP_NEQ). */
void nft_match_meta(struct nft_batch *batch, unsigned key, unsigned operation, const void *value,
	size_t len);
void nft_match_protocol(struct nft_batch *batch, uint8_t protocol);
/* base: enum nft_payload_bases. */
void nft_match_payload(
	struct nft_batch *batch, unsigned base, unsigned offset, const void *value, size_t len);
/* Anything of which nothing is compared: key is put into NFT_REG_1. */
void nft_load_meta(struct nft_batch *batch, unsigned key);
/* offset 0: source port, 2: destination port. */
void nft_match_port(struct nft_batch *batch, unsigned offset, uint16_t port);
/* One byte of the transport's header, of which only the bits of mask are compared. */
void nft_match_transport_bits(
	struct nft_batch *batch, unsigned offset, uint8_t mask, uint8_t value);
/* verdict: NF_ACCEPT or NF_DROP. */
void nft_verdict(struct nft_batch *batch, int verdict);

#endif
