// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/worker_watch.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log_limit.h"
#include "kernel/heartbeat.h"
#include "supervise/accounting.h"
#include "supervise/generation.h"
#include "supervise/open_period.h"
#include "supervise/parent.h"

/* A transition is told that much later than it happens. */
#define LOOK_S 0.1

/* One that gave no sign of life for three quarters of datapath.heartbeat_timeout is relieved:
 * before the kernel takes it for dead. By looks as well: a machine that stood still, and we with
 * it, has no worker that hangs. */
#define RELIEF_LOOKS 3

/* While a worker starts, its connections wait in its listener, so long at most. */
#define START_PATIENCE_NS (10 * NS_PER_S)

enum worker_state { WORKER_UNSEEN, WORKER_ALIVE, WORKER_HUNG, WORKER_MISSING };

struct worker_watch {
	struct parent *parent;
	ev_timer look;
	enum worker_state workers[WORKERS_MAX];
	uint64_t since_ns[WORKERS_MAX];	 /* the last sign of life before it was hung or missing */
	uint64_t stamps_ns[WORKERS_MAX]; /* at the last look … */
	unsigned looks[WORKERS_MAX];	 /* … and how many looks saw the same one */
	struct log_limit relief_log;
	struct open_period open;
	bool seen;		   /* a worker was alive once */
	uint64_t failing_since_ns; /* no worker is alive since then; 0: one is */
};

/* ---- a worker ---- */

static bool worker_runs(const struct parent *parent, unsigned worker)
{
	const struct process *process =
		parent->current->services[GENERATION_WORKER + worker].process;

	return process && process_is_ready(process) && !process_has_ended(process);
}

static enum worker_state worker_state(
	const struct worker_watch *watch, unsigned worker, uint64_t timeout_ns, uint64_t now_ns)
{
	uint64_t stamp_ns = heartbeat_read(watch->parent->heartbeat, worker);

	/* The stamp may have been written after now was read. */
	if (stamp_ns && stamp_ns + timeout_ns >= now_ns)
		return WORKER_ALIVE;
	return worker_runs(watch->parent, worker) ? WORKER_HUNG : WORKER_MISSING;
}

static void worker_changed(
	struct worker_watch *watch, unsigned worker, enum worker_state now, uint64_t now_ns)
{
	static const struct {
		const char *state, *reason;
		enum counter counter;
	} changes[] = {
		[WORKER_ALIVE] = {"alive", "alive again after", COUNTER_WORKER_RECOVERED},
		[WORKER_HUNG] = {"hung", "hangs, no sign of life for", COUNTER_WORKER_HUNG},
		[WORKER_MISSING] = {"missing", "died and is not replaced since",
			COUNTER_WORKER_MISSING},
	};
	struct parent *parent = watch->parent;
	char subject[32], reason[96];

	snprintf(subject, sizeof(subject), "worker %u", worker);
	snprintf(reason, sizeof(reason), "%s %.1f s", changes[now].reason,
		(double)(now_ns - watch->since_ns[worker]) / 1e9);
	if (now == WORKER_ALIVE)
		log_info("%s: %s", subject, reason);
	else
		log_error("%s: %s", subject, reason);
	counter_add(parent->counters, changes[now].counter, 1);
	accounting_state(parent->accounting, subject, changes[now].state, reason);
}

static void worker_look(
	struct worker_watch *watch, unsigned worker, uint64_t timeout_ns, uint64_t now_ns)
{
	enum worker_state before = watch->workers[worker];
	enum worker_state now = worker_state(watch, worker, timeout_ns, now_ns);

	/* One that hangs and is killed is gone for the same reason still. */
	if ((now == WORKER_ALIVE) == (before == WORKER_ALIVE) ||
		(now != WORKER_ALIVE && before == WORKER_UNSEEN))
		return;
	watch->workers[worker] = now;
	if (before == WORKER_ALIVE)
		watch->since_ns[worker] = heartbeat_read(watch->parent->heartbeat, worker);
	if (before != WORKER_UNSEEN)
		worker_changed(watch, worker, now, now_ns);
}

/* ---- relief ---- */

/* Nothing is replaced while there are others of the same place for another reason. */
static bool may_relieve(const struct parent *parent)
{
	const struct service *signer = &parent->current->services[GENERATION_SIGNER];

	return parent->stage == PARENT_RUNNING && !parent->pending && !parent->retiring &&
	       !parent->upgrade.asked && signer->process && process_is_ready(signer->process);
}

static void relieve(struct worker_watch *watch, unsigned worker)
{
	struct parent *parent = watch->parent;
	struct service *service = &parent->current->services[GENERATION_WORKER + worker];
	struct why why = {""};
	char subject[32];
	uint64_t left_out;
	int error = service_relieve(service, &why);

	watch->looks[worker] = 0;
	if (error && log_limit(&watch->relief_log, &left_out))
		log_error("worker %u cannot be relieved: %s", worker, why.text);
	if (!service->process)
		service_start_later(service);
	if (error)
		return;
	counter_add(parent->counters, COUNTER_WORKER_RELIEVED, 1);
	snprintf(subject, sizeof(subject), "worker %u", worker);
	log_warning("%s gives no sign of life: another one takes its place", subject);
	accounting_state(parent->accounting, subject, "relieved",
		"it gives no sign of life: another one takes its place");
}

static void relief_look(
	struct worker_watch *watch, unsigned worker, uint64_t timeout_ns, uint64_t now_ns)
{
	uint64_t stamp_ns = heartbeat_read(watch->parent->heartbeat, worker);

	watch->looks[worker] = stamp_ns == watch->stamps_ns[worker] ? watch->looks[worker] + 1 : 0;
	watch->stamps_ns[worker] = stamp_ns;
	if (stamp_ns && watch->looks[worker] >= RELIEF_LOOKS &&
		now_ns > stamp_ns + timeout_ns / 4 * 3 && may_relieve(watch->parent) &&
		worker_runs(watch->parent, worker))
		relieve(watch, worker);
}

/* ---- the start of one that takes another's place ---- */

/* Whatever the machine has to do: until it can write a stamp of its own, nothing is refused or
 * passes in its place. Not for one that dies again and again, with whom connections would wait in
 * vain. */
static void start_look(struct worker_watch *watch, unsigned worker, uint64_t now_ns)
{
	const struct service *service =
		&watch->parent->current->services[GENERATION_WORKER + worker];
	const struct process *process = service->process;

	if (process && !process_is_ready(process) && !process_has_ended(process) &&
		service->failures <= 1 && heartbeat_read(watch->parent->heartbeat, worker) &&
		now_ns < process_state(process).started_ns + START_PATIENCE_NS)
		heartbeat_vouch(watch->parent->heartbeat, worker);
}

/* ---- all of them ---- */

static void failing_begins(struct worker_watch *watch, uint64_t now_ns)
{
	struct parent *parent = watch->parent;
	const struct config *config = parent->current->config;
	bool modes[2];
	const char *state, *fate;

	watch->failing_since_ns = now_ns;
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
	accounting_state(parent->accounting, "appliance", state, fate);
}

static void failing_ends(struct worker_watch *watch, uint64_t now_ns)
{
	char reason[96];

	snprintf(reason, sizeof(reason),
		"new connections to AI endpoints are inspected again after %.1f s",
		(double)(now_ns - watch->failing_since_ns) / 1e9);
	watch->failing_since_ns = 0;
	counter_add(watch->parent->counters, COUNTER_FAIL_ENDED, 1);
	log_info("%s", reason);
	accounting_state(watch->parent->accounting, "appliance", "inspecting", reason);
}

/* Since when new connections of some source would pass; 0: they do not. */
static uint64_t open_since(const struct worker_watch *watch)
{
	const struct config *config = watch->parent->current->config;
	uint64_t since_ns = 0;
	bool modes[2];

	config_fail_modes(config, modes);
	for (unsigned i = 0; modes[CONFIG_FAIL_OPEN] && i < config->appliance.workers; i++)
		if ((watch->workers[i] == WORKER_HUNG || watch->workers[i] == WORKER_MISSING) &&
			(!since_ns || watch->since_ns[i] < since_ns))
			since_ns = watch->since_ns[i];
	return since_ns ? since_ns + config->datapath.heartbeat_ns : 0;
}

/* The same moment by CLOCK_REALTIME. */
static uint64_t realtime_of(uint64_t at_ns, uint64_t now_ns)
{
	return clock_realtime_ns() - (now_ns > at_ns ? now_ns - at_ns : 0);
}

static void open_look(struct worker_watch *watch, uint64_t now_ns)
{
	struct parent *parent = watch->parent;
	uint64_t since_ns = open_since(watch);

	open_period_look(&watch->open, parent->current->config->appliance.run_directory,
		since_ns != 0, realtime_of(since_ns ? since_ns : now_ns, now_ns),
		datapath_outcome(parent->datapath, OUTCOME_FAILED_OPEN), parent->counters,
		parent->accounting);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker_watch *watch = timer->data;
	const struct generation *current = watch->parent->current;
	const struct config *config = current->config;
	uint64_t now_ns = clock_monotonic_ns();
	unsigned alive = 0;

	(void)loop;
	(void)events;
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		if (i < config->appliance.workers) {
			start_look(watch, i, now_ns);
			relief_look(watch, i, config->datapath.heartbeat_ns, now_ns);
			worker_look(watch, i, config->datapath.heartbeat_ns, now_ns);
		} else {
			watch->workers[i] = WORKER_UNSEEN;
		}
		alive += watch->workers[i] == WORKER_ALIVE;
	}
	open_look(watch, now_ns);
	watch->seen |= alive > 0;
	if (!alive && watch->seen && !watch->failing_since_ns)
		failing_begins(watch, now_ns);
	else if (alive && watch->failing_since_ns)
		failing_ends(watch, now_ns);
}

/* ---- its own life ---- */

/* What passed while no daemon was there is told at the first look. */
static void open_before(struct worker_watch *watch, const char *directory)
{
	uint64_t last_ns = 0, now_ns = clock_monotonic_ns();

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (heartbeat_read(watch->parent->heartbeat, i) > last_ns)
			last_ns = heartbeat_read(watch->parent->heartbeat, i);
	if (open_period_begin(&watch->open, directory,
		    datapath_outcome(watch->parent->datapath, OUTCOME_FAILED_OPEN),
		    realtime_of(last_ns ? last_ns : now_ns, now_ns)))
		log_warning("connections to AI endpoints passed unseen before this start");
}

int worker_watch_new(
	struct parent *parent, const char *directory, struct worker_watch **made, struct why *why)
{
	struct worker_watch *watch = calloc(1, sizeof(*watch));

	*made = NULL;
	if (!watch)
		return why_set(why, ENOMEM, "no memory to watch the workers");
	watch->parent = parent;
	open_before(watch, directory);
	ev_timer_init(&watch->look, on_look, LOOK_S, LOOK_S);
	watch->look.data = watch;
	ev_timer_start(parent->loop, &watch->look);
	*made = watch;
	return 0;
}

void worker_watch_stop(struct worker_watch *watch)
{
	if (watch)
		ev_timer_stop(watch->parent->loop, &watch->look);
}

void worker_watch_free(struct worker_watch *watch)
{
	if (!watch)
		return;
	worker_watch_stop(watch);
	free(watch);
}
