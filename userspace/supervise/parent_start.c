// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/parent_start.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backend/standing.h"
#include "kernel/heartbeat.h"
#include "supervise/accounting.h"
#include "supervise/credential_watch.h"
#include "supervise/directory.h"
#include "supervise/generation.h"
#include "supervise/guard_watch.h"
#include "supervise/instance.h"
#include "supervise/limit_watch.h"
#include "supervise/parent.h"
#include "supervise/scout_watch.h"
#include "supervise/worker_watch.h"

int parent_start_counters(struct parent *parent, const struct config *config, struct why *why)
{
	if (asprintf(&parent->counters_path, "%s/counters", config->appliance.run_directory) >= 0)
		return 0;
	parent->counters_path = NULL;
	return why_set(why, ENOMEM, "no memory");
}

/* As it was left, also by a daemon that was killed: what was known of the backends, and used of the limits,
 * holds still. */
int parent_start_standing(struct parent *parent, const struct config *config, struct why *why)
{
	char path[PATH_MAX];
	int error = limit_watch_new(parent->loop, config, &parent->limit_watch, why);
	int n = snprintf(
		path, sizeof(path), "%s/%s", config->appliance.run_directory, STANDING_FILE);

	if (error)
		return error;
	if (n < 0 || (size_t)n >= sizeof(path))
		return why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long");
	return standing_open(path, &parent->standing, why);
}

static void on_accounting_stopped(void *context)
{
	((struct parent *)context)->ops->step(context);
}

static int start_accounting(struct parent *parent, const struct config *config, struct why *why)
{
	const struct accounting_options options = {
		.loop = parent->loop,
		.config = config,
		.counters = parent->counters,
		.rings = &parent->rings,
		.maps = datapath_maps(parent->datapath),
		.epoch = parent->epoch,
		.stream = parent->next_number++,
		.stopped = on_accounting_stopped,
		.context = parent,
	};

	return accounting_new(&options, &parent->accounting, why);
}

int parent_start_datapath(struct parent *parent, const struct config *config, struct why *why)
{
	unsigned workers = config->appliance.workers;
	int error = datapath_open(config, &parent->datapath, why);

	/* It vouches for others and has no stamp of its own. */
	if (!error)
		error = heartbeat_map(
			datapath_heartbeats(parent->datapath), 0, &parent->heartbeat, why);
	if (!error)
		error = worker_watch_new(
			parent, config->appliance.run_directory, &parent->worker_watch, why);
	if (!error)
		error = scout_watch_new(parent, &parent->scout_watch, why);
	if (!error)
		error = guard_watch_new(parent, &parent->guard_watch, why);
	if (!error)
		error = credential_watch_new(parent, &parent->credential_watch, why);
	if (!error)
		error = worker_listeners_place(&parent->listeners, parent->datapath, why);
	if (!error)
		error = worker_listeners_grow(
			&parent->listeners, config, parent->datapath, workers, why);
	if (!error)
		error = gateway_listeners_open(&parent->gateways, config, why);
	if (error)
		return error;
	error = datapath_workers(parent->datapath, workers);
	if (error)
		return why_set(why, -error, "datapath: cannot set the number of workers: %s",
			strerror(-error));
	return start_accounting(parent, config, why);
}

/* Everything before the first child. */
static int prepare(struct parent *parent, const struct config *config, struct why *why)
{
	const char *directory = config->appliance.run_directory;
	int error = directory_make("appliance.run_directory", directory, 0755, NULL, why);

	if (error)
		return error;
	parent->lock = instance_lock(directory, why);
	if (parent->lock < 0)
		return parent->lock;
	error = instance_epoch(parent->epoch, why);
	if (!error)
		error = parent_start_counters(parent, config, why);
	if (!error)
		error = counters_create(parent->counters_path, &parent->counters, why);
	if (!error)
		error = parent_start_standing(parent, config, why);
	if (!error && !(parent->ticket_keys = ticket_keys_create(&parent->tickets, why)))
		error = -EIO;
	return error ? error : parent_start_datapath(parent, config, why);
}

static int start_children(struct parent *parent, struct why *why)
{
	int error;

	service_init(&parent->shipper, parent, parent->current, ROLE_SHIPPER, 0);
	error = service_start(&parent->shipper, why);
	if (error == -EBUSY) {
		/* That of a killed daemon, which still serves the workers of that one. */
		log_warning("%s", why->text);
		service_start_later(&parent->shipper);
		error = 0;
	}
	for (unsigned i = 0; i < parent->current->nservices && !error; i++)
		error = service_start(&parent->current->services[i], why);
	return error;
}

int parent_start(struct parent *parent, struct why *why)
{
	struct buf text = BUF_EMPTY;
	struct config *config;
	int error;

	if (generation_load(parent->options->config_path, &config, &text)) {
		buf_free(&text);
		return why_set(why, EINVAL, "%s: the configuration cannot be used",
			parent->options->config_path);
	}
	error = prepare(parent, config, why);
	if (error) {
		config_free(config);
	} else {
		parent->current = generation_new(parent, config, buf_slice(&text), why);
		error = parent->current ? 0 : -EINVAL;
	}
	if (!error)
		generation_publish(parent->current, parent->options->config_path);
	buf_free(&text);
	return error ? error : start_children(parent, why);
}
