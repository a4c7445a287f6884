// SPDX-License-Identifier: GPL-2.0-or-later
/* SIGHUP. The new configuration gets processes of its own beside the old ones; they share the
 * listeners. Only when all of them are ready, the shipper (who alone may own the spool) included,
 * the old ones are told to drain. Until then any failure leaves everything as it was. */
#include "supervise/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "supervise/accounting.h"
#include "supervise/credential_report.h"
#include "supervise/generation.h"
#include "supervise/keys_watch.h"
#include "supervise/parent.h"
#include "supervise/ticket_rotation.h"

#define RELOAD_S 60.
/* Fewer workers: a handshake under way with a listener that goes away gets this long. */
#define SETTLE_S 1.

const char *reload_unchangeable(const struct config *old, const struct config *new)
{
	if (strcmp(old->appliance.run_directory, new->appliance.run_directory) != 0)
		return "appliance.run_directory";
	return config_datapath_restart(&old->datapath, &new->datapath);
}

/* ---- the end of a reload ---- */

static void tell_done(struct parent *parent, const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
	parent->ops->go_on(parent);
}

static void refuse(struct parent *parent, const char *reason)
{
	counter_add(parent->counters, COUNTER_RELOAD_REFUSED, 1);
	if (!parent->ops->reloaded(parent, reason))
		log_error("reload refused, the old configuration stays: %s", reason);
	tell_done(parent, "the last reload was refused: see the log");
}

void reload_retire(struct generation *generation)
{
	generation->draining = true;
	for (unsigned i = 0; i < generation->nservices; i++) {
		struct service *service = &generation->services[i];

		ev_timer_stop(service->parent->loop, &service->restart);
		if (!service->process)
			continue;
		if (service->kind == ROLE_WORKER)
			process_drain(service->process, UINT64_MAX);
		else if (service->kind == ROLE_SCOUT)
			process_drain(service->process, 0);
	}
}

/* To what the configuration in force has. */
static void shrink(struct parent *parent)
{
	const struct config *config = parent->current->config;

	worker_listeners_shrink(&parent->listeners, config->appliance.workers);
	gateway_listeners_keep(&parent->gateways, config);
}

void reload_abort(struct parent *parent, const char *reason)
{
	struct generation *generation = parent->pending;

	parent->pending = NULL;
	ev_timer_stop(parent->loop, &parent->reload_deadline);
	if (parent->swapping) {
		parent->swapping = false;
		parent->shipper.generation = parent->current;
		/* Started again when it ended, by supervisor.c. */
		if (parent->shipper.process)
			process_drain(parent->shipper.process, 0);
		else
			service_start_later(&parent->shipper);
	}
	shrink(parent);
	/* Its workers may have accepted connections already. */
	reload_retire(generation);
	refuse(parent, reason);
}

void reload_settle(struct parent *parent)
{
	struct generation *old = parent->retiring;

	parent->retiring = NULL;
	ev_timer_stop(parent->loop, &parent->settle);
	shrink(parent);
	if (old)
		reload_retire(old);
}

static void commit(struct parent *parent)
{
	struct generation *old = parent->current;
	unsigned workers = parent->pending->config->appliance.workers;
	bool fewer = workers < old->config->appliance.workers;
	struct why why = {""};
	int error = datapath_reconfigure(parent->datapath, parent->pending->config, &why);

	if (!error) {
		error = datapath_workers(parent->datapath, workers);
		if (error)
			why_set(&why, -error, "datapath: cannot set the number of workers: %s",
				strerror(-error));
	}
	if (error) {
		reload_abort(parent, why.text);
		return;
	}
	ev_timer_stop(parent->loop, &parent->reload_deadline);
	if (config_fail_differs(old->config, parent->pending->config))
		datapath_endpoint_fail(parent->datapath, parent->pending->config);
	parent->current = parent->pending;
	parent->pending = NULL;
	parent->swapping = false;
	generation_publish(parent->current, parent->options->config_path);
	credential_report_write(parent);
	ticket_rotation_schedule(parent);
	accounting_reconfigure(parent->accounting, parent->current->config);
	keys_watch_reconfigure(parent->keys_watch);
	parent->retiring = old;
	if (fewer) {
		ev_timer_set(&parent->settle, SETTLE_S, 0.);
		ev_timer_start(parent->loop, &parent->settle);
	} else {
		reload_settle(parent);
	}
	counter_add(parent->counters, COUNTER_RELOAD_DONE, 1);
	log_info("reloaded: %u workers; %u of the old configuration drain", workers,
		generation_running(old, ROLE_WORKER));
	tell_done(parent, parent->ops->reloaded(parent, NULL) ? "upgraded" : "reloaded");
}

/* ---- its course ---- */

static void swap_shipper(struct parent *parent)
{
	struct service *shipper = &parent->shipper;
	struct why why = {""};

	if (!parent->swapping) {
		parent->swapping = true;
		shipper->generation = parent->pending;
		ev_timer_stop(parent->loop, &shipper->restart);
		if (shipper->process) {
			process_drain(shipper->process, 0);
			return;
		}
	}
	if (!shipper->process) {
		if (service_start(shipper, &why))
			reload_abort(parent, why.text);
		return;
	}
	if (process_is_ready(shipper->process) && !process_is_draining(shipper->process))
		commit(parent);
}

void reload_step(struct parent *parent)
{
	if (parent->pending && generation_is_ready(parent->pending))
		swap_shipper(parent);
}

void reload_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	reload_abort(timer->data, "its processes were not ready in time");
}

static int start_pending(
	struct parent *parent, struct config *config, struct slice text, struct why *why)
{
	int error = 0;

	parent->pending = generation_new(parent, config, text, why);
	if (!parent->pending)
		return -EINVAL;
	error = worker_listeners_grow(&parent->listeners, parent->pending->config, parent->datapath,
		parent->pending->config->appliance.workers, why);
	if (!error)
		error = gateway_listeners_open(&parent->gateways, parent->pending->config, why);
	for (unsigned i = 0; i < parent->pending->nservices && !error; i++)
		error = service_start(&parent->pending->services[i], why);
	return error;
}

void reload_begin(struct parent *parent)
{
	struct buf text = BUF_EMPTY;
	struct why why = {""};
	struct config *config;
	const char *key;

	if (parent->stage >= PARENT_STOPPING_WORKERS)
		return;
	parent->reload_again =
		parent->stage == PARENT_STARTING || parent->pending || parent->upgrade.trial > 0;
	if (parent->reload_again)
		return;
	log_info("reloading %s", parent->options->config_path);
	reload_settle(parent);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
	if (generation_load(parent->options->config_path, &config, &text)) {
		refuse(parent, "the new one cannot be used");
	} else if ((key = reload_unchangeable(parent->current->config, config))) {
		why_set(&why, EINVAL, "%s differs; to change it, restart", key);
		config_free(config);
		refuse(parent, why.text);
	} else if (start_pending(parent, config, buf_slice(&text), &why)) {
		if (parent->pending)
			reload_abort(parent, why.text);
		else
			refuse(parent, why.text);
	} else {
		ev_timer_set(&parent->reload_deadline, RELOAD_S, 0.);
		ev_timer_start(parent->loop, &parent->reload_deadline);
	}
	buf_free(&text);
}
