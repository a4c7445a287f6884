/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the scout reads the packet queues, by its stamp in the map heartbeats. A queue whose
 * reader hangs keeps every packet waiting; one without a reader passes or drops it at once, as
 * datapath.fail says. So a scout that hangs is killed, and another one is started in its place. */
#ifndef SUPERVISE_SCOUT_WATCH_H
#define SUPERVISE_SCOUT_WATCH_H

#include "base/why.h"

struct parent;
struct scout_watch;

/* Begins to watch. Needs the parent's loop, counters, accounting and datapath. 0, or negative errno
 * with why. */
int scout_watch_new(struct parent *parent, struct scout_watch **watch, struct why *why);
/* NULL is fine. */
void scout_watch_free(struct scout_watch *watch);

#endif
