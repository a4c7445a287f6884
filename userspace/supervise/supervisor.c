// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/heartbeat.h"
#include "supervise/accounting.h"
#include "supervise/credential_report.h"
#include "supervise/credential_watch.h"
#include "supervise/event_ring.h"
#include "supervise/generation.h"
#include "supervise/guard_watch.h"
#include "supervise/keys_watch.h"
#include "supervise/limit_watch.h"
#include "supervise/parent.h"
#include "supervise/parent_start.h"
#include "supervise/reload.h"
#include "supervise/sandbox.h"
#include "supervise/scout_watch.h"
#include "supervise/takeover.h"
#include "supervise/ticket_rotation.h"
#include "supervise/upgrade.h"
#include "supervise/worker_watch.h"

#define SWEEP_S	    10.
#define PARENT_NICE (-10)
/* At the end: for the shipper to spool what the workers left. */
#define SPOOL_NS (10 * NS_PER_S)
/* Beyond every deadline of the children: for a parent that miscounted. */
#define LAST_NS (40 * NS_PER_S)

/* ---- the children's news ---- */

static void stop(struct parent *parent, uint64_t within_ns);
static void parent_step(struct parent *parent);

static void fail_start(struct parent *parent)
{
	parent->failed = true;
	if (parent->stage == PARENT_STARTING)
		stop(parent, 0);
}

static void on_ready(void *context, struct process *process)
{
	struct service *service = context;

	log_info("%s: ready", process_name(process));
	if (service->kind == ROLE_SCOUT)
		endpoints_tell(service->parent->datapath, process);
	parent_step(service->parent);
}

static void on_failed(void *context, struct process *process, int error, const char *text)
{
	struct service *service = context;

	log_error("%s: cannot start: %s", process_name(process), text);
	service->temporary = error == -EAGAIN || error == -EBUSY;
}

static void forget_ring(struct parent *parent, const struct ipc_message *m)
{
	struct event_ring *ring;
	struct control_peer peer;
	char byte;

	if (m->len != sizeof(peer))
		return;
	memcpy(&peer, m->body, sizeof(peer));
	ring = event_ring_find(&parent->rings, peer.number);
	/* Only of a worker that is gone indeed. */
	if (ring && read(ring->life, &byte, 1) == 0)
		event_ring_free(ring);
}

static void tell_limited(struct parent *parent, const struct ipc_message *m)
{
	struct control_peer peer;
	char reason[128];

	if (m->len != sizeof(peer))
		return;
	memcpy(&peer, m->body, sizeof(peer));
	snprintf(reason, sizeof(reason),
		"worker process %u asks for more leaves than tls.leaf_rate allows", peer.number);
	accounting_state(parent->accounting, "signer", "limited", reason);
}

static void tell_suspect(struct parent *parent, const struct ipc_message *m)
{
	struct control_suspect suspect;
	char reason[160];

	if (m->len != sizeof(suspect))
		return;
	memcpy(&suspect, m->body, sizeof(suspect));
	snprintf(reason, sizeof(reason), "worker process %u %.*s: it is not what it was",
		suspect.number, (int)strnlen(suspect.problem, sizeof(suspect.problem)),
		suspect.problem);
	log_error("signer: %s", reason);
	accounting_state(parent->accounting, "signer", "suspect", reason);
}

static void on_message(void *context, struct process *process, struct ipc_message *message)
{
	struct service *service = context;

	if (service->kind == ROLE_SCOUT && message->type == CONTROL_ENDPOINT) {
		endpoints_learn(&service->parent->endpoints, service->parent->datapath,
			service->parent->counters, service->parent->accounting, process, message);
	} else if (service->kind == ROLE_SCOUT && message->type == CONTROL_SCOUTED) {
		service->parent->scouted = true;
		parent_step(service->parent);
	} else if (service->kind == ROLE_SIGNER && message->type == CONTROL_LIMITED) {
		tell_limited(service->parent, message);
	} else if (service->kind == ROLE_SIGNER && message->type == CONTROL_SUSPECT) {
		tell_suspect(service->parent, message);
	} else if (service->kind == ROLE_KEEPER && message->type == CONTROL_CREDENTIAL) {
		credential_report_take(service->parent, service, message);
	} else if (service->kind == ROLE_SHIPPER && message->type == CONTROL_PEER_GONE) {
		forget_ring(service->parent, message);
	} else {
		counter_add(service->parent->counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
		log_warning("%s: sent a message of type %u, which it may not",
			process_name(process), message->type);
	}
}

/* What follows for the place of a process that ended. */
static void refill(
	struct service *service, bool was_ready, bool was_draining, const struct process_end *end)
{
	struct parent *parent = service->parent;
	bool stopping = parent->stage >= PARENT_STOPPING_WORKERS;

	service->failures =
		end->clean && was_draining ? 0 : process_failures(service->failures, end->lived_ns);
	if (parent->stage == PARENT_STARTING && !was_ready && !service->temporary) {
		fail_start(parent);
		return;
	}
	if (service->kind == ROLE_SHIPPER) {
		if (parent->swapping && !was_draining)
			reload_abort(parent, "the shipper could not start");
		else if (!parent->swapping && !(stopping && was_draining && end->clean))
			service_start_later(service);
		return;
	}
	if (service->generation == parent->pending && !was_ready) {
		reload_abort(parent, "a process could not start with it");
		return;
	}
	if (!stopping && !service->generation->draining)
		service_start_later(service);
}

static void on_ended(void *context, struct process *process, const struct process_end *end)
{
	struct service *service = context;
	struct parent *parent = service->parent;
	bool was_ready = process_is_ready(process), was_draining = process_is_draining(process);

	if (was_draining && end->clean) {
		log_info("%s: drained", process_name(process));
	} else {
		counter_add(parent->counters, COUNTER_PROCESS_DIED, 1);
		log_error("%s: %s", process_name(process), end->text);
	}
	service->process = NULL;
	process_free(process);
	if (service->kind == ROLE_WORKER)
		limit_watch_ended(parent->limit_watch);
	upgrade_count(parent);
	refill(service, was_ready, was_draining, end);
	parent_step(parent);
}

static const struct process_owner owner = {
	.ready = on_ready,
	.failed = on_failed,
	.message = on_message,
	.ended = on_ended,
};

/* ---- stages ---- */

static void drain_all(struct parent *parent, enum role_kind kind, uint64_t within_ns)
{
	list_for_each (node, &parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);

		for (unsigned i = 0; i < generation->nservices; i++) {
			struct service *service = &generation->services[i];

			if (service->kind == kind && service->process)
				process_drain(service->process, within_ns);
		}
	}
}

static unsigned running(struct parent *parent, enum role_kind kind)
{
	unsigned n = 0;

	list_for_each (node, &parent->generations)
		n += generation_running(list_entry(node, struct generation, node), kind);
	return n;
}

static void drain_server(struct service *service)
{
	if (service->process && !process_is_draining(service->process))
		process_drain(service->process, 0);
}

/* The signer and the keeper of a retired generation serve until its last worker is gone. */
static void clear_retired(struct parent *parent)
{
	list_for_each_safe (node, &parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);

		if (!generation->draining)
			continue;
		if (!generation_running(generation, ROLE_WORKER)) {
			drain_server(&generation->services[GENERATION_SIGNER]);
			drain_server(&generation->services[GENERATION_KEEPER]);
		}
		if (!generation_running(generation, ROLE_KINDS) &&
			parent->shipper.generation != generation)
			generation_free(generation);
	}
}

/* What was asked for while something else was under way. */
static void go_on(struct parent *parent)
{
	bool again = parent->reload_again;

	parent->reload_again = false;
	/* Which reads the configuration anew as well. */
	if (parent->upgrade.asked)
		upgrade_begin(parent);
	else if (again)
		reload_begin(parent);
}

static void step_starting(struct parent *parent)
{
	if (!parent->current || !generation_is_ready(parent->current) || !parent->shipper.process ||
		!process_is_ready(parent->shipper.process) || !parent->scouted)
		return;
	parent->stage = PARENT_RUNNING;
	log_info("ready: %u workers on %s", parent->current->config->appliance.workers,
		parent->current->config->datapath.inside);
	sd_notifyf(0, "READY=1\nSTATUS=%u workers", parent->current->config->appliance.workers);
	go_on(parent);
}

static void step_last(struct parent *parent)
{
	struct service *shipper = &parent->shipper;

	/* What it has to tell at the end goes to the shipper as well. */
	if (!accounting_stop(parent->accounting))
		return;
	if (shipper->process && !process_is_draining(shipper->process))
		process_drain(shipper->process, SPOOL_NS);
	if (!shipper->process && !ev_is_active(&shipper->restart) && !running(parent, ROLE_KINDS))
		ev_break(parent->loop, EVBREAK_ALL);
}

static void parent_step(struct parent *parent)
{
	switch (parent->stage) {
	case PARENT_STARTING:
		step_starting(parent);
		break;
	case PARENT_RUNNING:
		reload_step(parent);
		clear_retired(parent);
		break;
	case PARENT_STOPPING_WORKERS:
		if (running(parent, ROLE_WORKER))
			break;
		parent->stage = PARENT_STOPPING_REST;
		drain_all(parent, ROLE_SCOUT, 0);
		drain_all(parent, ROLE_SIGNER, 0);
		drain_all(parent, ROLE_KEEPER, 0);
		/* fall through */
	case PARENT_STOPPING_REST:
		step_last(parent);
	}
}

/* ---- the end ---- */

static void on_stop_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct parent *parent = timer->data;

	(void)events;
	log_error("some processes did not end in time");
	parent->failed = true;
	ev_break(loop, EVBREAK_ALL);
}

static void cancel_restarts(struct parent *parent)
{
	list_for_each (node, &parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);

		generation->draining = true;
		for (unsigned i = 0; i < generation->nservices; i++)
			ev_timer_stop(parent->loop, &generation->services[i].restart);
	}
}

/* Established flows stay steered until their workers are gone; new ones are reset by the kernel as
 * soon as nobody listens, because they must not pass unseen. */
static void stop(struct parent *parent, uint64_t within_ns)
{
	parent->stage = PARENT_STOPPING_WORKERS;
	parent->pending = parent->retiring = NULL;
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
	upgrade_abandon(parent);
	ev_timer_stop(parent->loop, &parent->reload_deadline);
	ev_timer_stop(parent->loop, &parent->settle);
	ev_timer_stop(parent->loop, &parent->rotate);
	worker_watch_stop(parent->worker_watch);
	cancel_restarts(parent);
	worker_listeners_shrink(&parent->listeners, 0);
	gateway_listeners_keep(&parent->gateways, NULL);
	drain_all(parent, ROLE_WORKER, within_ns);
	/* A shipper that a reload has just sent away: there are events to be spooled. */
	if (parent->swapping && !parent->shipper.process)
		service_start_later(&parent->shipper);
	parent->swapping = false;
	ev_timer_set(&parent->stop_deadline, (double)(within_ns + LAST_NS) / 1e9, 0.);
	ev_timer_start(parent->loop, &parent->stop_deadline);
	parent_step(parent);
}

static void on_terminate(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct parent *parent = signal->data;
	uint64_t within_ns = parent->current->config->processes.drain_ns;

	(void)loop;
	(void)events;
	if (parent->stage < PARENT_STOPPING_WORKERS) {
		log_info("told to end: exchanges in flight have %.0f s", (double)within_ns / 1e9);
		stop(parent, within_ns);
		return;
	}
	log_info("told again to end: what is in flight is cut");
	drain_all(parent, ROLE_WORKER, 0);
}

static void on_hangup(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	reload_begin(signal->data);
	parent_step(signal->data);
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	reload_settle(timer->data);
	parent_step(timer->data);
}

static void on_upgrade(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	upgrade_begin(signal->data);
}

static const struct parent_ops ops = {
	.step = parent_step,
	.reloaded = upgrade_told,
	.go_on = go_on,
};

/* ---- the clock's business ---- */

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	sd_notify(0, "WATCHDOG=1");
}

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct parent *parent = timer->data;

	(void)loop;
	(void)events;
	datapath_endpoint_sweep(parent->datapath, clock_monotonic_ns());
	endpoints_look(&parent->endpoints, parent->accounting, clock_monotonic_ns());
	upgrade_count(parent);
	credential_watch_look(parent->credential_watch);
	if (parent->current)
		selftest_watch_look(&parent->selftest,
			parent->current->config->appliance.run_directory, parent->accounting);
}

static void watch_signal(struct parent *parent, ev_signal *watcher, int number,
	void (*callback)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, callback, number);
	watcher->data = parent;
	ev_signal_start(parent->loop, watcher);
}

static void watch(struct parent *parent)
{
	uint64_t watchdog_us = 0;
	double half;

	ev_timer_start(parent->loop, &parent->sweep);
	if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
		half = (double)watchdog_us / 2e6;
		ev_timer_set(&parent->watchdog, half, half);
		ev_timer_start(parent->loop, &parent->watchdog);
	}
	ticket_rotation_schedule(parent);
	parent->keys_watch = keys_watch_new(parent);
	if (!parent->keys_watch)
		log_error("policy.keys_file: no memory to watch it: keys that change need a reload");
}

/* ---- the start ---- */

static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run(struct parent *parent, struct why *why)
{
	struct manifest manifest;
	int error, handed_over;

	if (geteuid() != 0)
		return why_set(why, EPERM,
			"must be started as root: it gives root up in every process that sees "
			"traffic");
	handed_over = takeover_read(&manifest, why);
	error = handed_over < 0 ? handed_over : 0;
	if (handed_over > 0)
		takeover(parent, &manifest);
	else if (!error)
		error = parent_start(parent, why);
	manifest_free(&manifest);
	if (error)
		return error;
	watch(parent);
	ev_run(parent->loop, 0);
	return 0;
}

static void finish(struct parent *parent)
{
	ev_timer_stop(parent->loop, &parent->shipper.restart);
	if (parent->current) {
		generation_unpublish(parent->current);
		credential_report_remove(parent);
	}
	list_for_each_safe (node, &parent->generations)
		generation_free(list_entry(node, struct generation, node));
	process_free(parent->shipper.process);
	accounting_free(parent->accounting);
	list_for_each_safe (node, &parent->rings)
		event_ring_free(list_entry(node, struct event_ring, node));
	worker_listeners_shrink(&parent->listeners, 0);
	gateway_listeners_keep(&parent->gateways, NULL);
	ticket_keys_unmap(parent->ticket_keys);
	if (parent->tickets >= 0)
		close(parent->tickets);
	if (parent->standing >= 0)
		close(parent->standing);
	limit_watch_free(parent->limit_watch);
	worker_watch_free(parent->worker_watch);
	heartbeat_unmap(parent->heartbeat);
	scout_watch_free(parent->scout_watch);
	guard_watch_free(parent->guard_watch);
	keys_watch_free(parent->keys_watch);
	credential_watch_free(parent->credential_watch);
	datapath_close(parent->datapath);
	counters_close(parent->counters);
	if (parent->counters_path)
		unlink(parent->counters_path);
	free(parent->counters_path);
	if (parent->lock >= 0)
		close(parent->lock);
	/* libev's handlers know the loop. */
	ev_signal_stop(parent->loop, &parent->terminate);
	ev_signal_stop(parent->loop, &parent->interrupt);
	ev_signal_stop(parent->loop, &parent->hangup);
	upgrade_close(parent);
	ev_loop_destroy(parent->loop);
	free(parent);
}

static void init_timer(struct parent *parent, ev_timer *timer,
	void (*callback)(struct ev_loop *, ev_timer *, int), double period)
{
	ev_timer_init(timer, callback, period, period);
	timer->data = parent;
}

/* Nothing that the children have to do keeps the parent from seeing that one of them hangs before
 * the kernel does; it has little to do itself. The children make themselves as nice as others.
 * Without the capability to it (CAP_SYS_NICE) that depends on who else wants to run. */
static void hurry(void)
{
	(void)setpriority(PRIO_PROCESS, 0, PARENT_NICE);
}

int supervisor_main(const struct parent_options *options)
{
	struct parent *parent = calloc(1, sizeof(*parent));
	struct why why = {""};
	sigset_t none;
	bool failed;

	log_open("parent", options->log_level);
	if (!parent || !(parent->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV))) {
		log_error("no event loop: is there memory, and epoll?");
		free(parent);
		return EXIT_FAILURE;
	}
	parent->options = options;
	parent->ops = &ops;
	parent->owner = &owner;
	parent->lock = -1;
	parent->next_number = 1;
	list_init(&parent->generations);
	list_init(&parent->rings);
	parent->tickets = -1;
	parent->standing = -1;
	init_timer(parent, &parent->watchdog, on_watchdog, 0.);
	init_timer(parent, &parent->sweep, on_sweep, SWEEP_S);
	ticket_rotation_init(parent);
	init_timer(parent, &parent->stop_deadline, on_stop_deadline, 0.);
	init_timer(parent, &parent->reload_deadline, reload_on_deadline, 0.);
	init_timer(parent, &parent->settle, on_settled, 0.);
	upgrade_init(parent);
	hurry();
	signal(SIGPIPE, SIG_IGN);
	/* From now on, so that none ends the process halfway; they are looked at by the loop. */
	watch_signal(parent, &parent->terminate, SIGTERM, on_terminate);
	watch_signal(parent, &parent->interrupt, SIGINT, on_terminate);
	watch_signal(parent, &parent->hangup, SIGHUP, on_hangup);
	watch_signal(parent, &parent->upgrade.signal, SIGUSR2, on_upgrade);
	/* A parent before may have left them blocked, so that none came too early. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	raise_descriptors();
	if (sandbox_no_dump(&why) || run(parent, &why)) {
		log_error("%s", why.text);
		parent->failed = true;
	}
	failed = parent->failed;
	finish(parent);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
