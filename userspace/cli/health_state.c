// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/health_state.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "cli/inspecting.h"
#include "cli/record_state.h"

static bool draining(const struct config *config)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/" DRAIN_FILE, config->appliance.run_directory) <
		       (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

int health_read(
	const struct config *config, bool count, struct health_state *health, struct why *why)
{
	struct datapath_status *kernel = NULL;
	struct counters *counters = NULL;
	struct record_state record;
	char path[PATH_MAX];
	int error = datapath_status_read_parts(config, count ? DATAPATH_FLOWS : 0, &kernel, why);

	*health = (struct health_state){.reason = "the kernel cannot be asked"};
	if (error)
		return error;
	snprintf(path, sizeof(path), "%s/counters", config->appliance.run_directory);
	if (counters_open(path, &counters, NULL) < 0)
		counters = NULL;
	record = record_state_read(counters, clock_monotonic_ns());
	health->connections = kernel->flows.steered_active;
	if (!inspecting(kernel))
		health->reason = "not inspecting";
	else if (!record.told || !record_state_good(&record))
		health->reason = "not recording";
	else if (draining(config))
		health->reason = "draining";
	else
		*health = (struct health_state){true, "ready", health->connections};
	counters_close(counters);
	datapath_status_free(kernel);
	return 0;
}
