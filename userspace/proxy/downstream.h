/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of clients: who does one ask for, TLS, and its requests one after the other. */
#ifndef PROXY_DOWNSTREAM_H
#define PROXY_DOWNSTREAM_H

#include "proxy/client.h"

/* Takes over an accepted socket. */
void downstream_new(struct worker *worker, int fd);
/* Closes; the exchange in progress, if any, hears of it. reset: the client must not take what it
 * got for a whole response. */
void downstream_close(struct client *client, bool reset);
/* The worker drains: an idle connection is closed soon, one in use after its next response, which
 * says Connection: close. */
void downstream_drain(struct client *client);

#endif
