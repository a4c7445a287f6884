// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/ticket_rotation.h"

#include "supervise/parent.h"

static void on_rotate(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct parent *parent = timer->data;

	(void)loop;
	(void)events;
	if (ticket_keys_rotate(parent->ticket_keys))
		log_error("the keys of session tickets could not be rotated: no random numbers");
}

void ticket_rotation_init(struct parent *parent)
{
	ev_timer_init(&parent->rotate, on_rotate, 0., 0.);
	parent->rotate.data = parent;
}

void ticket_rotation_schedule(struct parent *parent)
{
	double period = (double)parent->current->config->tls.ticket_rotation_ns / 1e9;

	ev_timer_stop(parent->loop, &parent->rotate);
	if (period <= 0.)
		return;
	ev_timer_set(&parent->rotate, period, period);
	ev_timer_start(parent->loop, &parent->rotate);
}
