/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XDP on the inside interface: what no honest sender makes and what admission refuses goes no
 * further. What it lets through is counted behind it, by steer. */
#include "abi.h"
#include "admission.h"
#include "count.h"
#include "forward.h"

const volatile bool admit_forwards = false; /* datapath.forward: xdp */

static __always_inline void frame_read(struct xdp_md *context, struct frame *frame)
{
	frame->start = (const __u8 *)(long)context->data;
	frame->end = (const __u8 *)(long)context->data_end;
	frame->len = (__u32)bpf_xdp_get_buff_len(context);
}

/* The two stages of parse(). Not inlined, see lookup.h. */
__noinline int frame_parse_network(struct xdp_md *context, struct packet *packet)
{
	struct frame frame;

	if (!packet)
		return -1;
	frame_read(context, &frame);
	parse_network(&frame, packet);
	return 0;
}

__noinline int frame_parse_transport(struct xdp_md *context, struct packet *packet)
{
	struct frame frame;

	if (!packet)
		return -1;
	frame_read(context, &frame);
	parse_transport(&frame, packet);
	return 0;
}

/* *packet must be zeroed. */
static __always_inline void frame_parse(struct xdp_md *context, struct packet *packet)
{
	frame_parse_network(context, packet);
	if (packet->kind == PACKET_TRANSPORT)
		frame_parse_transport(context, packet);
}

SEC("xdp.frags")
int sally_admit(struct xdp_md *context)
{
	const struct settings *current = settings_now();
	struct source_counters *counters;
	struct packet packet = {};
	struct frame frame;
	enum drop drop;

	frame_parse(context, &packet);
	if (packet.kind == PACKET_NOT_IP || !current || current->xdp == XDP_MODE_OFF ||
		(current->xdp == XDP_MODE_GENERIC && packet_mergeable(&packet)))
		return XDP_PASS;
	drop = admit(&packet, current);
	frame_read(context, &frame);
	if (drop == DROP_NONE)
		return admit_forwards ? forward(context, &frame, &packet) : XDP_PASS;
	counters = source_of(&packet.source);
	source_count(counters, 1, frame.len);
	source_drop(counters, drop);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
