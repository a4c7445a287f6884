// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HOP_INTERFACE "h0"
#define TRIES	      5000

int wire_open(const struct namespaces *namespaces)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1, fd;

	namespaces_enter(namespaces, PLACE_HOP);
	address.sll_ifindex = (int)if_nametoindex(HOP_INTERFACE);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail_msg("packet socket: %s", strerror(errno));
	namespaces_enter(namespaces, PLACE_GATE);
	return fd;
}

void wire_send(int wire, const struct packet_plan *plan, uint16_t segment)
{
	struct virtio_net_hdr header = {0};
	struct packet_bytes packet;
	struct iovec parts[2] = {{&header, sizeof(header)}, {packet.bytes, 0}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	bool ipv6 = strchr(plan->source, ':') != NULL;
	uint16_t tcp = (uint16_t)(14 + (ipv6 ? 40 : 20));

	packet_build(plan, &packet);
	parts[1].iov_len = packet.len;
	if (segment) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.gso_type = ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		header.gso_size = segment;
		header.hdr_len = (uint16_t)(tcp + 20);
		header.csum_start = tcp;
		header.csum_offset = 16;
	}
	/* The receiver may need a while to make room. */
	for (int tries = 0; tries < TRIES; tries++) {
		if (sendmsg(wire, &message, 0) == (ssize_t)(sizeof(header) + packet.len))
			return;
		if (errno != ENOBUFS)
			break;
		usleep(1000);
	}
	fail_msg("frame from %s: %s", plan->source, strerror(errno));
}
