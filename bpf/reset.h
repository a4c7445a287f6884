/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns the TCP segment in an skb into the reset that answers it, and sends it back. The kernel
 * cannot: without a socket it has no right to the address of somebody else. */
#ifndef BPF_RESET_H
#define BPF_RESET_H

#include "parse.h"

#include <bpf/bpf_helpers.h>

enum { TCP_CHECKSUM_AT = 16 };

struct reset_tail {
	/* The pseudo header's (RFC 9293 section 3.1, RFC 8200 section 8.1) last words. */
	__u32 length, protocol;
	struct wire_tcp tcp;
};

static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* Whether the checksum is left to the device (CHECKSUM_PARTIAL): then the field holds the pseudo
 * header's sum and a helper leaves it alone where it would change a finished one. 1, 0, or an
 * error. */
static __always_inline int reset_checksum_partial(struct __sk_buff *skb, __u32 l4)
{
	const __u16 before = 0;
	__u16 after = 0;

	if (bpf_skb_store_bytes(skb, l4 + TCP_CHECKSUM_AT, &before, 2, 0) ||
		bpf_l4_csum_replace(skb, l4 + TCP_CHECKSUM_AT, 0, bpf_htons(0x1234), 2) ||
		bpf_skb_load_bytes(skb, l4 + TCP_CHECKSUM_AT, &after, 2))
		return -1;
	return after == before;
}

static __always_inline void reset_fill(const struct packet *packet, struct wire_tcp *tcp)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = packet->destination_port;
	tcp->destination = packet->source_port;
	tcp->offset = 5 << 4;
	/* RFC 9293 section 3.10.7.1. */
	if (packet->flags & TCP_ACK) {
		tcp->sequence = bpf_htonl(packet->acknowledgement);
		tcp->flags = TCP_RST;
	} else {
		tcp->acknowledgement =
			bpf_htonl(packet->sequence + packet->payload + !!(packet->flags & TCP_SYN) +
				  !!(packet->flags & TCP_FIN));
		tcp->flags = TCP_RST | TCP_ACK;
	}
}

static __always_inline int reset_ethernet(struct __sk_buff *skb)
{
	struct wire_ethernet old, new;

	if (bpf_skb_load_bytes(skb, 0, &old, sizeof(old)))
		return -1;
	__builtin_memcpy(new.destination, old.source, 6);
	__builtin_memcpy(new.source, old.destination, 6);
	return (int)bpf_skb_store_bytes(skb, 0, &new, 12, 0);
}

static __always_inline int reset_ipv4(struct __sk_buff *skb, const struct packet *packet)
{
	struct wire_ipv4 ip = {
		.version_length = 0x45,
		.length = bpf_htons(sizeof(ip) + sizeof(struct wire_tcp)),
		.fragment = bpf_htons(0x4000),
		.ttl = 64,
		.protocol = IP_TCP,
	};

	__builtin_memcpy(ip.source, packet->destination.bytes + 12, 4);
	__builtin_memcpy(ip.destination, packet->source.bytes + 12, 4);
	ip.checksum = ~checksum_fold((__u32)bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	return (int)bpf_skb_store_bytes(skb, packet->l3, &ip, sizeof(ip), 0);
}

static __always_inline int reset_ipv6(struct __sk_buff *skb, const struct packet *packet)
{
	struct wire_ipv6 ip = {
		.version = 0x60,
		.length = bpf_htons(sizeof(struct wire_tcp)),
		.next = IP_TCP,
		.hops = 64,
	};

	__builtin_memcpy(ip.source, &packet->destination, 16);
	__builtin_memcpy(ip.destination, &packet->source, 16);
	return (int)bpf_skb_store_bytes(skb, packet->l3, &ip, sizeof(ip), 0);
}

/* 0: the skb is the reset, ready to be redirected to where it came from. Else it is spoilt and
 * has to be dropped; packets with IP options or extension headers always are. Not inlined, see
 * lookup.h. */
__noinline int reset_make(struct __sk_buff *skb, const struct packet *packet)
{
	struct reset_tail tail = {
		.length = bpf_htonl(sizeof(struct wire_tcp)),
		.protocol = bpf_htonl(IP_TCP),
	};
	__u32 l4, addresses;
	__s64 sum;
	int partial;

	if (!packet)
		return -1;
	l4 = packet->l4;
	addresses = packet->ipv6 ? 32 : 8;
	if (l4 - packet->l3 != (packet->ipv6 ? sizeof(struct wire_ipv6) : sizeof(struct wire_ipv4)))
		return -1;
	if (bpf_skb_change_tail(skb, l4 + sizeof(struct wire_tcp), 0))
		return -1;
	partial = reset_checksum_partial(skb, l4);
	if (partial < 0)
		return -1;
	reset_fill(packet, &tail.tcp);
	/* Both directions have the same sum of addresses. */
	if (addresses == 32) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&packet->source, 16, 0);
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&packet->destination, 16, (__wsum)sum);
	} else {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)(packet->source.bytes + 12), 4, 0);
		sum = bpf_csum_diff(
			NULL, 0, (__be32 *)(packet->destination.bytes + 12), 4, (__wsum)sum);
	}
	if (partial) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&tail, 8, (__wsum)sum);
		tail.tcp.checksum = checksum_fold((__u32)sum);
	} else {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&tail, sizeof(tail), (__wsum)sum);
		tail.tcp.checksum = (__u16)~checksum_fold((__u32)sum);
	}
	if (bpf_skb_store_bytes(skb, l4, &tail.tcp, sizeof(tail.tcp), 0) ||
		(packet->ipv6 ? reset_ipv6(skb, packet) : reset_ipv4(skb, packet)))
		return -1;
	return packet->l3 ? reset_ethernet(skb) : 0;
}

#endif
