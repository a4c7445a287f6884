/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1.1 towards a client (RFC 9112): its requests, one after the other, and their responses. */
#ifndef PROXY_DOWNSTREAM_H1_H
#define PROXY_DOWNSTREAM_H1_H

#include "proxy/client.h"

/* The wire of a connection whose handshake is done. 0 or -ENOMEM. */
int downstream_h1_open(struct client *client);

#endif
