/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of TCP sockets, set and put back in one place. Errors are not told: a connection works
 * without any of them. */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include <stddef.h>

struct config_tcp;

/* For any connection of a client's or to an origin. Small writes go at once. A silent connection is
 * kept alive, so that a NAT in between does not forget it, and ends (ETIMEDOUT) when the peer does
 * not answer any more: a peer that answers may be as slow as it likes. TCP_USER_TIMEOUT would end
 * also those that answer with a window of zero; who does not acknowledge data is given up after
 * net.ipv4.tcp_retries2. */
void socket_prepare(int fd, const struct config_tcp *tcp);

/* Input is told of only when so many bytes have come, or the end: for a look at what comes, without
 * taking it. 0, or a negative errno. */
int socket_await(int fd, size_t bytes);
/* Undoes socket_await, for whoever takes the socket over. */
void socket_await_any(int fd);

#endif
