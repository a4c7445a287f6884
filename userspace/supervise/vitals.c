// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/vitals.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log_limit.h"
#include "kernel/heartbeat.h"
#include "supervise/open_period.h"
#include "supervise/parent.h"

/* A transition is told that much later than it happens. */
#define LOOK_S 0.1

/* One that gave no sign of life for three quarters of datapath.heartbeat_timeout is relieved: before
 * the kernel takes it for dead. By looks as well: a machine that stood still, and we with it, has no
 * worker that hangs. */
#define RELIEF_LOOKS 3

enum vital { VITAL_UNSEEN, VITAL_ALIVE, VITAL_HUNG, VITAL_MISSING };

struct vitals {
	struct parent *parent;
	struct heartbeat *heartbeat;
	ev_timer look;
	enum vital workers[WORKERS_MAX];
	uint64_t since_ns[WORKERS_MAX]; /* the last sign of life before it was hung or missing */
	uint64_t stamps_ns[WORKERS_MAX]; /* at the last look … */
	unsigned looks[WORKERS_MAX];	 /* … and how many looks saw the same one */
	struct log_limit relief_log;
	struct open_period open;
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

/* ---- relief ---- */

/* Nothing is replaced while there are others of the same place for another reason. */
static bool may_relieve(const struct parent *parent)
{
	const struct slot *signer = &parent->current->slots[GENERATION_SIGNER];

	return parent->stage == PARENT_RUNNING && !parent->pending && !parent->retiring &&
	       !parent->upgrade.asked && signer->process && process_is_ready(signer->process);
}

static void relieve(struct vitals *vitals, unsigned worker)
{
	struct parent *parent = vitals->parent;
	struct slot *slot = &parent->current->slots[GENERATION_WORKER + worker];
	struct why why = {""};
	char subject[32];
	uint64_t left_out;
	int error = slot_relieve(slot, &why);

	vitals->looks[worker] = 0;
	if (error && log_limit(&vitals->relief_log, &left_out))
		log_error("worker %u cannot be relieved: %s", worker, why.text);
	if (!slot->process)
		slot_start_later(slot);
	if (error)
		return;
	counter_add(parent->counters, COUNTER_WORKER_RELIEVED, 1);
	snprintf(subject, sizeof(subject), "worker %u", worker);
	log_warning("%s gives no sign of life: another one takes its place", subject);
	census_state(parent->census, subject, "relieved",
		"it gives no sign of life: another one takes its place");
}

static void relief_look(struct vitals *vitals, unsigned worker, uint64_t timeout_ns, uint64_t now_ns)
{
	uint64_t stamp_ns = heartbeat_read(vitals->heartbeat, worker);

	vitals->looks[worker] = stamp_ns == vitals->stamps_ns[worker] ? vitals->looks[worker] + 1 : 0;
	vitals->stamps_ns[worker] = stamp_ns;
	if (stamp_ns && vitals->looks[worker] >= RELIEF_LOOKS &&
		now_ns > stamp_ns + timeout_ns / 4 * 3 && may_relieve(vitals->parent) &&
		worker_runs(vitals->parent, worker))
		relieve(vitals, worker);
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

/* Since when new connections of some source would pass; 0: they do not. */
static uint64_t open_since(const struct vitals *vitals)
{
	const struct config *config = vitals->parent->current->config;
	uint64_t since_ns = 0;
	bool modes[2];

	config_fail_modes(config, modes);
	for (unsigned i = 0; modes[CONFIG_FAIL_OPEN] && i < config->appliance.workers; i++)
		if ((vitals->workers[i] == VITAL_HUNG || vitals->workers[i] == VITAL_MISSING) &&
			(!since_ns || vitals->since_ns[i] < since_ns))
			since_ns = vitals->since_ns[i];
	return since_ns ? since_ns + config->datapath.heartbeat_ns : 0;
}

/* The same moment by CLOCK_REALTIME. */
static uint64_t realtime_of(uint64_t at_ns, uint64_t now_ns)
{
	return clock_realtime_ns() - (now_ns > at_ns ? now_ns - at_ns : 0);
}

static void open_look(struct vitals *vitals, uint64_t now_ns)
{
	struct parent *parent = vitals->parent;
	uint64_t since_ns = open_since(vitals);

	open_period_look(&vitals->open, parent->current->config->appliance.run_directory,
		since_ns != 0, realtime_of(since_ns ? since_ns : now_ns, now_ns),
		datapath_outcome(parent->datapath, OUTCOME_FAILED_OPEN), parent->counters,
		parent->census);
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
		if (i < config->appliance.workers) {
			relief_look(vitals, i, config->datapath.heartbeat_ns, now_ns);
			worker_look(vitals, i, config->datapath.heartbeat_ns, now_ns);
		} else {
			vitals->workers[i] = VITAL_UNSEEN;
		}
		alive += vitals->workers[i] == VITAL_ALIVE;
	}
	open_look(vitals, now_ns);
	vitals->seen |= alive > 0;
	if (!alive && vitals->seen && !vitals->failing_since_ns)
		failing_begins(vitals, now_ns);
	else if (alive && vitals->failing_since_ns)
		failing_ends(vitals, now_ns);
}

/* ---- its own life ---- */

/* What passed while no daemon was there is told at the first look. */
static void open_before(struct vitals *vitals, const char *directory)
{
	uint64_t last_ns = 0, now_ns = clock_monotonic_ns();

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (heartbeat_read(vitals->heartbeat, i) > last_ns)
			last_ns = heartbeat_read(vitals->heartbeat, i);
	if (open_period_begin(&vitals->open, directory,
		    datapath_outcome(vitals->parent->datapath, OUTCOME_FAILED_OPEN),
		    realtime_of(last_ns ? last_ns : now_ns, now_ns)))
		log_warning("connections to AI endpoints passed unseen before this start");
}

int vitals_new(struct parent *parent, const char *directory, struct vitals **made,
	struct why *why)
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
	open_before(vitals, directory);
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
