/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XDP on the inside interface: who sends how much, and what no honest sender makes is dropped. */
#include "abi.h"
#include "count.h"

SEC("xdp.frags")
int sally_account(struct xdp_md *context)
{
	struct frame frame = {
		.start = (const __u8 *)(long)context->data,
		.end = (const __u8 *)(long)context->data_end,
		.len = (__u32)bpf_xdp_get_buff_len(context),
	};
	struct packet packet = {};

	parse(&frame, &packet);
	return source_account(&packet, 1, frame.len) == DROP_NONE ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
