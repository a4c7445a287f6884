/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of steered connections that are not inspected, because they are spliced or refused by
 * policy. A client may make thousands of them in a second: of each source address some are told one
 * by one, and of all others their number. */
#ifndef PROXY_BYPASS_EVENT_H
#define PROXY_BYPASS_EVENT_H

#include "audit/recorder.h"
#include "base/address.h"
#include "tls/hello_policy.h"

struct ev_loop;
struct bypass_events;

/* How many connections of one source address, and of all together, have an event of their own in
 * BYPASS_EVENT_PERIOD_S seconds. */
#define BYPASS_EVENT_PERIOD_S	10
#define BYPASS_EVENTS_OF_SOURCE 16
#define BYPASS_EVENTS		256

struct bypass_event {
	enum hello_kind kind;
	bool refused; /* else it is spliced */
	struct address_port source, destination;
	struct slice name; /* as the client sent it; empty: none */
	struct slice groups; /* of the source, separated by commas */
};

/* The loop, the recorder and the counters stay the caller's. NULL: no memory. */
struct bypass_events *bypass_events_new(
	struct ev_loop *loop, struct recorder *recorder, struct counters *counters);
void bypass_events_add(struct bypass_events *events, const struct bypass_event *event);
/* Tells what was left out until now, and frees; NULL is allowed. */
void bypass_events_free(struct bypass_events *events);

#endif
