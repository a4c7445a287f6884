/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of clients: who they ask for, and TLS; then they are a wire's (downstream_h1.h). */
#ifndef PROXY_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_H

#include "proxy/client.h"

/* Takes over an accepted socket. */
void downstream_new(struct worker *worker, int fd);
/* The worker drains: an idle connection is closed soon, one in use after its next response, which
 * says Connection: close. */
void downstream_drain(struct client *client);

#endif
