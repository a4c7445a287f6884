/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A c-ares channel driven by libev: its sockets and its deadlines. */
#ifndef BACKEND_ARES_LOOP_H
#define BACKEND_ARES_LOOP_H

#include <ares.h>
#include <ev.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/why.h"

struct config_endpoints;

struct ares_loop {
	struct ev_loop *loop;
	ares_channel channel;	      /* queries are made of it; ares_loop_wait() after each */
	void (*after)(void *context); /* c-ares worked; may close and free; NULL: nothing to do */
	void *context;
	bool library;	     /* ares_library_init is ours to undo */
	struct list sockets; /* struct socket_watch */
	ev_timer timer;	     /* c-ares' own deadlines, or 0: at once */
};

/* Opens the channel with the options that mask (ARES_OPT_) names; sock_state_cb is set here.
 * Servers are endpoints.resolvers, copied from, else those of /etc/resolv.conf. loop, after and
 * context are the caller's to set before. 0, or -EIO with why, which begins with who; then it is
 * to be closed as well. It must not move while it is open. */
int ares_loop_open(struct ares_loop *ares, struct ares_options *options, int mask,
	const struct config_endpoints *endpoints, const char *who, struct why *why);

/* Waits for what c-ares waits for; at_once: after() is called as soon as the loop runs. */
void ares_loop_wait(struct ares_loop *ares, bool at_once);

/* Queries under way end with ARES_EDESTRUCTION in here. Closing what was never opened is allowed
 * when it is all zero. */
void ares_loop_close(struct ares_loop *ares);

#endif
