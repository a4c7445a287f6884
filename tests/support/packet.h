/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hand-made Ethernet frames for the tests of the kernel programs. */
#ifndef SUPPORT_PACKET_H
#define SUPPORT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_BYTES_MAX 2048

struct packet_bytes {
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t len;
};

/* What to build. Zero means: none, or the usual. */
struct packet_plan {
	const char *source, *destination; /* addresses; their family is the packet's */
	uint16_t source_port, destination_port;
	uint8_t flags; /* of TCP */
	uint32_t sequence, acknowledgement;
	size_t payload;	      /* bytes of TCP payload */
	unsigned vlans;	      /* tags, 802.1ad outside */
	uint16_t vlan;	      /* the number in the tags; 0: a priority tag */
	size_t ip_options;    /* bytes, a multiple of 4 */
	size_t tcp_options;   /* bytes, a multiple of 4 */
	uint8_t protocol;     /* other than TCP: that and 8 zero bytes */
	uint16_t fragment;    /* IPv4: flags and offset as on the wire; IPv6: of its header */
	bool fragment_header; /* IPv6: also when fragment is 0 */
	unsigned extensions;  /* IPv6: destination options before TCP */
	bool bad_length;      /* the IP length says more than there is */
	uint8_t tcp_offset;   /* words, instead of the right one */
	uint8_t icmp_type;    /* an ICMP error of this type that quotes the TCP packet planned */
	uint8_t version;      /* of the IP header, instead of the right one */
};

/* Checksums are right, also in an ICMP error. */
void packet_build(const struct packet_plan *plan, struct packet_bytes *packet);
/* Sum of pseudo header and TCP segment of an IPv4 or IPv6 frame without options and tags:
 * 0xffff when the checksum is right. */
uint16_t packet_tcp_sum(const uint8_t *frame, size_t len);
/* Sum of an IPv4 header without options: 0xffff when right. */
uint16_t packet_ipv4_sum(const uint8_t *frame);

#endif
