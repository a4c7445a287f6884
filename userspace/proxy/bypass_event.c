// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/bypass_event.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "base/address_table.h"
#include "base/clock.h"

/* Source addresses of one period; what comes of others is summed up without its address. */
#define SOURCES_MAX 1024

enum fate { FATE_SPLICED, FATE_REFUSED, FATES };

/* Of one period. */
struct bypass_source {
	struct address address;
	unsigned told;
	uint64_t left_out[FATES];
};

struct bypass_events {
	struct ev_loop *loop;
	struct recorder *recorder;
	struct counters *counters;
	struct address_table sources;
	uint64_t rest[FATES]; /* left out, of sources that the table has no room for */
	unsigned told;
	ev_timer period;
};

static bool record(struct bypass_events *events, struct event *event, enum fate fate)
{
	event->time_ns = clock_realtime_ns();
	event->kind = SLICE("bypass");
	event->action = fate == FATE_REFUSED ? SLICE("deny") : SLICE("bypass");
	event->outcome = SLICE("unknown");
	/* Nobody could wait: what finds no room is left out, and told when there is some. */
	if (recorder_try(events->recorder, event) == -EAGAIN)
		return false;
	counter_add(events->counters, COUNTER_BYPASS_RECORDED, 1);
	return true;
}

/* Tells how many were left out; true: nothing is left to tell. */
static bool record_left_out(
	struct bypass_events *events, const struct address *source, uint64_t left_out[FATES])
{
	for (int fate = 0; fate < FATES; fate++) {
		struct event event = {.bypass_left_out = event_number(left_out[fate])};

		if (source)
			event.source_ip = event.client_address = *source;
		if (left_out[fate] && record(events, &event, (enum fate)fate))
			left_out[fate] = 0;
	}
	return !left_out[FATE_SPLICED] && !left_out[FATE_REFUSED];
}

/* What could not be told goes on to the next period. */
static bool source_over(void *context, const void *entry)
{
	struct bypass_source *source = (struct bypass_source *)entry;

	source->told = 0;
	return !record_left_out(context, &source->address, source->left_out);
}

static void period_over(struct bypass_events *events)
{
	address_table_keep(&events->sources, source_over, events);
	(void)record_left_out(events, NULL, events->rest);
	events->told = 0;
}

static bool anything_kept(const struct bypass_events *events)
{
	return events->sources.n || events->rest[FATE_SPLICED] || events->rest[FATE_REFUSED];
}

static void on_period(struct ev_loop *loop, ev_timer *timer, int happened)
{
	struct bypass_events *events = timer->data;

	(void)happened;
	period_over(events);
	if (anything_kept(events))
		return;
	ev_ref(loop);
	ev_timer_stop(loop, timer);
}

struct bypass_events *bypass_events_new(
	struct ev_loop *loop, struct recorder *recorder, struct counters *counters)
{
	struct bypass_events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	events->loop = loop;
	events->recorder = recorder;
	events->counters = counters;
	address_table_init(&events->sources, sizeof(struct bypass_source), SOURCES_MAX);
	ev_timer_init(&events->period, on_period, BYPASS_EVENT_PERIOD_S, BYPASS_EVENT_PERIOD_S);
	events->period.data = events;
	return events;
}

/* A period begins with the first connection in it. */
static void period_begin(struct bypass_events *events)
{
	if (ev_is_active(&events->period))
		return;
	ev_now_update(events->loop);
	ev_timer_set(&events->period, BYPASS_EVENT_PERIOD_S, BYPASS_EVENT_PERIOD_S);
	ev_timer_start(events->loop, &events->period);
	ev_unref(events->loop);
}

void bypass_events_add(struct bypass_events *events, const struct bypass_event *seen)
{
	enum fate fate = seen->refused ? FATE_REFUSED : FATE_SPLICED;
	struct bypass_source *source =
		address_table_put(&events->sources, &seen->source.address);
	struct event event = {
		.source_ip = seen->source.address,
		.source_port = seen->source.port,
		.client_address = seen->source.address,
		.client_port = seen->source.port,
		.destination_ip = seen->destination.address,
		.destination_port = seen->destination.port,
		.tls_server_name = seen->name,
		.subject_found_by = SLICE("address"),
		.subject_groups = seen->groups,
		.bypass_reason = slice_of_string(hello_kind_name(seen->kind)),
	};

	period_begin(events);
	if (source && source->told < BYPASS_EVENTS_OF_SOURCE && events->told < BYPASS_EVENTS &&
		record(events, &event, fate)) {
		source->told++;
		events->told++;
		return;
	}
	(source ? source->left_out : events->rest)[fate]++;
	counter_add(events->counters, COUNTER_BYPASS_LEFT_OUT, 1);
}

void bypass_events_free(struct bypass_events *events)
{
	if (!events)
		return;
	period_over(events);
	/* There is no later any more: the collector is to see a gap. */
	if (anything_kept(events))
		recorder_drop(events->recorder);
	if (ev_is_active(&events->period)) {
		ev_ref(events->loop);
		ev_timer_stop(events->loop, &events->period);
	}
	address_table_free(&events->sources);
	free(events);
}
