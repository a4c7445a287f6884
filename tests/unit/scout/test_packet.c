// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "scout/packet.h"

#define IPV4(length, fragment, protocol)                                                          \
	"\x45\x00\x00" length "\x12\x34" fragment "\x40" protocol "\x00\x00\xc0\x00\x02\x01\xc6\x33" \
	"\x64\x07"
#define TCP_SEGMENT                                                                               \
	"\x9c\x40\x01\xbb\x00\x00\x10\x00\x00\x00\x20\x00\x50\x18\xff\xff\x00\x00\x00\x00"
#define UDP_DATAGRAM(length) "\x9c\x40\x01\xbb\x00" length "\x00\x00"
#define IPV6(length, next)                                                                        \
	"\x60\x00\x00\x00\x00" length next "\x40\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00" \
	"\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"

static const struct row {
	const char *title, *bytes;
	size_t len;
	enum ip_packet_result result;
	size_t payload;
} rows[] = {
#define ROW(title, result, payload, text) {title, text, sizeof(text) - 1, IP_PACKET_##result, payload}
	ROW("tcp", OK, 4, IPV4("\x2c", "\x40\x00", "\x06") TCP_SEGMENT "data"),
	ROW("padding is not the packet's", OK, 0, IPV4("\x28", "\x40\x00", "\x06") TCP_SEGMENT "pad"),
	ROW("udp", OK, 4, IPV4("\x20", "\x00\x00", "\x11") UDP_DATAGRAM("\x0c") "data"),
	ROW("a datagram shorter than its packet", OK, 2,
		IPV4("\x20", "\x00\x00", "\x11") UDP_DATAGRAM("\x0a") "data"),
	ROW("a datagram longer than its packet", MALFORMED, 0,
		IPV4("\x20", "\x00\x00", "\x11") UDP_DATAGRAM("\x0d") "data"),
	ROW("icmp", OTHER, 0, IPV4("\x1c", "\x00\x00", "\x01") "\x08\x00\x00\x00\x00\x00\x00\x00"),
	ROW("first fragment", FRAGMENT, 0, IPV4("\x2c", "\x20\x00", "\x06") TCP_SEGMENT "data"),
	ROW("later fragment", FRAGMENT, 0, IPV4("\x2c", "\x00\x05", "\x06") TCP_SEGMENT "data"),
	ROW("longer than what there is", MALFORMED, 0, IPV4("\x2d", "\x40\x00", "\x06") TCP_SEGMENT "data"),
	ROW("no room for tcp", MALFORMED, 0, IPV4("\x1c", "\x40\x00", "\x06") "\0\1\0\2\0\0\0\0"),
	ROW("tcp over ipv6", OK, 4, IPV6("\x18", "\x06") TCP_SEGMENT "data"),
	ROW("behind options", OK, 4, IPV6("\x20", "\x3c") "\x06\x00\x01\x04\0\0\0\0" TCP_SEGMENT "data"),
	ROW("atomic fragment", OK, 0, IPV6("\x1c", "\x2c") "\x06\0\0\0\0\0\0\1" TCP_SEGMENT),
	ROW("ipv6 fragment", FRAGMENT, 0, IPV6("\x1c", "\x2c") "\x06\0\0\1\0\0\0\1" TCP_SEGMENT),
	ROW("options without an end", MALFORMED, 0, IPV6("\x08", "\x3c") "\x06\x01\0\0\0\0\0\0"),
	ROW("another version", MALFORMED, 0, "\x75\x00\x00\x14"),
	ROW("nothing", MALFORMED, 0, ""),
};

static void packets_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice bytes = slice_of(rows[i].bytes, rows[i].len);
		struct ip_packet packet;
		enum ip_packet_result result = ip_packet_read(bytes, &packet);

		if (result != rows[i].result)
			fail_msg("%s: result %d", rows[i].title, result);
		if (result != IP_PACKET_OK)
			continue;
		if (ip_packet_payload(&packet, bytes).len != rows[i].payload)
			fail_msg("%s: wrong payload", rows[i].title);
		assert_int_equal(packet.source_port, 40000);
		assert_int_equal(packet.destination_port, 443);
	}
}

/* A checksum is right when the sum over all, itself included, is 0. */
static unsigned sum(const uint8_t *data, size_t len, unsigned start)
{
	for (size_t i = 0; i < len; i++)
		start += i % 2 ? data[i] : (unsigned)data[i] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static void assert_checksums(const uint8_t *bytes, size_t len)
{
	bool ipv6 = bytes[0] >> 4 == 6;
	size_t header = ipv6 ? 40 : 20;
	unsigned protocol = ipv6 ? bytes[6] : bytes[9], pseudo;

	if (!ipv6)
		assert_int_equal(sum(bytes, header, 0), 0xffff);
	if (protocol == 1) {
		assert_int_equal(sum(bytes + header, len - header, 0), 0xffff);
		return;
	}
	pseudo = sum(bytes + (ipv6 ? 8 : 12), ipv6 ? 32 : 8, protocol + (unsigned)(len - header));
	assert_int_equal(sum(bytes + header, len - header, pseudo), 0xffff);
}

static void checksums_are_made_anew(void **state)
{
	static const size_t some[] = {0, 2, 10};

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		const struct row *row = &rows[some[i]];
		struct ip_packet packet;
		uint8_t bytes[128];

		memcpy(bytes, row->bytes, row->len);
		assert_int_equal(ip_packet_read(slice_of(row->bytes, row->len), &packet), IP_PACKET_OK);
		bytes[packet.payload] ^= 0x55;
		ip_packet_checksum(bytes, &packet);
		assert_checksums(bytes, packet.end);
	}
}

static void a_reset_goes_to_either_side(void **state)
{
	static const size_t some[] = {0, 10};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct row *row = &rows[some[i / 2]];
		struct ip_packet packet, answer;
		uint8_t bytes[IP_PACKET_ANSWER_MAX];
		size_t len;

		assert_int_equal(ip_packet_read(slice_of(row->bytes, row->len), &packet), IP_PACKET_OK);
		len = ip_packet_reset(&packet, i % 2, bytes);
		assert_checksums(bytes, len);
		assert_int_equal(ip_packet_read(slice_of((char *)bytes, len), &answer), IP_PACKET_OK);
		assert_int_equal(answer.flags, IP_PACKET_RST | IP_PACKET_ACK);
		assert_true(address_equal(&answer.source, i % 2 ? &packet.source : &packet.destination));
		assert_int_equal(answer.destination_port, i % 2 ? 443 : 40000);
		assert_int_equal(answer.sequence, i % 2 ? 0x1000 : 0x2000);
		assert_int_equal(answer.acknowledgement, i % 2 ? 0x2000 : 0x1004);
	}
}

static void a_syn_is_acknowledged_by_its_reset(void **state)
{
	struct ip_packet packet, answer;
	uint8_t bytes[IP_PACKET_ANSWER_MAX];
	size_t len;

	(void)state;
	assert_int_equal(ip_packet_read(slice_of(rows[1].bytes, rows[1].len), &packet), IP_PACKET_OK);
	packet.flags = IP_PACKET_SYN;
	len = ip_packet_reset(&packet, false, bytes);
	assert_int_equal(ip_packet_read(slice_of((char *)bytes, len), &answer), IP_PACKET_OK);
	assert_int_equal(answer.sequence, 0);
	assert_int_equal(answer.acknowledgement, 0x1001);
}

static void unreachable_quotes_what_fits(void **state)
{
	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		static const char v4[] = IPV4("\x20", "\x00\x00", "\x11") UDP_DATAGRAM("\x0c");
		static const char v6[] = IPV6("\x0c", "\x11") UDP_DATAGRAM("\x0c");
		size_t head = ipv6 ? sizeof(v6) - 1 : sizeof(v4) - 1, len;
		size_t header = ipv6 ? 40 : 20, most = ipv6 ? 1280 : 576;
		char bytes[2048] = "";
		uint8_t answer[IP_PACKET_ANSWER_MAX];
		struct ip_packet packet;

		memcpy(bytes, ipv6 ? v6 : v4, head);
		assert_int_equal(ip_packet_read(slice_of(bytes, head + 4), &packet), IP_PACKET_OK);
		len = ip_packet_unreachable(&packet, slice_of(bytes, head + 4), answer);
		assert_int_equal(len, header + 8 + head + 4);
		assert_checksums(answer, len);
		assert_int_equal(answer[header], ipv6 ? 1 : 3);
		assert_memory_equal(answer + header + 8, bytes, head + 4);
		packet.end = sizeof(bytes);
		assert_int_equal(
			ip_packet_unreachable(&packet, slice_of(bytes, sizeof(bytes)), answer), most);
		assert_checksums(answer, most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read),
		cmocka_unit_test(checksums_are_made_anew),
		cmocka_unit_test(a_reset_goes_to_either_side),
		cmocka_unit_test(a_syn_is_acknowledged_by_its_reset),
		cmocka_unit_test(unreachable_quotes_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
