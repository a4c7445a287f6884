/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection that is not ours to read: spliced to its original destination, untouched. */
#ifndef PROXY_BYPASS_H
#define PROXY_BYPASS_H

#include "base/address.h"
#include "proxy/worker.h"

/* Takes the socket, from which nothing was read, over. */
void bypass_new(struct worker *worker, int fd, const struct address_port *destination);
/* Ends all of them at once. */
void bypass_close_all(struct worker *worker);

#endif
