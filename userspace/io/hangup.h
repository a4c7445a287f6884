/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hears that a peer has closed or reset its connection, although what it sent before is not being
 * read: the event loop tells of input only, behind which the end of the connection would hide. */
#ifndef IO_HANGUP_H
#define IO_HANGUP_H

#include <ev.h>
#include <stdbool.h>

#include "base/why.h"

/* All who listen; they share one descriptor. */
struct hangups {
	struct ev_loop *loop;
	int fd;
	ev_io io;
};

struct hangup {
	struct hangups *hangups;
	int fd; /* the socket; -1: not listening */
	void (*heard)(struct hangup *); /* once; it does not listen any more */
};

/* 0, or a negative errno. Keeps no loop alive by itself. */
int hangups_open(struct hangups *hangups, struct ev_loop *loop, struct why *why);
/* Nobody may listen any more. */
void hangups_close(struct hangups *hangups);

void hangup_init(
	struct hangup *hangup, struct hangups *hangups, void (*heard)(struct hangup *));
/* Listens, or no longer; asking twice is asking once. Must end before the socket is closed. Where
 * the kernel refuses it, the end is heard when the input is read. */
void hangup_listen(struct hangup *hangup, int fd);
void hangup_stop(struct hangup *hangup);

#endif
