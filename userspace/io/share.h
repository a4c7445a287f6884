/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A share of the work of one turn of the event loop, so that no turn is long whatever peers send.
 * Who wants more than TURN_SHARE waits for a later turn; who just had input is served before those
 * who wait. */
#ifndef IO_SHARE_H
#define IO_SHARE_H

#include "io/turn.h"

struct share {
	struct again again;
	struct turn *turn;
	struct work work;
	uint64_t number; /* of the turn that work belongs to */
	void (*run)(struct share *);
};

/* run: its turn has come; it may wait anew, or be gone afterwards. */
void share_init(struct share *share, struct turn *turn, void (*run)(struct share *));
/* What may still be done in this turn. */
struct work *share_work(struct share *share);
/* Calls run in a later turn of the loop, after those who wait already. */
void share_wait(struct share *share);
/* Waits no more. */
void share_cancel(struct share *share);

#endif
