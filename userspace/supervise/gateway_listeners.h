/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The listening sockets of the gateway, which the parent makes and keeps: all workers accept from
 * the same ones, one generation after the other, so that none of them holds what waits there. */
#ifndef SUPERVISE_GATEWAY_LISTENERS_H
#define SUPERVISE_GATEWAY_LISTENERS_H

#include "base/why.h"
#include "config/config.h"

struct gateway_listener {
	struct address_port at;
	int fd;
};

/* Those of a configuration in force, and of one that may follow. */
struct gateway_listeners {
	struct gateway_listener each[2 * CONFIG_GATEWAY_MAX];
	unsigned n;
};

/* One of a parent before. 0, or negative errno; the descriptor is taken on success. */
int gateway_listeners_adopt(struct gateway_listeners *listeners, int fd);
/* Makes those that the configuration names and that are not there. 0, or negative errno with why. */
int gateway_listeners_open(
	struct gateway_listeners *listeners, const struct config *config, struct why *why);
/* Closes those that the configuration does not name; NULL: all. Workers have their own descriptors. */
void gateway_listeners_keep(struct gateway_listeners *listeners, const struct config *config);
/* That of an address; -1: there is none. It stays the list's. */
int gateway_listeners_find(
	const struct gateway_listeners *listeners, const struct address_port *at);

#endif
