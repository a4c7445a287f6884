// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/vitals.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "kernel/heartbeat.h"
#include "supervise/parent.h"

/* A transition is told that much later than it happens. */
#define LOOK_S 0.1

enum vital { VITAL_UNSEEN, VITAL_ALIVE, VITAL_HUNG, VITAL_MISSING };

struct vitals {
	struct parent *parent;
	struct heartbeat *heartbeat;
	ev_timer look;
	enum vital workers[WORKERS_MAX];
	uint64_t since_ns[WORKERS_MAX]; /* the last sign of life before it was hung or missing */
	bool seen;			/* a worker was alive once */
	uint64_t failing_since_ns;	/* no worker is alive since then; 0: one is */
};

/* ---- a worker ---- */

static bool worker_runs(const struct parent *parent, unsigned worker)
{
	const struct process *process = parent->current->slots[GENERATION_WORKER + worker].process;

	return process && process_is_ready(process) && !process_has_ended(process);
}

static enum vital worker_vital(
	const struct vitals *vitals, unsigned worker, uint64_t timeout_ns, uint64_t now_ns)
{
	uint64_t stamp_ns = heartbeat_read(vitals->heartbeat, worker);

	/* The stamp may have been written after now was read. */
	if (stamp_ns && stamp_ns + timeout_ns >= now_ns)
		return VITAL_ALIVE;
	return worker_runs(vitals->parent, worker) ? VITAL_HUNG : VITAL_MISSING;
}

static void worker_changed(struct vitals *vitals, unsigned worker, enum vital now, uint64_t now_ns)
{
	static const struct {
		const char *state, *reason;
		enum counter counter;
	} changes[] = {
		[VITAL_ALIVE] = {"alive", "alive again after", COUNTER_WORKER_RECOVERED},
		[VITAL_HUNG] = {"hung", "hangs, no sign of life for", COUNTER_WORKER_HUNG},
		[VITAL_MISSING] = {"missing", "died and is not replaced since",
			COUNTER_WORKER_MISSING},
	};
	struct parent *parent = vitals->parent;
	char subject[32], reason[96];

	snprintf(subject, sizeof(subject), "worker %u", worker);
	snprintf(reason, sizeof(reason), "%s %.1f s", changes[now].reason,
		(double)(now_ns - vitals->since_ns[worker]) / 1e9);
	if (now == VITAL_ALIVE)
		log_info("%s: %s", subject, reason);
	else
		log_error("%s: %s", subject, reason);
	counter_add(parent->counters, changes[now].counter, 1);
	census_state(parent->census, subject, changes[now].state, reason);
}

static void worker_look(
	struct vitals *vitals, unsigned worker, uint64_t timeout_ns, uint64_t now_ns)
{
	enum vital before = vitals->workers[worker];
	enum vital now = worker_vital(vitals, worker, timeout_ns, now_ns);

	/* One that hangs and is killed is gone for the same reason still. */
	if ((now == VITAL_ALIVE) == (before == VITAL_ALIVE) ||
		(now != VITAL_ALIVE && before == VITAL_UNSEEN))
		return;
	vitals->workers[worker] = now;
	if (before == VITAL_ALIVE)
		vitals->since_ns[worker] = heartbeat_read(vitals->heartbeat, worker);
	if (before != VITAL_UNSEEN)
		worker_changed(vitals, worker, now, now_ns);
}

/* ---- all of them ---- */

static void failing_begins(struct vitals *vitals, uint64_t now_ns)
{
	struct parent *parent = vitals->parent;
	const struct config *config = parent->current->config;
	bool modes[2];
	const char *state, *fate;

	vitals->failing_since_ns = now_ns;
	config_fail_modes(config, modes);
	if (modes[CONFIG_FAIL_CLOSED])
		counter_add(parent->counters, COUNTER_FAIL_CLOSED, 1);
	if (modes[CONFIG_FAIL_OPEN])
		counter_add(parent->counters, COUNTER_FAIL_OPEN, 1);
	if (!modes[CONFIG_FAIL_OPEN]) {
		state = "closed";
		fate = "no worker is alive: new connections to AI endpoints are reset";
	} else if (!modes[CONFIG_FAIL_CLOSED]) {
		state = "open";
		fate = "no worker is alive: new connections to AI endpoints pass unseen";
	} else {
		state = "mixed";
		fate = "no worker is alive: new connections to AI endpoints are reset, or pass "
		       "unseen where the host fails open";
	}
	log_error("%s", fate);
	census_state(parent->census, "appliance", state, fate);
}

static void failing_ends(struct vitals *vitals, uint64_t now_ns)
{
	char reason[96];

	snprintf(reason, sizeof(reason),
		"new connections to AI endpoints are inspected again after %.1f s",
		(double)(now_ns - vitals->failing_since_ns) / 1e9);
	vitals->failing_since_ns = 0;
	counter_add(vitals->parent->counters, COUNTER_FAIL_ENDED, 1);
	log_info("%s", reason);
	census_state(vitals->parent->census, "appliance", "inspecting", reason);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct vitals *vitals = timer->data;
	const struct generation *current = vitals->parent->current;
	const struct config *config = current->config;
	uint64_t now_ns = clock_monotonic_ns();
	unsigned alive = 0;

	(void)loop;
	(void)events;
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		if (i < config->appliance.workers)
			worker_look(vitals, i, config->datapath.heartbeat_ns, now_ns);
		else
			vitals->workers[i] = VITAL_UNSEEN;
		alive += vitals->workers[i] == VITAL_ALIVE;
	}
	vitals->seen |= alive > 0;
	if (!alive && vitals->seen && !vitals->failing_since_ns)
		failing_begins(vitals, now_ns);
	else if (alive && vitals->failing_since_ns)
		failing_ends(vitals, now_ns);
}

/* ---- its own life ---- */

int vitals_new(struct parent *parent, struct vitals **made, struct why *why)
{
	struct vitals *vitals = calloc(1, sizeof(*vitals));
	int error;

	*made = NULL;
	if (!vitals)
		return why_set(why, ENOMEM, "no memory to watch the workers");
	vitals->parent = parent;
	/* It vouches for others and has no stamp of its own. */
	error = heartbeat_map(datapath_heartbeats(parent->datapath), 0, &vitals->heartbeat, why);
	if (error) {
		free(vitals);
		return error;
	}
	ev_timer_init(&vitals->look, on_look, LOOK_S, LOOK_S);
	vitals->look.data = vitals;
	ev_timer_start(parent->loop, &vitals->look);
	*made = vitals;
	return 0;
}

void vitals_stop(struct vitals *vitals)
{
	if (vitals)
		ev_timer_stop(vitals->parent->loop, &vitals->look);
}

void vitals_free(struct vitals *vitals)
{
	if (!vitals)
		return;
	vitals_stop(vitals);
	heartbeat_unmap(vitals->heartbeat);
	free(vitals);
}

void vitals_vouch(struct vitals *vitals, unsigned worker)
{
	heartbeat_vouch(vitals->heartbeat, worker);
}
