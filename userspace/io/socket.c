// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/socket.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "config/config.h"

static void socket_set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void socket_prepare(int fd, const struct config_tcp *tcp)
{
	socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	socket_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)(tcp->keepalive_idle_ns / NS_PER_S));
	socket_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)(tcp->keepalive_interval_ns / NS_PER_S));
	socket_set(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)tcp->keepalive_probes);
	socket_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int socket_await(int fd, size_t bytes)
{
	int low = bytes < INT_MAX ? (int)bytes : INT_MAX;

	return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) < 0 ? -errno : 0;
}

void socket_await_any(int fd)
{
	socket_set(fd, SOL_SOCKET, SO_RCVLOWAT, 1);
}
