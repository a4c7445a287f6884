// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "base/address.h"

static void put8(struct packet_bytes *packet, unsigned value)
{
	assert(packet->len < PACKET_BYTES_MAX);
	packet->bytes[packet->len++] = (uint8_t)value;
}

static void put16(struct packet_bytes *packet, unsigned value)
{
	put8(packet, value >> 8 & 0xff);
	put8(packet, value & 0xff);
}

static void put32(struct packet_bytes *packet, uint32_t value)
{
	put16(packet, value >> 16);
	put16(packet, value & 0xffff);
}

static void put(struct packet_bytes *packet, const void *data, size_t len)
{
	assert(packet->len + len <= PACKET_BYTES_MAX);
	memcpy(packet->bytes + packet->len, data, len);
	packet->len += len;
}

static void put_zeros(struct packet_bytes *packet, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put8(packet, 0);
}

static uint32_t sum_add(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void set16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t transport_sum(const struct address *source, const struct address *destination,
	unsigned protocol, const uint8_t *data, size_t len)
{
	bool ipv4 = address_is_ipv4(source);
	size_t from = ipv4 ? 12 : 0;
	uint32_t sum = sum_add((uint32_t)(protocol + len), data, len);

	sum = sum_add(sum, source->bytes + from, 16 - from);
	return sum_fold(sum_add(sum, destination->bytes + from, 16 - from));
}

static size_t build_ipv4(const struct packet_plan *plan, const struct address *source,
	const struct address *destination, uint8_t protocol, struct packet_bytes *packet)
{
	size_t at = packet->len;

	put8(packet,
		(plan->version ? plan->version : 4u) << 4 | (unsigned)(5 + plan->ip_options / 4));
	put8(packet, 0);
	put16(packet, 0); /* length, later */
	put16(packet, 0x1234);
	put16(packet, plan->fragment);
	put8(packet, 64);
	put8(packet, protocol);
	put16(packet, 0);
	put(packet, source->bytes + 12, 4);
	put(packet, destination->bytes + 12, 4);
	for (size_t i = 0; i < plan->ip_options; i++)
		put8(packet, 1); /* no operation */
	return at;
}

static size_t build_ipv6(const struct packet_plan *plan, const struct address *source,
	const struct address *destination, uint8_t protocol, struct packet_bytes *packet)
{
	bool fragment = plan->fragment_header || plan->fragment;
	size_t at = packet->len;

	put32(packet, (plan->version ? plan->version : 6u) << 28);
	put16(packet, 0); /* length, later */
	put8(packet, plan->extensions ? 60 : fragment ? 44 : protocol);
	put8(packet, 64);
	put(packet, source->bytes, 16);
	put(packet, destination->bytes, 16);
	for (unsigned i = 1; i <= plan->extensions; i++) {
		put8(packet, i < plan->extensions ? 60 : fragment ? 44 : protocol);
		put8(packet, 0);
		put8(packet, 1); /* PadN */
		put8(packet, 4);
		put32(packet, 0);
	}
	if (fragment) {
		put8(packet, protocol);
		put8(packet, 0);
		put16(packet, plan->fragment);
		put32(packet, 0x1234);
	}
	return at;
}

static void build_tcp(const struct packet_plan *plan, struct packet_bytes *packet)
{
	unsigned words = (unsigned)(5 + plan->tcp_options / 4);

	put16(packet, plan->source_port);
	put16(packet, plan->destination_port);
	put32(packet, plan->sequence);
	put32(packet, plan->acknowledgement);
	put8(packet, (plan->tcp_offset ? plan->tcp_offset : words) << 4);
	put8(packet, plan->flags);
	put16(packet, 65535);
	put32(packet, 0);
	for (size_t i = 0; i < plan->tcp_options; i++)
		put8(packet, 1);
	for (size_t i = 0; i < plan->payload; i++)
		put8(packet, (unsigned)i * 7 & 0xff);
}

/* From the IP header on. */
static void build_ip(const struct packet_plan *plan, struct packet_bytes *packet)
{
	struct address source, destination;
	uint8_t protocol = plan->protocol ? plan->protocol : 6;
	size_t ip, transport, length;
	bool ipv4;

	assert(address_parse(plan->source, &source) == 0);
	assert(address_parse(plan->destination, &destination) == 0);
	ipv4 = address_is_ipv4(&destination);
	if (ipv4)
		ip = build_ipv4(plan, &source, &destination, protocol, packet);
	else
		ip = build_ipv6(plan, &source, &destination, protocol, packet);
	transport = packet->len;
	if (protocol == 6)
		build_tcp(plan, packet);
	else
		put_zeros(packet, 8);
	length = packet->len - ip - (ipv4 ? 0 : 40) + (plan->bad_length ? 1 : 0);
	set16(packet->bytes + ip + (ipv4 ? 2 : 4), (uint16_t)length);
	if (ipv4)
		set16(packet->bytes + ip + 10,
			(uint16_t)~sum_fold(sum_add(0, packet->bytes + ip, transport - ip)));
	if (protocol == 6)
		set16(packet->bytes + transport + 16,
			(uint16_t)~transport_sum(&source, &destination, 6,
				packet->bytes + transport, packet->len - transport));
}

/* An ICMP error, sent by source to destination, about a segment from destination's peer. The plan
 * is that of the quoted packet; the error goes back to its source. */
static void build_icmp(const struct packet_plan *plan, struct packet_bytes *packet)
{
	struct packet_plan inner = *plan, outer = *plan;
	struct packet_bytes quoted = {.len = 0};
	struct address source, destination;
	size_t at, length, ip;

	inner.icmp_type = 0;
	build_ip(&inner, &quoted);
	outer.source = plan->destination;
	outer.destination = plan->source;
	outer.fragment = 0;
	assert(address_parse(outer.source, &source) == 0);
	assert(address_parse(outer.destination, &destination) == 0);
	if (address_is_ipv4(&source))
		ip = build_ipv4(&outer, &source, &destination, 1, packet);
	else
		ip = build_ipv6(&outer, &source, &destination, 58, packet);
	at = packet->len;
	put8(packet, plan->icmp_type);
	put8(packet, 0);
	put16(packet, 0);
	put32(packet, 1200);
	put(packet, quoted.bytes, quoted.len);
	length = packet->len - ip - (address_is_ipv4(&source) ? 0 : 40);
	set16(packet->bytes + ip + (address_is_ipv4(&source) ? 2 : 4), (uint16_t)length);
	if (address_is_ipv4(&source)) {
		set16(packet->bytes + ip + 10,
			(uint16_t)~sum_fold(sum_add(0, packet->bytes + ip, at - ip)));
		set16(packet->bytes + at + 2,
			(uint16_t)~sum_fold(sum_add(0, packet->bytes + at, packet->len - at)));
	} else {
		set16(packet->bytes + at + 2, (uint16_t)~transport_sum(&source, &destination, 58,
						      packet->bytes + at, packet->len - at));
	}
}

void packet_build(const struct packet_plan *plan, struct packet_bytes *packet)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	struct address destination;

	assert(address_parse(plan->destination, &destination) == 0);
	packet->len = 0;
	put(packet, macs, sizeof(macs));
	for (unsigned i = 0; i < plan->vlans; i++) {
		put16(packet, i + 1 < plan->vlans ? 0x88a8 : 0x8100);
		put16(packet, plan->vlan);
	}
	put16(packet, address_is_ipv4(&destination) ? 0x0800 : 0x86dd);
	if (plan->icmp_type)
		build_icmp(plan, packet);
	else
		build_ip(plan, packet);
}

uint16_t packet_ipv4_sum(const uint8_t *frame)
{
	return sum_fold(sum_add(0, frame + 14, 20));
}

uint16_t packet_tcp_sum(const uint8_t *frame, size_t len)
{
	struct address source = {{[10] = 0xff, [11] = 0xff}}, destination = source;
	size_t at = 14 + 20;

	if (frame[14] >> 4 == 4) {
		memcpy(source.bytes + 12, frame + 26, 4);
		memcpy(destination.bytes + 12, frame + 30, 4);
	} else {
		memcpy(source.bytes, frame + 22, 16);
		memcpy(destination.bytes, frame + 38, 16);
		at = 14 + 40;
	}
	return transport_sum(&source, &destination, 6, frame + at, len - at);
}
