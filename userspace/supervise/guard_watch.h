/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls to AI endpoints past the gate: the guard is attached to interfaces that come, and what it
 * counts is told, by the interface that the calls came by. */
#ifndef SUPERVISE_GUARD_WATCH_H
#define SUPERVISE_GUARD_WATCH_H

#include "base/why.h"

struct guard_watch;
struct parent;

/* Begins to watch. Needs the parent's loop, counters, accounting and datapath. 0, or negative errno
 * with why. */
int guard_watch_new(struct parent *parent, struct guard_watch **watch, struct why *why);
/* NULL is fine. */
void guard_watch_free(struct guard_watch *watch);

#endif
