/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1.1 towards a client (RFC 9112): how responses are written. */
#ifndef PROXY_DOWNSTREAM_H1_H
#define PROXY_DOWNSTREAM_H1_H

#include "proxy/client.h"

/* As struct message_ops; to: the client. */
int downstream_h1_head(void *to, const struct head *head, bool fin);
int downstream_h1_body(void *to, struct slice span, bool fin);
int downstream_h1_trailers(void *to, const struct header *fields, size_t n);
size_t downstream_h1_room(const void *to);

/* Tells the client to send the body of its request (RFC 9110 section 10.1.1). */
int downstream_h1_continue(struct client *client);

#endif
