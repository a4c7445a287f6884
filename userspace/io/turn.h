/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A turn of the event loop: what is freed at its end, how much work is done in it, and what goes on
 * in the next one. Whoever has had a share of this turn goes on in the next, so that between two
 * shares timers run and all other connections have theirs. */
#ifndef IO_TURN_H
#define IO_TURN_H

#include <ev.h>
#include <openssl/bio.h>
#include <stdint.h>

#include "base/list.h"
#include "base/work.h"
#include "io/warm.h"

/* Units of base/work.h. */
#define TURN_WORK  (1 << 20) /* for all in one turn */
#define TURN_SHARE (1 << 18) /* for each in one turn, see share.h */

/* What was freed in this turn is given back at its end, so that nobody up the stack is left with a
 * dangling pointer. */
struct garbage {
	struct list node;
	void (*free)(struct garbage *);
};

/* What has more to do. */
struct again {
	struct list node;
	void (*call)(struct again *); /* it may ask anew, or be gone afterwards */
};

struct turn {
	struct ev_loop *loop;
	struct list garbage, again;
	ev_prepare end;
	ev_check queue;
	ev_idle busy; /* the loop does not sleep while somebody waits for the next turn */
	struct work work; /* what is left of it in this turn */
	uint64_t number;
	struct warms warms;
	BIO_METHOD *sockets; /* socket_bio.c's, once it was needed */
};

/* Keeps no loop alive by itself. The turn must not move while it is open. */
void turn_open(struct turn *turn, struct ev_loop *loop);
/* Gives the garbage back; nothing may be waiting for another turn. */
void turn_close(struct turn *turn);

void turn_discard(struct turn *turn, struct garbage *garbage, void (*free)(struct garbage *));
/* Gives the garbage back at once: for the end of a process, outside of any callback. */
void turn_collect(struct turn *turn);

void again_init(struct again *again, void (*call)(struct again *));
/* Calls it once in a later turn, after the loop has looked for events and after those who asked
 * before, as far as the work of that turn goes. Asking twice is asking once. */
void turn_again(struct turn *turn, struct again *again);
/* No longer; allowed when it was not asked for. */
void turn_not_again(struct again *again);

#endif
