// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/stream_fate.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* <netinet/tcp.h> has it, and an older struct tcp_info than the kernel's. */
#define TCP_CLOSE_WAIT 8

uint64_t stream_sent(const struct stream *s)
{
	return s->ssl ? BIO_number_written(SSL_get_wbio(s->ssl)) : s->written_bytes;
}

/* A FIN acknowledges all that came before it. A reset that follows a FIN is EPIPE to the kernel;
 * one that comes first is ECONNRESET, and may come before the acknowledgement of what it ends. */
static bool closed_before(const struct stream *s, const struct tcp_info *info, int error)
{
	int pending = 0;
	socklen_t len = sizeof(pending);

	if (error == 0 || error == EPIPE || info->tcpi_state == TCP_CLOSE_WAIT)
		return true;
	return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &pending, &len) == 0 && pending == EPIPE;
}

enum stream_fate stream_fate(const struct stream *s, uint64_t sent_before, int error)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
		len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return STREAM_MAYBE_TAKEN;
	/* The SYN counts as one byte (RFC 4898, tcpEStatsAppHCThruOctetsAcked). */
	if (info.tcpi_bytes_acked > sent_before + 1)
		return STREAM_MAYBE_TAKEN;
	return closed_before(s, &info, error) ? STREAM_NOTHING_TAKEN
					      : STREAM_NOTHING_ACKNOWLEDGED;
}
