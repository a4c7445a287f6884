/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a load balancer should send clients here: while new calls are inspected and recorded, and
 * no maintenance is near. */
#ifndef CLI_HEALTH_STATE_H
#define CLI_HEALTH_STATE_H

#include <stdbool.h>

#include "base/why.h"
#include "config/config.h"

/* In appliance.run_directory while the appliance drains; a restart of the machine ends it. */
#define DRAIN_FILE "drain"

struct health_state {
	bool ready;
	const char *reason; /* "ready", or why not: a few words for whoever may ask */
	uint64_t connections; /* steered, and open; when they are to be counted */
};

/* 0, or negative errno and why: the kernel cannot be asked. count: counts connections, which takes a
 * look at all of the flow table. */
int health_read(
	const struct config *config, bool count, struct health_state *health, struct why *why);

#endif
