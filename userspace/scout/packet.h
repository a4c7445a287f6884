/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One IP packet as netfilter queues it (no link header): where its parts are, and the answers that
 * refuse it. Sans-I/O. */
#ifndef SCOUT_PACKET_H
#define SCOUT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"

enum { IP_PACKET_TCP = 6, IP_PACKET_UDP = 17 };
enum {
	IP_PACKET_FIN = 0x01,
	IP_PACKET_SYN = 0x02,
	IP_PACKET_RST = 0x04,
	IP_PACKET_ACK = 0x10,
};

enum ip_packet_result {
	IP_PACKET_OK,
	IP_PACKET_OTHER,     /* neither TCP nor UDP */
	IP_PACKET_FRAGMENT,  /* not a whole packet: nothing is read of it */
	IP_PACKET_MALFORMED, /* contradicts itself, or ends before its headers do */
};

struct ip_packet {
	struct address source, destination;
	uint16_t source_port, destination_port; /* host order */
	uint32_t sequence, acknowledgement;	/* TCP */
	uint8_t flags;				/* TCP */
	uint8_t protocol;			/* IP_PACKET_TCP or IP_PACKET_UDP */
	bool ipv6;
	size_t transport, payload, end; /* offsets: headers, and the end of the payload */
};

/* Reads an IPv4 (RFC 791) or IPv6 packet (RFC 8200, at most 8 extension headers) that holds TCP or
 * UDP. A packet longer than 64 KiB (BIG TCP) may have the length 0. Bytes after the packet's own
 * length are padding. */
enum ip_packet_result ip_packet_read(struct slice bytes, struct ip_packet *packet);

static inline struct slice ip_packet_payload(const struct ip_packet *packet, struct slice bytes)
{
	return slice_of(bytes.data + packet->payload, packet->end - packet->payload);
}

/* Writes the checksums of the IPv4 header and of TCP or UDP anew, after an edit of the payload
 * that kept its length. The kernel queues packets whose checksum it left to the hardware. */
void ip_packet_checksum(uint8_t *bytes, const struct ip_packet *packet);

/* The longest answer: IPv6, ICMPv6, and what is quoted (RFC 4443 section 2.4: 1280 in all). */
#define IP_PACKET_ANSWER_MAX 1280

/* The TCP reset (RFC 9293 section 3.10.7) that ends the connection of this segment of a client, for
 * the client in the server's name, or for the server in the client's. Returns its length. */
size_t ip_packet_reset(
	const struct ip_packet *packet, bool to_server, uint8_t answer[IP_PACKET_ANSWER_MAX]);
/* "Port unreachable" (RFC 792; RFC 4443 section 3.1) about this packet, from its destination.
 * Returns its length. */
size_t ip_packet_unreachable(const struct ip_packet *packet, struct slice bytes,
	uint8_t answer[IP_PACKET_ANSWER_MAX]);

#endif
