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

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/why.h"
#include "supervise/manifest.h"

struct parent;
struct parent_options;

/* The option of the trial. */
#define UPGRADE_CHECK "--check-handover"

/* More tables of counters than a daemon's life sees. */
#define UPGRADE_OLDER 8

/* Part of struct parent. */
struct upgrade {
	char program[PATH_MAX]; /* the path that the program was started from */
	bool asked;		/* SIGUSR2 came when it was not possible yet */
	bool taken_over;	/* of a parent before, and what came of it is not told yet */
	bool late;		/* the trial did not answer in time */
	pid_t trial;		/* 0: none */
	struct stat tried;	/* the program on trial */
	int pidfd, answer;
	struct counters *older[UPGRADE_OLDER]; /* where processes of before still count */
	size_t nolder;
	ev_signal signal;
	ev_io ended;
	ev_timer deadline;
};

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

/* takeover.c: the side of the new program. */

/* Reads the manifest that the environment names, takes the name out of it, and checks all
 * descriptors, which are close-on-exec from now on. 1: it is there, and the caller's to free; 0:
 * there is none; negative errno with why. */
int takeover_read(struct manifest *manifest, struct why *why);
/* The trial: answers on standard output whether this program could take over with that
 * configuration. The exit status. */
int takeover_check(const struct parent_options *options);
/* Whether that is what a program says that can. */
bool takeover_agreed(const char *answer);
/* Makes the parent the one that the manifest describes, whose descriptors are the parent's, and
 * begins the reload by which processes of this program take the place of the others. A failure ends
 * the process as a kill would, so that its children drain by themselves. */
void takeover(struct parent *parent, const struct manifest *manifest);

#endif
