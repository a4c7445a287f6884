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
	(void)loop;
	(void)events;
	turn_collect(watcher->data);
}

/* Those who ask during these calls are called in the turn after. */
static void turn_next(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct turn *turn = timer->data;
	struct list now;

	(void)loop;
	(void)events;
	list_init(&now);
	list_splice(&now, &turn->again);
	while (!list_empty(&now)) {
		struct again *again = list_entry(now.next, struct again, node);

		list_remove(&again->node);
		again->call(again);
	}
}

void turn_open(struct turn *turn, struct ev_loop *loop)
{
	turn->loop = loop;
	turn->sockets = NULL;
	list_init(&turn->garbage);
	list_init(&turn->again);
	ev_init(&turn->next, turn_next);
	ev_prepare_init(&turn->end, turn_end);
	turn->next.data = turn->end.data = turn;
	ev_prepare_start(loop, &turn->end);
	ev_unref(loop);
}

void turn_close(struct turn *turn)
{
	turn_collect(turn);
	assert(list_empty(&turn->again));
	ev_timer_stop(turn->loop, &turn->next);
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
	/* A timer that is due at once keeps the loop from waiting, and is called in the next turn,
	 * never in this one. */
	if (!ev_is_active(&turn->next)) {
		ev_timer_set(&turn->next, 0.0, 0.0);
		ev_timer_start(turn->loop, &turn->next);
	}
}

void turn_not_again(struct again *again)
{
	list_remove(&again->node);
}
