// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/scout_watch.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "kernel/heartbeat.h"
#include "kernel/queue_drops.h"
#include "kernel/queue_rules.h"
#include "supervise/accounting.h"
#include "supervise/parent.h"

#define LOOK_S 0.1
#define DROPS_LOOKS 5 /* how often what the queues lost is looked at */

struct scout_watch {
	struct parent *parent;
	struct heartbeat *heartbeat;
	ev_timer look;
	uint64_t stamp_ns; /* at the last look */
	unsigned looks;	   /* that saw the same one */
	uint32_t number;   /* of the scout that gave the last one that was seen */
	bool told;	   /* that there is none any more */
	unsigned drops_looks;
	uint64_t drops; /* of the queues that there are, as they were counted */
};

/* Whether there is one that read the queues: a new one has done nothing wrong. */
static bool old_one_runs(const struct scout_watch *watch)
{
	const struct parent *parent = watch->parent;

	list_for_each (node, &parent->generations) {
		const struct generation *generation = list_entry(node, struct generation, node);
		const struct service *service = &generation->services[GENERATION_SCOUT];

		if (service->process && process_is_ready(service->process) &&
			(service->number == watch->number || generation->draining))
			return true;
	}
	return false;
}

/* During a reload there are two; whichever has the queues, they are not read. */
static void kill_all(struct parent *parent)
{
	list_for_each (node, &parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);
		struct process *scout = generation->services[GENERATION_SCOUT].process;

		if (scout)
			process_kill(scout);
	}
}

/* The stamp is too old: of a scout that hangs, or that is not replaced yet. */
static void silence(struct scout_watch *watch, uint64_t timeout_ns)
{
	struct parent *parent = watch->parent;
	bool open = parent->current->config->datapath.fail == CONFIG_FAIL_OPEN;
	bool hangs = old_one_runs(watch);
	char reason[160];

	watch->told = true;
	snprintf(reason, sizeof(reason), "%s %.1f s: meanwhile connections to unknown addresses %s",
		hangs ? "hangs and is killed, no sign of life for"
		      : "is missing, nobody reads the packet queues since",
		(double)timeout_ns / 1e9, open ? "pass unseen" : "are dropped");
	log_error("scout: %s", reason);
	accounting_state(parent->accounting, "scout", hangs ? "hung" : "missing", reason);
	counter_add(parent->counters, hangs ? COUNTER_SCOUT_HUNG : COUNTER_SCOUT_MISSING, 1);
	if (hangs)
		kill_all(parent);
}

static void sign(struct scout_watch *watch)
{
	watch->looks = 0;
	watch->number = watch->parent->current->services[GENERATION_SCOUT].number;
	if (!watch->told)
		return;
	watch->told = false;
	log_info("scout: the packet queues are read again");
	accounting_state(
		watch->parent->accounting, "scout", "alive", "the packet queues are read again");
}

/* Queues that were opened anew begin to count anew. */
static void drops_look(struct scout_watch *watch)
{
	struct parent *parent = watch->parent;
	uint64_t drops;

	if (++watch->drops_looks < DROPS_LOOKS || !parent->current)
		return;
	watch->drops_looks = 0;
	drops = queue_drops_read(parent->current->config->datapath.queue_base,
		QUEUE_RULES_KINDS * queue_rules_queues());
	counter_add(parent->counters, COUNTER_QUEUE_DROPPED,
		drops < watch->drops ? drops : drops - watch->drops);
	watch->drops = drops;
}

/* By looks, not by the clock: a machine that stood still for a while, and we with it, has no scout
 * that hangs. */
static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct scout_watch *watch = timer->data;
	struct parent *parent = watch->parent;
	uint64_t stamp_ns = heartbeat_read(watch->heartbeat, HEARTBEAT_SCOUT);
	uint64_t timeout_ns;

	(void)loop;
	(void)events;
	if (!parent->current || parent->stage == PARENT_STOPPING_REST ||
		parent->current->config->endpoints.learn == CONFIG_LEARN_OFF) {
		watch->looks = 0;
	} else if (stamp_ns != watch->stamp_ns) {
		sign(watch);
	} else if (parent->stage != PARENT_STARTING && !watch->told) {
		timeout_ns = parent->current->config->datapath.heartbeat_ns;
		if (++watch->looks * (uint64_t)(LOOK_S * NS_PER_S) >= timeout_ns)
			silence(watch, timeout_ns);
	}
	watch->stamp_ns = stamp_ns;
	drops_look(watch);
}

int scout_watch_new(struct parent *parent, struct scout_watch **made, struct why *why)
{
	struct scout_watch *watch = calloc(1, sizeof(*watch));
	int error;

	*made = NULL;
	if (!watch)
		return why_set(why, ENOMEM, "no memory to watch the scout");
	watch->parent = parent;
	error = heartbeat_map(
		datapath_heartbeats(parent->datapath), HEARTBEAT_SCOUT, &watch->heartbeat, why);
	if (error) {
		free(watch);
		return error;
	}
	/* Of an earlier life, or of the program before. */
	watch->drops =
		queue_drops_read(parent->current ? parent->current->config->datapath.queue_base : 0,
			parent->current ? QUEUE_RULES_KINDS * queue_rules_queues() : 0);
	watch->stamp_ns = heartbeat_read(watch->heartbeat, HEARTBEAT_SCOUT);
	ev_timer_init(&watch->look, on_look, LOOK_S, LOOK_S);
	watch->look.data = watch;
	ev_timer_start(parent->loop, &watch->look);
	*made = watch;
	return 0;
}

void scout_watch_free(struct scout_watch *watch)
{
	if (!watch)
		return;
	ev_timer_stop(watch->parent->loop, &watch->look);
	heartbeat_unmap(watch->heartbeat);
	free(watch);
}
