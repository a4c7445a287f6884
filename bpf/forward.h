/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forwarding in XDP, by the kernel's routes and neighbours, of what needs nothing else: whole
 * segments of connections that are open and not steered. Everything else goes to the stack. */
#ifndef BPF_FORWARD_H
#define BPF_FORWARD_H

#include "flow.h"

enum { FAMILY_INET = 2, FAMILY_INET6 = 10 };

/* RFC 1624: the header's checksum when the TTL, the high byte of its word, goes down by one. */
static __always_inline void ttl_decrement(struct wire_ipv4 *ip)
{
	__u32 checksum = ip->checksum;

	checksum += bpf_htons(0x0100);
	ip->checksum = (__u16)(checksum + (checksum >= 0xffff));
	ip->ttl--;
}

/* The route's answer in *route; false: none, or one that takes more than a header to change. */
static __always_inline bool forward_route(struct xdp_md *context, const struct frame *frame,
	const struct packet *packet, struct bpf_fib_lookup *route)
{
	route->l4_protocol = IP_TCP;
	route->sport = packet->source_port;
	route->dport = packet->destination_port;
	route->tot_len = (__u16)(frame->len - packet->l3);
	route->ifindex = context->ingress_ifindex;
	if (packet->ipv6) {
		route->family = FAMILY_INET6;
		__builtin_memcpy(route->ipv6_src, &packet->source, 16);
		__builtin_memcpy(route->ipv6_dst, &packet->destination, 16);
	} else {
		route->family = FAMILY_INET;
		__builtin_memcpy(&route->ipv4_src, packet->source.bytes + 12, 4);
		__builtin_memcpy(&route->ipv4_dst, packet->destination.bytes + 12, 4);
	}
	return bpf_fib_lookup(context, route, sizeof(*route), 0) == BPF_FIB_LKUP_RET_SUCCESS;
}

static __always_inline bool forward_rewrite(
	const struct frame *frame, const struct packet *packet, const struct bpf_fib_lookup *route)
{
	struct wire_ethernet *ethernet = (void *)frame->start;
	__u8 *at = (__u8 *)frame->start + sizeof(*ethernet);

	if (packet->ipv6) {
		struct wire_ipv6 *ip = (void *)at;

		if ((const __u8 *)(ip + 1) > frame->end || ip->hops <= 1)
			return false;
		ip->hops--;
	} else {
		struct wire_ipv4 *ip = (void *)at;

		if ((const __u8 *)(ip + 1) > frame->end || ip->ttl <= 1)
			return false;
		ttl_decrement(ip);
	}
	__builtin_memcpy(ethernet->destination, route->dmac, 6);
	__builtin_memcpy(ethernet->source, route->smac, 6);
	return true;
}

/* Plain headers alone: no tag, no IP options, no extension headers. */
static __always_inline bool forward_plain(const struct packet *packet)
{
	__u32 l3 = sizeof(struct wire_ethernet);

	return packet->kind == PACKET_TCP && packet->l3 == l3 &&
	       packet->l4 ==
		       l3 + (packet->ipv6 ? sizeof(struct wire_ipv6) : sizeof(struct wire_ipv4)) &&
	       !(packet->flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

/* The verdict of XDP. */
static __always_inline int forward(
	struct xdp_md *context, const struct frame *frame, const struct packet *packet)
{
	struct bpf_fib_lookup route = {};
	struct flow_key key = {};
	struct flow *flow;

	if (!forward_plain(packet))
		return XDP_PASS;
	flow_key_of(packet, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	/* The scout sits behind the stack. */
	if (!flow || flow->decision != FLOW_DIRECT || flow_state(flow->marks) != FLOW_OPEN ||
		flow_shows(flow, packet) || !forward_route(context, frame, packet, &route) ||
		!forward_rewrite(frame, packet, &route))
		return XDP_PASS;
	/* It does not come to steer. */
	flow_touch(flow);
	source_count(source_of(&packet->source), 1, frame->len);
	outcome_count(OUTCOME_FORWARDED);
	return (int)bpf_redirect(route.ifindex, 0);
}

#endif
