/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes connections of Forward senders and acknowledges what is safely stored. */
#ifndef COLLECTOR_RECEIVER_H
#define COLLECTOR_RECEIVER_H

#include <ev.h>

#include "base/address.h"
#include "base/why.h"
#include "collector/store.h"

struct receiver;

/* Listens at once. NULL with why. The store stays the caller's. */
struct receiver *receiver_new(struct ev_loop *loop, const struct address_port *listen,
	struct store *store, struct why *why);
/* Commits what is there, acknowledges it, and closes all connections. */
void receiver_free(struct receiver *receiver);

#endif
