// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/turn.h"

#include <assert.h>

void turn_collect(struct turn *turn)
{
	while (!list_empty(&turn->garbage)) {
		struct garbage *garbage = list_entry(turn->garbage.next, struct garbage, node);

		list_remove(&garbage->node);
		garbage->free(garbage);
	}
}

static void turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct turn *turn = watcher->data;

	(void)loop;
	(void)events;
	turn_collect(turn);
	turn->number++;
	turn->work.left = TURN_WORK;
}

/* Nobody sleeps: that is all the watcher is for. */
static void turn_stay_awake(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
}

/* Calls those who wait, each once and in their order, as far as the turn's work goes; the first of
 * them whatever is left of it. */
static void turn_call(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct turn *turn = watcher->data;
	struct list asked;

	(void)events;
	/* Who has had a share in this turn has another. */
	turn->number++;
	if (turn->work.left < TURN_SHARE)
		turn->work.left = TURN_SHARE;
	/* Who asks again waits behind those who were not called yet. */
	list_init(&asked);
	list_append(&turn->again, &asked);
	while (turn->again.next != &asked && work_left(&turn->work)) {
		struct again *again = list_entry(turn->again.next, struct again, node);

		list_remove(&again->node);
		again->call(again);
	}
	list_remove(&asked);
	if (!list_empty(&turn->again))
		return;
	ev_check_stop(loop, &turn->queue);
	ev_idle_stop(loop, &turn->busy);
}

void turn_open(struct turn *turn, struct ev_loop *loop)
{
	*turn = (struct turn){.loop = loop, .work.left = TURN_WORK, .number = 1};
	list_init(&turn->garbage);
	list_init(&turn->again);
	warms_open(&turn->warms, loop);
	ev_prepare_init(&turn->end, turn_end);
	ev_check_init(&turn->queue, turn_call);
	ev_idle_init(&turn->busy, turn_stay_awake);
	/* What just came is looked at before what has waited. */
	ev_set_priority(&turn->queue, EV_MINPRI);
	turn->queue.data = turn->end.data = turn;
	ev_prepare_start(loop, &turn->end);
	ev_unref(loop);
}

void turn_close(struct turn *turn)
{
	turn_collect(turn);
	assert(list_empty(&turn->again));
	warms_close(&turn->warms);
	ev_check_stop(turn->loop, &turn->queue);
	ev_idle_stop(turn->loop, &turn->busy);
	ev_ref(turn->loop);
	ev_prepare_stop(turn->loop, &turn->end);
	BIO_meth_free(turn->sockets);
}

void turn_discard(struct turn *turn, struct garbage *garbage, void (*free)(struct garbage *))
{
	garbage->free = free;
	list_append(&turn->garbage, &garbage->node);
}

void again_init(struct again *again, void (*call)(struct again *))
{
	list_init(&again->node);
	again->call = call;
}

void turn_again(struct turn *turn, struct again *again)
{
	if (!list_empty(&again->node))
		return;
	list_append(&turn->again, &again->node);
	ev_check_start(turn->loop, &turn->queue);
	ev_idle_start(turn->loop, &turn->busy);
}

void turn_not_again(struct again *again)
{
	list_remove(&again->node);
}
