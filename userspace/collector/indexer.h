/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process beside the collector that keeps the index (see index.h): started, and started again
 * when it ends. */
#ifndef COLLECTOR_INDEXER_H
#define COLLECTOR_INDEXER_H

#include <ev.h>

struct indexer {
	struct ev_loop *loop; /* the default one: only it hears of children */
	const char *path;
	pid_t pid; /* 0: none just now */
	ev_child ended;
	ev_timer again;
};

/* Runs this program with --index PATH. */
void indexer_start(struct indexer *indexer, struct ev_loop *loop, const char *path);
/* Ends the process and waits for its end. */
void indexer_stop(struct indexer *indexer);

#endif
