// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/recorder.h"

struct census {
	struct census_options options;
	struct recorder *recorder; /* NULL: stopped */
	int life;		   /* the shipper sees its end */
};

/* ---- events ---- */

static void census_record(struct census *census, struct event *event)
{
	event->time_ns = clock_realtime_ns();
	recorder_record(census->recorder, event);
}

void census_state(struct census *census, const char *subject, const char *state, const char *reason)
{
	struct event event = {
		.kind = SLICE("datapath.state"),
		.action = SLICE("state-change"),
		.outcome = SLICE("unknown"),
		.datapath_subject = slice_of_string(subject),
		.datapath_state = slice_of_string(state),
		.datapath_reason = slice_of_string(reason),
	};

	if (!census)
		return;
	if (!census->recorder) {
		counter_add(census->options.counters, COUNTER_AUDIT_DROPPED, 1);
		return;
	}
	census_record(census, &event);
	counter_add(census->options.counters, COUNTER_CENSUS_STATES, 1);
	recorder_flush(census->recorder);
}

/* ---- life ---- */

static int census_open_recorder(struct census *census, struct why *why)
{
	const struct census_options *options = &census->options;
	const struct config *config = options->config;
	struct handout_ring *ring = handout_ring_make(
		options->handout, options->stream, config->audit.ring_bytes, &census->life, why);
	struct recorder_options recorder = {
		.counters = options->counters,
		.observer = config->appliance.name,
		.epoch = options->epoch,
		.stream = options->stream,
	};

	if (!ring)
		return -ENOMEM;
	/* The ring's own stay for the shippers to come. */
	recorder.ring = fcntl(ring->ring, F_DUPFD_CLOEXEC, 0);
	recorder.wake_shipper = fcntl(ring->wake_shipper, F_DUPFD_CLOEXEC, 0);
	recorder.wake_worker = fcntl(ring->wake_worker, F_DUPFD_CLOEXEC, 0);
	return recorder_new(&recorder, &census->recorder, why);
}

int census_new(const struct census_options *options, struct census **opened, struct why *why)
{
	struct census *census = calloc(1, sizeof(*census));
	int error;

	*opened = census;
	if (!census)
		return why_set(why, ENOMEM, "out of memory");
	census->options = *options;
	census->life = -1;
	error = census_open_recorder(census, why);
	return error;
}

static void census_end(struct census *census)
{
	recorder_free(census->recorder);
	census->recorder = NULL;
	if (census->life >= 0)
		close(census->life);
	census->life = -1;
}

void census_free(struct census *census)
{
	if (!census)
		return;
	census_end(census);
	free(census);
}

void census_reconfigure(struct census *census, const struct config *config)
{
	census->options.config = config;
	if (census->recorder)
		recorder_observe(census->recorder, config->appliance.name);
}

bool census_stop(struct census *census)
{
	census_end(census);
	return true;
}
