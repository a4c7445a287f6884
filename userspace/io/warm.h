/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that a connection keeps while it is in use, and gives back when it rests: to allocate the
 * buffers of TLS anew for each record costs more than to fill them. Of many connections in use only
 * those that were used last keep theirs. */
#ifndef IO_WARM_H
#define IO_WARM_H

#include <ev.h>
#include <stddef.h>

#include "base/list.h"

#define WARM_REST_S 0.2 /* without use: it rests */
#define WARM_MOST   160 /* at a time; each keeps some 40 KiB */

struct warm {
	struct list node;
	ev_tstamp used;
	void (*cool)(struct warm *); /* gives the memory back */
};

struct warms {
	struct ev_loop *loop;
	struct list all; /* who was used last is last */
	size_t n;
	ev_timer rest;
};

/* Keeps no loop alive by itself, and must not move while it is open. */
void warms_open(struct warms *warms, struct ev_loop *loop);
/* None may be warm any more. */
void warms_close(struct warms *warms);

void warm_init(struct warm *warm, void (*cool)(struct warm *));
/* The connection is in use now. */
void warm_use(struct warms *warms, struct warm *warm);
/* The connection ends: cool is not called. Allowed when it is not warm. */
void warm_end(struct warms *warms, struct warm *warm);

#endif
