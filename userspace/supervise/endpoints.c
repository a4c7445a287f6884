// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/endpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervise/census.h"
#include "supervise/role.h"

/* After so long without one that had to go, there is room enough. */
#define ENOUGH_NS (60 * NS_PER_S)

/* What the scout is told of, a message at a time. */
struct telling {
	struct process *scout;
	struct datapath_endpoint endpoints[64];
	size_t n;
};

static void telling_send(struct telling *telling)
{
	if (telling->n)
		process_send(telling->scout, CONTROL_ENDPOINT, telling->endpoints,
			telling->n * sizeof(telling->endpoints[0]), NULL, 0);
	telling->n = 0;
}

static void tell(struct telling *telling, const struct datapath_endpoint *endpoint)
{
	telling->endpoints[telling->n++] = *endpoint;
	if (telling->n == sizeof(telling->endpoints) / sizeof(telling->endpoints[0]))
		telling_send(telling);
}

static void tell_endpoint(
	void *context, const struct address *address, const struct endpoint *endpoint)
{
	tell(context, &(struct datapath_endpoint){
			      .address = *address,
			      .expires_ns = endpoint->expires_ns,
			      .source = endpoint->source,
			      .fail = endpoint->fail,
		      });
}

void endpoints_tell(struct datapath *datapath, struct process *scout)
{
	struct telling telling = {.scout = scout};

	datapath_endpoints(datapath, tell_endpoint, &telling);
	telling_send(&telling);
}

/* ---- a map that is full ---- */

static void full(struct endpoints *endpoints, struct census *census)
{
	static const char reason[] =
		"the table is full (datapath.max_endpoints): learned addresses that were heard of "
		"longest ago make room";

	if (!endpoints->full_ns) {
		endpoints->forgotten = endpoints->refused = 0;
		log_warning("endpoints: %s", reason);
		census_state(census, "endpoints", "full", reason);
	}
	endpoints->full_ns = clock_monotonic_ns();
}

void endpoints_look(struct endpoints *endpoints, struct census *census, uint64_t now_ns)
{
	char reason[160];

	if (!endpoints->full_ns || now_ns < endpoints->full_ns + ENOUGH_NS)
		return;
	endpoints->full_ns = 0;
	snprintf(reason, sizeof(reason),
		"there is room again: %" PRIu64 " addresses had to go meanwhile, %" PRIu64
		" could not be steered",
		endpoints->forgotten, endpoints->refused);
	log_info("endpoints: %s", reason);
	census_state(census, "endpoints", "room", reason);
}

struct learning {
	struct endpoints *endpoints;
	struct counters *counters;
	struct census *census;
	struct telling telling;
};

static void forgotten(void *context, const struct address *address)
{
	struct learning *learning = context;

	full(learning->endpoints, learning->census);
	learning->endpoints->forgotten++;
	counter_add(learning->counters, COUNTER_PROCESS_ENDPOINT_FORGOTTEN, 1);
	tell(&learning->telling,
		&(struct datapath_endpoint){.address = *address, .state = ENDPOINT_FORGOTTEN});
}

static void refused(
	struct learning *learning, const struct datapath_endpoint *endpoint, int error)
{
	uint64_t left_out;

	if (error == -ENOSPC) {
		full(learning->endpoints, learning->census);
		learning->endpoints->refused++;
	}
	counter_add(learning->counters, COUNTER_PROCESS_ENDPOINT_REFUSED, 1);
	if (log_limit(&learning->endpoints->refused_log, &left_out))
		log_warning("endpoint %s is not steered: %s (%" PRIu64 " more were not logged)",
			address_format(&endpoint->address).text,
			error == -ENOSPC ? "datapath.max_endpoints is reached" : strerror(-error),
			left_out);
}

void endpoints_learn(struct endpoints *endpoints, struct datapath *datapath,
	struct counters *counters, struct census *census, struct process *scout,
	const struct ipc_message *message)
{
	const struct datapath_endpoint *asked = message->body;
	struct learning learning = {endpoints, counters, census, {.scout = scout}};

	if (message->len % sizeof(*asked))
		counter_add(counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
	datapath_on_forgotten(datapath, forgotten, &learning);
	for (size_t i = 0; i < message->len / sizeof(*asked); i++) {
		struct datapath_endpoint answer = asked[i];
		int error = datapath_endpoint_learn(datapath, &answer.address, answer.expires_ns,
			(enum endpoint_source)answer.source,
			answer.fail == FAIL_OPEN ? FAIL_OPEN : FAIL_CLOSED);

		answer.state = error ? ENDPOINT_REFUSED : ENDPOINT_STEERED;
		if (error)
			refused(&learning, &answer, error);
		if (!error || answer.ticket)
			tell(&learning.telling, &answer);
	}
	datapath_on_forgotten(datapath, NULL, NULL);
	telling_send(&learning.telling);
}
