// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/packet.h"

#include <string.h>

enum {
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	ICMP_HEADER = 8,
	EXTENSIONS_MAX = 8,
	IPV4_QUOTED_MAX = 576 - IPV4_HEADER - ICMP_HEADER, /* RFC 1812 section 4.3.2.3 */
	PROTOCOL_ICMP = 1,
	PROTOCOL_ICMPV6 = 58,
	HOPS = 64,
};

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* RFC 1071. Sums are carried in 64 bits, folded at the end. */
static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	for (; len > 1; data += 2, len -= 2)
		sum += get16(data);
	return len ? sum + ((unsigned)data[0] << 8) : sum;
}

static unsigned sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned)(~sum & 0xffff);
}

static uint64_t sum_pseudo(const struct address *source, const struct address *destination,
	bool ipv6, unsigned protocol, size_t len)
{
	size_t from = ipv6 ? 0 : 12;
	uint64_t sum = sum_add(0, source->bytes + from, 16 - from);

	sum = sum_add(sum, destination->bytes + from, 16 - from);
	return sum + protocol + (len & 0xffff) + (len >> 16);
}

static void address_from(struct address *address, const uint8_t *at, bool ipv6)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ipv6) {
		memcpy(address->bytes, at, 16);
		return;
	}
	memcpy(address->bytes, mapped, sizeof(mapped));
	memcpy(address->bytes + 12, at, 4);
}

static enum ip_packet_result read_transport(const uint8_t *data, struct ip_packet *packet)
{
	const uint8_t *at = data + packet->transport;
	size_t left = packet->end - packet->transport, header;

	if (packet->protocol != IP_PACKET_TCP && packet->protocol != IP_PACKET_UDP)
		return IP_PACKET_OTHER;
	header = packet->protocol == IP_PACKET_TCP ? TCP_HEADER : UDP_HEADER;
	if (left < header)
		return IP_PACKET_MALFORMED;
	packet->source_port = (uint16_t)get16(at);
	packet->destination_port = (uint16_t)get16(at + 2);
	if (packet->protocol == IP_PACKET_UDP) {
		size_t len = get16(at + 4);

		if (len < UDP_HEADER || len > left)
			return IP_PACKET_MALFORMED;
		packet->end = packet->transport + len;
	} else {
		header = (size_t)(at[12] >> 4) * 4;
		if (header < TCP_HEADER || header > left)
			return IP_PACKET_MALFORMED;
		packet->sequence = get32(at + 4);
		packet->acknowledgement = get32(at + 8);
		packet->flags = at[13];
	}
	packet->payload = packet->transport + header;
	return IP_PACKET_OK;
}

static enum ip_packet_result read_ipv4(struct slice bytes, struct ip_packet *packet)
{
	const uint8_t *data = (const uint8_t *)bytes.data;
	size_t header, length;

	if (bytes.len < IPV4_HEADER)
		return IP_PACKET_MALFORMED;
	header = (size_t)(data[0] & 15) * 4;
	length = get16(data + 2);
	if (length == 0 && bytes.len > UINT16_MAX)
		length = bytes.len;
	if (header < IPV4_HEADER || length < header || length > bytes.len)
		return IP_PACKET_MALFORMED;
	address_from(&packet->source, data + 12, false);
	address_from(&packet->destination, data + 16, false);
	if (get16(data + 6) & 0x3fff)
		return IP_PACKET_FRAGMENT;
	packet->protocol = data[9];
	packet->transport = header;
	packet->end = length;
	return read_transport(data, packet);
}

static bool is_extension(uint8_t next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135;
}

static enum ip_packet_result read_ipv6(struct slice bytes, struct ip_packet *packet)
{
	const uint8_t *data = (const uint8_t *)bytes.data;
	size_t length, at = IPV6_HEADER;
	uint8_t next;

	if (bytes.len < IPV6_HEADER)
		return IP_PACKET_MALFORMED;
	length = IPV6_HEADER + get16(data + 4);
	if (length == IPV6_HEADER && bytes.len > UINT16_MAX)
		length = bytes.len;
	if (length > bytes.len)
		return IP_PACKET_MALFORMED;
	packet->ipv6 = true;
	address_from(&packet->source, data + 8, true);
	address_from(&packet->destination, data + 24, true);
	next = data[6];
	for (int i = 0; is_extension(next); i++) {
		size_t len;

		if (i == EXTENSIONS_MAX || length - at < 8)
			return IP_PACKET_MALFORMED;
		len = next == 44 ? 8 : next == 51 ? (data[at + 1] + 2u) * 4 : (data[at + 1] + 1u) * 8;
		/* An "atomic" fragment (RFC 6946) is a whole packet. */
		if (next == 44 && (get16(data + at + 2) & 0xfff9))
			return IP_PACKET_FRAGMENT;
		if (len > length - at)
			return IP_PACKET_MALFORMED;
		next = data[at];
		at += len;
	}
	packet->protocol = next;
	packet->transport = at;
	packet->end = length;
	return read_transport(data, packet);
}

enum ip_packet_result ip_packet_read(struct slice bytes, struct ip_packet *packet)
{
	*packet = (struct ip_packet){.ipv6 = false};
	if (!bytes.len)
		return IP_PACKET_MALFORMED;
	switch ((uint8_t)bytes.data[0] >> 4) {
	case 4:
		return read_ipv4(bytes, packet);
	case 6:
		return read_ipv6(bytes, packet);
	default:
		return IP_PACKET_MALFORMED;
	}
}

void ip_packet_checksum(uint8_t *bytes, const struct ip_packet *packet)
{
	size_t len = packet->end - packet->transport;
	uint8_t *at = bytes + packet->transport + (packet->protocol == IP_PACKET_TCP ? 16 : 6);
	unsigned sum;

	if (!packet->ipv6) {
		put16(bytes + 10, 0);
		put16(bytes + 10, sum_fold(sum_add(0, bytes, (size_t)(bytes[0] & 15) * 4)));
	}
	put16(at, 0);
	sum = sum_fold(sum_add(sum_pseudo(&packet->source, &packet->destination, packet->ipv6,
				       packet->protocol, len),
		bytes + packet->transport, len));
	/* 0 means "none" in UDP (RFC 768). */
	put16(at, sum || packet->protocol == IP_PACKET_TCP ? sum : 0xffff);
}

/* The IP header of an answer with len bytes after it; returns its length. */
static size_t put_ip(uint8_t *answer, const struct address *source,
	const struct address *destination, bool ipv6, unsigned protocol, size_t len)
{
	memset(answer, 0, ipv6 ? IPV6_HEADER : IPV4_HEADER);
	if (ipv6) {
		answer[0] = 6 << 4;
		put16(answer + 4, (unsigned)len);
		answer[6] = (uint8_t)protocol;
		answer[7] = HOPS;
		memcpy(answer + 8, source->bytes, 16);
		memcpy(answer + 24, destination->bytes, 16);
		return IPV6_HEADER;
	}
	answer[0] = 4 << 4 | IPV4_HEADER / 4;
	put16(answer + 2, (unsigned)(IPV4_HEADER + len));
	put16(answer + 6, 0x4000); /* do not fragment */
	answer[8] = HOPS;
	answer[9] = (uint8_t)protocol;
	memcpy(answer + 12, source->bytes + 12, 4);
	memcpy(answer + 16, destination->bytes + 12, 4);
	put16(answer + 10, sum_fold(sum_add(0, answer, IPV4_HEADER)));
	return IPV4_HEADER;
}

size_t ip_packet_reset(
	const struct ip_packet *packet, bool to_server, uint8_t answer[IP_PACKET_ANSWER_MAX])
{
	const struct address *source = to_server ? &packet->source : &packet->destination;
	const struct address *destination = to_server ? &packet->destination : &packet->source;
	size_t header = put_ip(
		answer, source, destination, packet->ipv6, IP_PACKET_TCP, TCP_HEADER);
	uint8_t *tcp = answer + header;
	uint32_t length = (uint32_t)(packet->end - packet->payload) +
			  ((packet->flags & IP_PACKET_SYN) ? 1 : 0) +
			  ((packet->flags & IP_PACKET_FIN) ? 1 : 0);

	memset(tcp, 0, TCP_HEADER);
	put16(tcp, to_server ? packet->source_port : packet->destination_port);
	put16(tcp + 2, to_server ? packet->destination_port : packet->source_port);
	put32(tcp + 4, to_server			       ? packet->sequence
		       : (packet->flags & IP_PACKET_ACK) ? packet->acknowledgement
							 : 0);
	put32(tcp + 8, to_server ? packet->acknowledgement : packet->sequence + length);
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = IP_PACKET_RST | IP_PACKET_ACK;
	put16(tcp + 16, sum_fold(sum_add(sum_pseudo(source, destination, packet->ipv6,
						  IP_PACKET_TCP, TCP_HEADER),
				 tcp, TCP_HEADER)));
	return header + TCP_HEADER;
}

size_t ip_packet_unreachable(const struct ip_packet *packet, struct slice bytes,
	uint8_t answer[IP_PACKET_ANSWER_MAX])
{
	size_t most = packet->ipv6 ? IP_PACKET_ANSWER_MAX - IPV6_HEADER - ICMP_HEADER
				   : (size_t)IPV4_QUOTED_MAX;
	size_t quoted = packet->end < most ? packet->end : most, header;
	unsigned protocol = packet->ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
	uint64_t sum = 0;
	uint8_t *icmp;

	header = put_ip(answer, &packet->destination, &packet->source, packet->ipv6, protocol,
		ICMP_HEADER + quoted);
	icmp = answer + header;
	memset(icmp, 0, ICMP_HEADER);
	icmp[0] = packet->ipv6 ? 1 : 3; /* destination unreachable: */
	icmp[1] = packet->ipv6 ? 4 : 3; /* port */
	memcpy(icmp + ICMP_HEADER, bytes.data, quoted);
	if (packet->ipv6)
		sum = sum_pseudo(&packet->destination, &packet->source, true, protocol,
			ICMP_HEADER + quoted);
	put16(icmp + 2, sum_fold(sum_add(sum, icmp, ICMP_HEADER + quoted)));
	return header + ICMP_HEADER + quoted;
}
