/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SIGHUP: another configuration takes the place of the one in force. */
#ifndef SUPERVISE_RELOAD_H
#define SUPERVISE_RELOAD_H

#include <ev.h>

#include "config/config.h"

struct generation;
struct parent;

void reload_begin(struct parent *parent);
/* Each time a process became ready or ended: goes on when it can. */
void reload_step(struct parent *parent);
void reload_on_deadline(struct ev_loop *loop, ev_timer *timer, int events);
/* Retires the old generation now, if a reload to fewer workers still waits with it. */
void reload_settle(struct parent *parent);
/* The key of the first setting that a running daemon cannot change; NULL: none differs. */
const char *reload_unchangeable(const struct config *old, const struct config *new);
/* Keeps the old configuration; whoever runs by the new one drains. */
void reload_abort(struct parent *parent, const char *reason);
/* Tells a generation that it is no longer the one: its processes drain without a deadline. */
void reload_retire(struct generation *generation);

#endif
