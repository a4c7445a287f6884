// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/redirect.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Where the next header stands in a frame (RFC 8200 section 3). */
#define IPV6_NEXT_HEADER (ETH_HLEN + 6)

/*
 *	if (skb->protocol == IPv4)
 *		return bpf_redirect(to, BPF_F_INGRESS);
 *	if (skb->protocol == IPv6 && frame[IPV6_NEXT_HEADER] == TCP)
 *		return bpf_redirect(to, BPF_F_INGRESS);
 *	return TC_ACT_OK;
 *
 * Neighbour discovery stays where it is. */
static int program_load(int to)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X,
			.dst_reg = BPF_REG_6,
			.src_reg = BPF_REG_1},
		{.code = BPF_LDX | BPF_MEM | BPF_W,
			.dst_reg = BPF_REG_2,
			.src_reg = BPF_REG_6,
			.off = offsetof(struct __sk_buff, protocol)},
		{.code = BPF_JMP | BPF_JEQ | BPF_K,
			.dst_reg = BPF_REG_2,
			.off = 6,
			.imm = htons(ETH_P_IP)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_OK},
		{.code = BPF_JMP | BPF_JNE | BPF_K,
			.dst_reg = BPF_REG_2,
			.off = 7,
			.imm = htons(ETH_P_IPV6)},
		{.code = BPF_LD | BPF_ABS | BPF_B, .imm = IPV6_NEXT_HEADER},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X,
			.dst_reg = BPF_REG_7,
			.src_reg = BPF_REG_0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_OK},
		{.code = BPF_JMP | BPF_JNE | BPF_K,
			.dst_reg = BPF_REG_7,
			.off = 3,
			.imm = IPPROTO_TCP},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = to},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = BPF_F_INGRESS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sp_redirect", "GPL", code,
		sizeof(code) / sizeof(code[0]), NULL);
}

int redirect_ingress(int from, int to, struct why *why)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = from, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options);
	int program = program_load(to), error;

	if (program < 0)
		return why_set(why, -program, "the program that redirects cannot be loaded: %s",
			strerror(-program));
	error = bpf_tc_hook_create(&hook);
	options.prog_fd = program;
	if (!error || error == -EEXIST)
		error = bpf_tc_attach(&hook, &options);
	close(program);
	if (error)
		return why_set(why, -error, "the program that redirects cannot be attached: %s",
			strerror(-error));
	return 0;
}
