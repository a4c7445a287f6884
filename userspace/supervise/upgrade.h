/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SIGUSR2: the parent lets the program that now stands where it was started from take its place.
 * The pid stays, and so do listeners, processes, connections, rings and counters: they are handed
 * over by inheritance (manifest.h). The new parent then does what a reload does: it starts
 * processes of its own, and only when all are ready the old ones drain.
 *
 *	old parent			the new program
 *	upgrade_begin
 *	  a trial of it: manifest  -->	takeover_check: could it take over?
 *	  execve in place          -->	takeover: goes on with what there is, by
 *					  reload_begin … upgrade_told */
#ifndef SUPERVISE_UPGRADE_H
#define SUPERVISE_UPGRADE_H

#include <stdbool.h>

struct parent;

/* Remembers where the program was started from. */
void upgrade_init(struct parent *parent);
void upgrade_close(struct parent *parent);

/* Begins now, or after the reload that is under way. */
void upgrade_begin(struct parent *parent);
bool upgrade_on_trial(const struct parent *parent);
/* Ends the trial without a result: the daemon stops. */
void upgrade_abandon(struct parent *parent);
/* Takes in what processes of an older table of counters have counted. */
void upgrade_count(struct parent *parent);
/* At the end of each reload. refusal: why it was refused; NULL: done. True when it was the second
 * half of an upgrade, which was then told. */
bool upgrade_told(struct parent *parent, const char *refusal);

#endif
