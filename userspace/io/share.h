/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shares of the work of one turn of the event loop, so that no turn is long whatever peers send:
 * there is so much for all and so much for each. Who wants more waits in a queue for a later turn;
 * who just had input is served before the queue. */
#ifndef IO_SHARE_H
#define IO_SHARE_H

#include <ev.h>
#include <stdint.h>

#include "base/list.h"
#include "base/work.h"

/* Units of base/work.h. */
#define SHARE_ALL (1 << 20) /* for all in one turn */
#define SHARE_ONE (1 << 18) /* for each in one turn */

struct shares {
	struct ev_loop *loop;
	ev_prepare end;
	ev_check queue;
	ev_idle busy;	     /* the loop does not sleep while somebody waits */
	struct list waiting; /* struct share */
	struct work work;    /* what is left of it in this turn */
	uint64_t number;     /* of the turn */
};

struct share {
	struct list node;
	struct shares *shares;
	void (*run)(struct share *); /* its turn has come; it may wait anew, or be gone */
	struct work work;
	uint64_t number; /* of the turn that work belongs to */
};

void shares_open(struct shares *shares, struct ev_loop *loop);
/* Nobody may wait any more. */
void shares_close(struct shares *shares);

void share_init(struct share *share, struct shares *shares, void (*run)(struct share *));
/* What may still be done in this turn. */
struct work *share_work(struct share *share);
/* Calls run in a later turn of the loop, after those who wait already. */
void share_wait(struct share *share);
/* Waits no more. */
void share_cancel(struct share *share);

#endif
