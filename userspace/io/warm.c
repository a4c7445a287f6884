// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/warm.h"

static void warms_watch(struct warms *warms)
{
	if (list_empty(&warms->all) == !ev_is_active(&warms->rest))
		return;
	if (ev_is_active(&warms->rest)) {
		ev_ref(warms->loop);
		ev_timer_stop(warms->loop, &warms->rest);
	} else {
		ev_timer_set(&warms->rest, WARM_REST_S, WARM_REST_S);
		ev_timer_start(warms->loop, &warms->rest);
		ev_unref(warms->loop);
	}
}

static void warm_cool(struct warms *warms, struct warm *warm)
{
	list_remove(&warm->node);
	warms->n--;
	warm->cool(warm);
}

static void warms_rest(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct warms *warms = timer->data;

	(void)events;
	while (!list_empty(&warms->all)) {
		struct warm *warm = list_entry(warms->all.next, struct warm, node);

		if (warm->used > ev_now(loop) - WARM_REST_S)
			break;
		warm_cool(warms, warm);
	}
	warms_watch(warms);
}

void warms_open(struct warms *warms, struct ev_loop *loop)
{
	*warms = (struct warms){.loop = loop};
	list_init(&warms->all);
	ev_init(&warms->rest, warms_rest);
	warms->rest.data = warms;
}

void warms_close(struct warms *warms)
{
	warms_watch(warms);
}

void warm_init(struct warm *warm, void (*cool)(struct warm *))
{
	*warm = (struct warm){.cool = cool};
	list_init(&warm->node);
}

void warm_use(struct warms *warms, struct warm *warm)
{
	warms->n += list_empty(&warm->node);
	list_remove(&warm->node);
	list_append(&warms->all, &warm->node);
	warm->used = ev_now(warms->loop);
	if (warms->n > WARM_MOST)
		warm_cool(warms, list_entry(warms->all.next, struct warm, node));
	warms_watch(warms);
}

void warm_end(struct warms *warms, struct warm *warm)
{
	warms->n -= !list_empty(&warm->node);
	list_remove(&warm->node);
}
