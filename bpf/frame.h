/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frame of an skb, from its Ethernet header on. */
#ifndef BPF_FRAME_H
#define BPF_FRAME_H

#include "parse.h"

#include <bpf/bpf_helpers.h>

/* As in linux/pkt_cls.h; UNSPEC goes on to the filters of others. */
enum { TC_ACT_UNSPEC_ = -1, TC_ACT_SHOT_ = 2 };
/* Ethernet, a tag, IPv6 with some options, TCP with all options. */
enum { HEADERS_WANTED = 192 };

static __always_inline void frame_read(struct __sk_buff *skb, struct frame *frame)
{
	frame->start = (const __u8 *)(long)skb->data;
	frame->end = (const __u8 *)(long)skb->data_end;
	frame->len = skb->len;
}

/* Brings its headers within reach. */
static __always_inline void frame_pull(struct __sk_buff *skb)
{
	if (skb->data_end - skb->data < HEADERS_WANTED && skb->data_end - skb->data < skb->len)
		bpf_skb_pull_data(skb, skb->len < HEADERS_WANTED ? skb->len : HEADERS_WANTED);
}

/* The two stages of parse(). Not inlined, see lookup.h. */
__noinline int frame_parse_network(struct __sk_buff *skb, struct packet *packet)
{
	struct frame frame;

	if (!packet)
		return -1;
	frame_read(skb, &frame);
	parse_network(&frame, packet);
	return 0;
}

__noinline int frame_parse_bare(struct __sk_buff *skb, struct packet *packet)
{
	struct frame frame;

	if (!packet)
		return -1;
	frame_read(skb, &frame);
	parse_network_bare(&frame, (__u16)skb->protocol, packet);
	return 0;
}

__noinline int frame_parse_transport(struct __sk_buff *skb, struct packet *packet)
{
	struct frame frame;

	if (!packet)
		return -1;
	frame_read(skb, &frame);
	parse_transport(&frame, packet);
	return 0;
}

/* *packet must be zeroed. */
static __always_inline void frame_parse(struct __sk_buff *skb, struct packet *packet)
{
	frame_parse_network(skb, packet);
	if (packet->kind == PACKET_TRANSPORT)
		frame_parse_transport(skb, packet);
}

/* Whether it belongs to another interface by its VLAN number; the device may have taken the tag out
 * of the frame. */
static __always_inline bool skb_tagged(const struct __sk_buff *skb, const struct packet *packet)
{
	return packet->vlan || (skb->vlan_present && (skb->vlan_tci & 0x0fff));
}

/* Whether skb->data is at the Ethernet header, as it should be here. */
static __always_inline bool frame_has_ethernet(struct __sk_buff *skb)
{
	const struct wire_ethernet *header;
	__u32 here[3], real[3];
	struct frame frame;

	frame_read(skb, &frame);
	header = (const void *)frame.start;
	if (frame.start + sizeof(*header) > frame.end)
		return true;
	if (header->type != skb->protocol)
		return false;
	/* The same type, and it looks like no IP header: this is all for most frames. */
	if (header->destination[0] >> 4 != 4 && header->destination[0] >> 4 != 6)
		return true;
	__builtin_memcpy(here, header, sizeof(here));
	return bpf_skb_load_bytes_relative(skb, 0, real, sizeof(real), BPF_HDR_START_MAC) ||
	       (here[0] == real[0] && here[1] == real[1] && here[2] == real[2]);
}

/* On kernels from 6.9 on, data is at the network header after a generic XDP program that had the
 * packet copied: the copy has mac_len 0. Puts the header there again, and mac_len right. */
static __always_inline int frame_repair(struct __sk_buff *skb)
{
	struct wire_ethernet header;

	if (bpf_skb_load_bytes_relative(skb, 0, &header, sizeof(header), BPF_HDR_START_MAC) ||
		bpf_skb_change_head(skb, sizeof(header), 0))
		return -1;
	return (int)bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0);
}

#endif
