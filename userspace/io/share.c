// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/share.h"

/* Nobody sleeps: that is all the watcher is for. */
static void shares_stay_awake(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
}

/* Runs those who wait, each once and in their order, as far as the turn's work goes; the first of
 * them whatever is left of it. */
static void shares_run(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct shares *shares = watcher->data;
	struct list now;

	(void)events;
	/* Who has had a share in this turn has another. */
	shares->number++;
	if (shares->work.left < SHARE_ONE)
		shares->work.left = SHARE_ONE;
	/* Who waits again waits behind those who have not run yet. */
	list_init(&now);
	list_insert_after(shares->waiting.prev, &now);
	while (shares->waiting.next != &now && work_left(&shares->work)) {
		struct share *share = list_entry(shares->waiting.next, struct share, node);

		list_remove(&share->node);
		share->run(share);
	}
	list_remove(&now);
	if (!list_empty(&shares->waiting))
		return;
	ev_check_stop(loop, &shares->queue);
	ev_idle_stop(loop, &shares->busy);
}

static void shares_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct shares *shares = watcher->data;

	(void)loop;
	(void)events;
	shares->number++;
	shares->work.left = SHARE_ALL;
}

void shares_open(struct shares *shares, struct ev_loop *loop)
{
	*shares = (struct shares){.loop = loop, .work.left = SHARE_ALL, .number = 1};
	list_init(&shares->waiting);
	ev_prepare_init(&shares->end, shares_turn_end);
	ev_check_init(&shares->queue, shares_run);
	ev_idle_init(&shares->busy, shares_stay_awake);
	/* What just came is looked at before what has waited. */
	ev_set_priority(&shares->queue, EV_MINPRI);
	shares->end.data = shares->queue.data = shares;
	ev_prepare_start(loop, &shares->end);
	ev_unref(loop);
}

void shares_close(struct shares *shares)
{
	if (!shares->loop)
		return;
	ev_check_stop(shares->loop, &shares->queue);
	ev_idle_stop(shares->loop, &shares->busy);
	ev_ref(shares->loop);
	ev_prepare_stop(shares->loop, &shares->end);
	shares->loop = NULL;
}

void share_init(struct share *share, struct shares *shares, void (*run)(struct share *))
{
	*share = (struct share){.shares = shares, .run = run, .work.whole = &shares->work};
	list_init(&share->node);
}

struct work *share_work(struct share *share)
{
	if (share->number != share->shares->number) {
		share->number = share->shares->number;
		share->work.left = SHARE_ONE;
	}
	return &share->work;
}

void share_wait(struct share *share)
{
	struct shares *shares = share->shares;

	if (!list_empty(&share->node))
		return;
	list_append(&shares->waiting, &share->node);
	ev_check_start(shares->loop, &shares->queue);
	ev_idle_start(shares->loop, &shares->busy);
}

void share_cancel(struct share *share)
{
	list_remove(&share->node);
}
