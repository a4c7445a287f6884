/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection through a proxy of the enterprise's: HTTP/1.1 CONNECT (RFC 9110 section 9.3.6), after
 * which the socket is one to the origin itself. What the proxy says besides "yes" goes nowhere. */
#ifndef PROXY_DIAL_H
#define PROXY_DIAL_H

#include <ev.h>
#include <stdbool.h>

#include "base/address.h"
#include "base/why.h"
#include "config/config.h"

/* A head of a proxy's answer that is longer is none. */
#define DIAL_HEAD_MAX 8192

struct dial;

/* Tells done once, never before it returns: with the socket, the user's, or with a negative errno and
 * why (valid during the call). host and port: of the origin. NULL with why: there is no such thing. */
typedef void dial_done(void *user, int fd, const struct why *why);
struct dial *dial_start(struct ev_loop *loop, const struct address_port *proxy,
	const struct config_tcp *tcp, const char *host, uint16_t port, dial_done *done, void *user,
	struct why *why);
/* Nothing is told any more. NULL: there is none. */
void dial_cancel(struct dial *dial);

/* A socket on its way to the address: its descriptor, or a negative errno. */
int dial_socket(const struct address_port *address, const struct config_tcp *tcp);

#endif
