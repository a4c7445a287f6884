/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the workers are alive, as the kernel programs see it: by the age of their stamps. What
 * becomes of new connections is decided in the kernel, without this; here each change is told,
 * once: in the log, by counters, and by an event. One that gives no sign of life is relieved before
 * the kernel takes it for dead: another worker takes its place, so that what one client sends never
 * makes the appliance fail open. Who hangs for longer is killed by process.c. */
#ifndef SUPERVISE_WORKER_WATCH_H
#define SUPERVISE_WORKER_WATCH_H

#include "base/why.h"

struct parent;
struct worker_watch;

/* Begins to watch the workers of the configuration that is in force, those that come alive. Needs
 * the parent's loop, counters and datapath. directory: appliance.run_directory. 0, or negative
 * errno with why. */
int worker_watch_new(
	struct parent *parent, const char *directory, struct worker_watch **watch, struct why *why);
/* Stops watching, for an end that is wanted. NULL is fine, also below. */
void worker_watch_stop(struct worker_watch *watch);
void worker_watch_free(struct worker_watch *watch);

#endif
