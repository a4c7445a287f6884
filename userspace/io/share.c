// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/share.h"

static void share_run(struct again *again)
{
	struct share *share = list_entry(again, struct share, again);

	share->run(share);
}

void share_init(struct share *share, struct turn *turn, void (*run)(struct share *))
{
	*share = (struct share){.turn = turn, .run = run, .work.whole = &turn->work};
	again_init(&share->again, share_run);
}

struct work *share_work(struct share *share)
{
	if (share->number != share->turn->number) {
		share->number = share->turn->number;
		share->work.left = TURN_SHARE;
	}
	return &share->work;
}

void share_wait(struct share *share)
{
	turn_again(share->turn, &share->again);
}

void share_cancel(struct share *share)
{
	turn_not_again(&share->again);
}
