/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TC egress on the inside interface: what goes to the sources is counted, and the servers' half of
 * their connections is followed. Nothing is changed or dropped. */
#include "abi.h"
#include "flow.h"
#include "frame.h"

static __always_inline void reply_follow(
	const struct packet *packet, struct source_counters *counters, bool beyond)
{
	struct flow_key key = {};
	struct flow *flow;
	__u32 marks = FLOW_SAW_REPLY;

	flow_key_of_reply(packet, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow)
		return;
	if (packet->flags & TCP_RST)
		marks |= FLOW_SAW_RESET;
	else if (packet->flags & TCP_FIN)
		marks |= FLOW_SAW_SERVER_FIN;
	/* Its word counts only where it came from beyond the gate: no source speaks for a server.
	 */
	if (beyond && flow_settles(flow, packet))
		marks |= FLOW_SETTLED;
	flow_touch(flow);
	flow_mark(flow, marks, &key.client, counters);
}

SEC("tc")
int sally_reply(struct __sk_buff *skb)
{
	struct source_counters *counters;
	struct packet packet = {};
	struct wire_size size;

	frame_pull(skb);
	frame_parse(skb, &packet);
	if (packet.kind == PACKET_NOT_IP || packet.kind == PACKET_MALFORMED)
		return TC_ACT_UNSPEC_;
	/* Who never sent anything is no source. */
	counters = bpf_map_lookup_elem(&sources, &packet.destination);
	if (counters) {
		size = skb_wire_size(skb, &packet);
		counters->packets_to += size.packets;
		counters->bytes_to += size.bytes;
	}
	if (packet.kind == PACKET_TCP && !skb_tagged(skb, &packet))
		reply_follow(&packet, counters, skb->ingress_ifindex != skb->ifindex);
	return TC_ACT_UNSPEC_;
}

char LICENSE[] SEC("license") = "GPL";
