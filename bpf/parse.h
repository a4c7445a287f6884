/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An Ethernet frame to the facts that decisions are made from. Pure: compiles in userspace too.
 * Bounded: 2 VLAN tags (802.1Q, 802.1ad), 6 IPv6 extension headers (RFC 8200 section 4). */
#ifndef BPF_PARSE_H
#define BPF_PARSE_H

#include "abi.h"

#ifdef __bpf__
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#else
#include <arpa/inet.h>
#include <stdbool.h>
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define bpf_ntohs ntohs
#define bpf_htons htons
#define bpf_ntohl ntohl
#define bpf_htonl htonl
#endif

/* A frame is aligned to two bytes: nothing to the kernel, but userspace must be told. */
#ifdef __bpf__
#define WIRE
#else
#define WIRE __attribute__((packed))
#endif

#define PARSE_VLANS	 2
#define PARSE_EXTENSIONS 6
/* No transport header begins behind this, by the two numbers above. */
#define PARSE_L4_MAX (14 + 4 * PARSE_VLANS + 40 + PARSE_EXTENSIONS * 256 * 8)

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_QINQ = 0x88a8,
};

enum {
	IP_HOP_BY_HOP = 0,
	IP_ICMP = 1,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_ROUTING = 43,
	IP_FRAGMENT = 44,
	IP_AH = 51,
	IP_ICMPV6 = 58,
	IP_DESTINATION = 60,
	IP_MOBILITY = 135,
};

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_ACK = 0x10,
	TCP_ALL = 0x3f,
};

struct wire_ethernet {
	__u8 destination[6], source[6];
	__u16 type;
} __attribute__((packed));

struct wire_vlan {
	__u16 tci, type;
} WIRE;

struct wire_ipv4 {
	__u8 version_length, tos;
	__u16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__u8 source[4], destination[4];
} WIRE;

struct wire_ipv6 {
	__u8 version, flow[3];
	__u16 length;
	__u8 next, hops;
	__u8 source[16], destination[16];
} WIRE;

struct wire_extension {
	__u8 next, length;
	__u16 fragment;
	__u32 id;
} WIRE;

struct wire_tcp {
	__u16 source, destination;
	__u32 sequence, acknowledgement;
	__u8 offset, flags;
	__u16 window, checksum, urgent;
} WIRE;

struct wire_udp {
	__u16 source, destination, length, checksum;
} WIRE;

struct wire_icmp {
	__u8 type, code;
	__u16 checksum;
	__u32 rest;
} WIRE;

enum packet_kind {
	PACKET_NOT_IP,
	PACKET_MALFORMED,  /* contradicts itself, or ends before its headers do */
	PACKET_UNREADABLE, /* its headers reach beyond the linear part of the buffer */
	PACKET_HIDDEN,	   /* IP, but made so that its TCP header cannot be seen or trusted */
	PACKET_FRAGMENT,   /* any other fragment; the ports of a first one are not looked at */
	PACKET_TCP,
	PACKET_ICMP_ERROR, /* about a TCP segment: the flow fields are those of that one */
	PACKET_OTHER,
	PACKET_TRANSPORT, /* between the two stages: TCP or ICMP, to be read by parse_transport() */
};

struct packet {
	struct abi_address source, destination;		      /* of the IP header */
	struct abi_address quoted_source, quoted_destination; /* PACKET_ICMP_ERROR */
	__u32 sequence, acknowledgement;		      /* host order */
	__u32 payload; /* bytes after the TCP header; PACKET_TRANSPORT: after IP's */
	__u16 source_port, destination_port; /* network order */
	__u16 l3, l4;			     /* offsets in the frame */
	__u8 kind;			     /* enum packet_kind */
	__u8 protocol;			     /* of the transport header */
	__u8 flags;			     /* of TCP */
	__u8 l4_header;			     /* bytes of the TCP or UDP header */
	bool ipv6;
	bool vlan; /* a tag with a VLAN number stands in the frame */
};

enum { UDP_HEADER = 8 };

/* The frame: [start, end) can be read, and it is len bytes long. */
struct frame {
	const __u8 *start, *end;
	__u32 len;
};

static __always_inline void address_from_ipv4(struct abi_address *to, const __u8 *from)
{
	__builtin_memset(to->bytes, 0, 10);
	to->bytes[10] = to->bytes[11] = 0xff;
	__builtin_memcpy(to->bytes + 12, from, 4);
}

/* What a packet is whose bytes end before its headers. */
static __always_inline int parse_short(const struct frame *frame)
{
	return (__u64)(frame->end - frame->start) < frame->len ? PACKET_UNREADABLE
							       : PACKET_MALFORMED;
}

/* at stands at the TCP header; left bytes of IP payload follow. */
static __always_inline int parse_tcp(
	const struct frame *frame, const __u8 *at, __u32 left, struct packet *packet)
{
	const struct wire_tcp *tcp = (const void *)at;
	__u32 header;

	if (at + sizeof(*tcp) > frame->end)
		return parse_short(frame);
	header = (tcp->offset >> 4) * 4;
	if (header < sizeof(*tcp) || header > left)
		return PACKET_MALFORMED;
	packet->source_port = tcp->source;
	packet->destination_port = tcp->destination;
	packet->sequence = bpf_ntohl(tcp->sequence);
	packet->acknowledgement = bpf_ntohl(tcp->acknowledgement);
	packet->flags = tcp->flags & TCP_ALL;
	packet->l4_header = (__u8)header;
	packet->payload = left - header;
	return PACKET_TCP;
}

/* A fragment: what matters is whether it could bring a SYN past us (RFC 1858 sections 3 and 4:
 * TCP headers that are cut, or written over by the fragment at offset 8). */
static __always_inline int parse_fragment(
	const struct frame *frame, const __u8 *at, __u32 left, __u16 offset, __u8 protocol)
{
	const struct wire_tcp *tcp = (const void *)at;

	if (protocol != IP_TCP)
		return PACKET_FRAGMENT;
	if (offset > 0)
		return offset == 8 ? PACKET_HIDDEN : PACKET_FRAGMENT;
	if (left < sizeof(*tcp) || at + sizeof(*tcp) > frame->end)
		return PACKET_HIDDEN;
	return tcp->flags & TCP_SYN ? PACKET_HIDDEN : PACKET_FRAGMENT;
}

/* The ports of the segment that an ICMP error quotes (RFC 792, RFC 4443 section 3). */
static __always_inline int parse_quoted_ports(
	const struct frame *frame, const __u8 *at, struct packet *packet)
{
	const struct wire_tcp *tcp = (const void *)at;

	if (at + 8 > frame->end)
		return PACKET_OTHER;
	packet->source_port = tcp->source;
	packet->destination_port = tcp->destination;
	return PACKET_ICMP_ERROR;
}

static __always_inline int parse_icmp(
	const struct frame *frame, const __u8 *at, struct packet *packet)
{
	const struct wire_icmp *icmp = (const void *)at;
	const struct wire_ipv4 *ip = (const void *)(icmp + 1);

	if ((const __u8 *)(ip + 1) > frame->end)
		return PACKET_OTHER;
	/* Destination unreachable, time exceeded, parameter problem. */
	if (icmp->type != 3 && icmp->type != 11 && icmp->type != 12)
		return PACKET_OTHER;
	if (ip->version_length >> 4 != 4 || (ip->version_length & 15) < 5 ||
		ip->protocol != IP_TCP || (ip->fragment & bpf_htons(0x1fff)))
		return PACKET_OTHER;
	address_from_ipv4(&packet->quoted_source, ip->source);
	address_from_ipv4(&packet->quoted_destination, ip->destination);
	return parse_quoted_ports(frame, (const __u8 *)ip + (ip->version_length & 15) * 4, packet);
}

static __always_inline int parse_icmpv6(
	const struct frame *frame, const __u8 *at, struct packet *packet)
{
	const struct wire_icmp *icmp = (const void *)at;
	const struct wire_ipv6 *ip = (const void *)(icmp + 1);

	if ((const __u8 *)(ip + 1) > frame->end)
		return PACKET_OTHER;
	/* Errors are types 1 to 127; our own segments carry no extension headers. */
	if (icmp->type == 0 || icmp->type > 127 || ip->version >> 4 != 6 || ip->next != IP_TCP)
		return PACKET_OTHER;
	__builtin_memcpy(&packet->quoted_source, ip->source, 16);
	__builtin_memcpy(&packet->quoted_destination, ip->destination, 16);
	return parse_quoted_ports(frame, (const __u8 *)(ip + 1), packet);
}

/* What follows the IP headers. */
static __always_inline int parse_protocol(struct packet *packet, __u8 icmp)
{
	if (packet->protocol == IP_TCP || packet->protocol == icmp)
		return PACKET_TRANSPORT;
	if (packet->protocol == IP_UDP)
		packet->l4_header = UDP_HEADER;
	return PACKET_OTHER;
}

static __always_inline int parse_ipv4(
	const struct frame *frame, const __u8 *at, struct packet *packet)
{
	const struct wire_ipv4 *ip = (const void *)at;
	__u32 present = frame->len - packet->l3, header, length;
	__u16 fragment;

	if (at + sizeof(*ip) > frame->end)
		return parse_short(frame);
	address_from_ipv4(&packet->source, ip->source);
	address_from_ipv4(&packet->destination, ip->destination);
	header = (ip->version_length & 15) * 4;
	length = bpf_ntohs(ip->length);
	if (length == 0) /* BIG TCP: an aggregate longer than 64 KiB */
		length = present;
	if (ip->version_length >> 4 != 4 || header < sizeof(*ip) || length < header ||
		length > present)
		return PACKET_MALFORMED;
	packet->protocol = ip->protocol;
	packet->l4 = (__u16)(packet->l3 + header);
	at += header;
	fragment = bpf_ntohs(ip->fragment);
	if (fragment & 0x3fff) /* more fragments, or an offset */
		return parse_fragment(frame, at, length - header, (__u16)((fragment & 0x1fff) * 8),
			packet->protocol);
	packet->payload = length - header;
	return parse_protocol(packet, IP_ICMP);
}

static __always_inline int parse_ipv6_payload(
	const struct frame *frame, const __u8 *at, __u32 left, __u8 next, struct packet *packet)
{
	/* Bounded, so that the verifier sees each pass. A chain that goes on is no stack's. */
#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i <= PARSE_EXTENSIONS; i++) {
		const struct wire_extension *extension = (const void *)at;
		__u32 length;
		__u16 fragment;

		packet->protocol = next;
		packet->l4 = (__u16)(at - frame->start);
		packet->payload = left;
		if (next != IP_HOP_BY_HOP && next != IP_ROUTING && next != IP_FRAGMENT &&
			next != IP_AH && next != IP_DESTINATION && next != IP_MOBILITY)
			return parse_protocol(packet, IP_ICMPV6);
		if (at + sizeof(*extension) > frame->end)
			return parse_short(frame);
		length = (extension->length + 1u) * 8;
		if (next == IP_FRAGMENT)
			length = 8;
		else if (next == IP_AH)
			length = (extension->length + 2u) * 4;
		if (length > left)
			return PACKET_MALFORMED;
		left -= length;
		at += length;
		fragment = bpf_ntohs(extension->fragment);
		/* One alone, "atomic" (RFC 6946), is a whole packet. */
		if (next == IP_FRAGMENT && (fragment & 0xfff9)) {
			next = extension->next;
			/* RFC 7112: the first must hold all headers. */
			if (!(fragment & 0xfff8) &&
				(next == IP_HOP_BY_HOP || next == IP_ROUTING || next == IP_AH ||
					next == IP_DESTINATION || next == IP_FRAGMENT))
				return PACKET_HIDDEN;
			packet->protocol = next;
			return parse_fragment(frame, at, left, fragment & 0xfff8, next);
		}
		next = extension->next;
	}
	return PACKET_HIDDEN;
}

static __always_inline int parse_ipv6(
	const struct frame *frame, const __u8 *at, struct packet *packet)
{
	const struct wire_ipv6 *ip = (const void *)at;
	__u32 present = frame->len - packet->l3, length;

	if (at + sizeof(*ip) > frame->end)
		return parse_short(frame);
	__builtin_memcpy(&packet->source, ip->source, 16);
	__builtin_memcpy(&packet->destination, ip->destination, 16);
	packet->ipv6 = true;
	length = bpf_ntohs(ip->length);
	if (length == 0) /* BIG TCP, or nothing */
		length = present - (__u32)sizeof(*ip);
	if (ip->version >> 4 != 6 || length + sizeof(*ip) > present)
		return PACKET_MALFORMED;
	return parse_ipv6_payload(frame, at + sizeof(*ip), length, ip->next, packet);
}

static __always_inline void parse_ip(
	const struct frame *frame, const __u8 *at, __u16 type, struct packet *packet)
{
	if (type == bpf_htons(ETHERTYPE_IPV4))
		packet->kind = (__u8)parse_ipv4(frame, at, packet);
	else if (type == bpf_htons(ETHERTYPE_IPV6))
		packet->kind = (__u8)parse_ipv6(frame, at, packet);
}

/* The first stage: everything up to the transport header. *packet must be zeroed. */
static __always_inline void parse_network(const struct frame *frame, struct packet *packet)
{
	const struct wire_ethernet *ethernet = (const void *)frame->start;
	const __u8 *at = frame->start + sizeof(*ethernet);
	__u16 type;

	packet->kind = PACKET_NOT_IP;
	if (at > frame->end)
		return;
	type = ethernet->type;
#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i < PARSE_VLANS; i++) {
		const struct wire_vlan *vlan = (const void *)at;

		if (type != bpf_htons(ETHERTYPE_VLAN) && type != bpf_htons(ETHERTYPE_QINQ))
			break;
		at += sizeof(*vlan);
		if (at > frame->end)
			return;
		/* Number 0 is a priority only: the frame is the interface's own. */
		if (vlan->tci & bpf_htons(0x0fff))
			packet->vlan = true;
		type = vlan->type;
	}
	packet->l3 = (__u16)(at - frame->start);
	parse_ip(frame, at, type, packet);
}

/* The same where the frame begins with the IP header. */
static __always_inline void parse_network_bare(
	const struct frame *frame, __u16 type, struct packet *packet)
{
	packet->kind = PACKET_NOT_IP;
	parse_ip(frame, frame->start, type, packet);
}

/* The second stage, of PACKET_TRANSPORT. */
static __always_inline void parse_transport(const struct frame *frame, struct packet *packet)
{
	__u32 l4 = packet->l4, left = packet->payload;
	const __u8 *at = frame->start + l4;

	packet->payload = 0;
	if (l4 > PARSE_L4_MAX) /* never: the verifier has to know */
		packet->kind = PACKET_HIDDEN;
	else if (packet->protocol == IP_TCP)
		packet->kind = (__u8)parse_tcp(frame, at, left, packet);
	else if (packet->protocol == IP_ICMP)
		packet->kind = (__u8)parse_icmp(frame, at, packet);
	else
		packet->kind = (__u8)parse_icmpv6(frame, at, packet);
}

/* Both. The kernel programs take them one by one: what the verifier goes through for the first is
 * not gone through again with the second. */
static __always_inline void parse(const struct frame *frame, struct packet *packet)
{
	parse_network(frame, packet);
	if (packet->kind == PACKET_TRANSPORT)
		parse_transport(frame, packet);
}

#endif
