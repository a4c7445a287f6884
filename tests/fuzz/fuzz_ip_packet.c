// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever the kernel queues: parts lie within it, and the answers are packets themselves. */
#include <stdint.h>
#include <stdlib.h>

#include "scout/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	uint8_t answer[IP_PACKET_ANSWER_MAX], *copy;
	struct ip_packet packet, other;
	size_t len;

	if (ip_packet_read(bytes, &packet) != IP_PACKET_OK)
		return 0;
	demand(packet.transport < packet.payload && packet.payload <= packet.end);
	demand(packet.end <= size);
	copy = malloc(size);
	demand(copy != NULL);
	memcpy(copy, data, size);
	ip_packet_checksum(copy, &packet);
	demand(ip_packet_read(slice_of((char *)copy, size), &other) == IP_PACKET_OK);
	demand(packet.payload == other.payload && packet.end == other.end);
	free(copy);
	len = ip_packet_unreachable(&packet, bytes, answer);
	demand(len <= sizeof(answer));
	demand(ip_packet_read(slice_of((char *)answer, len), &other) == IP_PACKET_OTHER);
	for (int to_server = 0; to_server < 2; to_server++) {
		len = ip_packet_reset(&packet, to_server, answer);
		demand(ip_packet_read(slice_of((char *)answer, len), &other) == IP_PACKET_OK);
		demand(other.end == len && other.flags & IP_PACKET_RST);
	}
	return 0;
}
