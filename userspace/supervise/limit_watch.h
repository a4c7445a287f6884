/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of what is used of the limits: made, or found as it was left; lent to the workers, and taken
 * back from those that are dead. */
#ifndef SUPERVISE_LIMIT_WATCH_H
#define SUPERVISE_LIMIT_WATCH_H

#include <ev.h>

#include "base/why.h"
#include "config/config.h"
#include "policy/limit_table.h"
#include "supervise/boot_fds.h"

struct limit_watch;

/* In the run directory; what the machine's end has left in the spool directory is added, unless the table
 * is there still. 0, or negative errno with why. */
int limit_watch_new(
	struct ev_loop *loop, const struct config *config, struct limit_watch **made, struct why *why);
void limit_watch_free(struct limit_watch *watch);

/* What a worker gets at its start: cells of its own, or none where all are lent; and what whoever reads the
 * table gets. watch NULL: nothing. */
void limit_watch_boot(struct limit_watch *watch, struct boot_fds *fds);
void limit_watch_show(struct limit_watch *watch, struct boot_fds *fds);
/* A worker has ended. */
void limit_watch_ended(struct limit_watch *watch);

#endif
