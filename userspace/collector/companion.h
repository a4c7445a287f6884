/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process beside the collector, which is this program with other arguments (the index, the review
 * page): started, and started again when it ends. */
#ifndef COLLECTOR_COMPANION_H
#define COLLECTOR_COMPANION_H

#include <ev.h>

struct companion {
	struct ev_loop *loop; /* the default one: only it hears of children */
	const char *what;     /* "the index", for the log */
	char *const *arguments; /* with the program's name; NULL behind the last */
	pid_t pid;	      /* 0: none just now */
	ev_child ended;
	ev_timer again;
};

/* Runs this program with the arguments, which stay the caller's. */
void companion_start(struct companion *companion, struct ev_loop *loop, const char *what,
	char *const *arguments);
/* Ends the process and waits for its end; one that was never started is allowed. */
void companion_stop(struct companion *companion);

#endif
