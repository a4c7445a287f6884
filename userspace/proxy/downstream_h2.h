/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/2 towards a client (RFC 9113): many requests at a time, each of them a slot, and their responses. */
#ifndef PROXY_DOWNSTREAM_H2_H
#define PROXY_DOWNSTREAM_H2_H

#include "proxy/client.h"

/* The wire of a connection whose handshake has chosen h2. 0 or -ENOMEM. */
int downstream_h2_open(struct client *client);

#endif
