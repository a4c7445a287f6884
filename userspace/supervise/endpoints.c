// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/endpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervise/accounting.h"
#include "supervise/role.h"

/* After so long without one that had to go, there is room enough. */
#define ENOUGH_NS (60 * NS_PER_S)

/* Endpoints that the scout is told of, a message at a time. */
struct scout_batch {
	struct process *scout;
	struct datapath_endpoint endpoints[64];
	size_t n;
};

static void scout_batch_send(struct scout_batch *batch)
{
	if (batch->n)
		process_send(batch->scout, CONTROL_ENDPOINT, batch->endpoints,
			batch->n * sizeof(batch->endpoints[0]), NULL, 0);
	batch->n = 0;
}

static void scout_batch_add(struct scout_batch *batch, const struct datapath_endpoint *endpoint)
{
	batch->endpoints[batch->n++] = *endpoint;
	if (batch->n == sizeof(batch->endpoints) / sizeof(batch->endpoints[0]))
		scout_batch_send(batch);
}

static void tell_endpoint(
	void *context, const struct address *address, const struct endpoint *endpoint)
{
	scout_batch_add(context, &(struct datapath_endpoint){
					 .address = *address,
					 .expires_ns = endpoint->expires_ns,
					 .source = endpoint->source,
					 .fail = endpoint->fail,
				 });
}

void endpoints_tell(struct datapath *datapath, struct process *scout)
{
	struct scout_batch batch = {.scout = scout};

	datapath_endpoints(datapath, tell_endpoint, &batch);
	scout_batch_send(&batch);
}

/* ---- a map that is full ---- */

static void full(struct endpoints *endpoints, struct accounting *accounting)
{
	static const char reason[] =
		"the table is full (datapath.max_endpoints): learned addresses that were heard of "
		"longest ago make room";

	if (!endpoints->full_ns) {
		endpoints->forgotten = endpoints->refused = 0;
		log_warning("endpoints: %s", reason);
		accounting_state(accounting, "endpoints", "full", reason);
	}
	endpoints->full_ns = clock_monotonic_ns();
}

void endpoints_look(struct endpoints *endpoints, struct accounting *accounting, uint64_t now_ns)
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
	accounting_state(accounting, "endpoints", "room", reason);
}

struct learning {
	struct endpoints *endpoints;
	struct counters *counters;
	struct accounting *accounting;
	struct scout_batch batch;
};

static void forgotten(void *context, const struct address *address)
{
	struct learning *learning = context;

	full(learning->endpoints, learning->accounting);
	learning->endpoints->forgotten++;
	counter_add(learning->counters, COUNTER_PROCESS_ENDPOINT_FORGOTTEN, 1);
	scout_batch_add(&learning->batch,
		&(struct datapath_endpoint){.address = *address, .state = ENDPOINT_FORGOTTEN});
}

static void refused(
	struct learning *learning, const struct datapath_endpoint *endpoint, int error)
{
	uint64_t left_out;

	if (error == -ENOSPC) {
		full(learning->endpoints, learning->accounting);
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
	struct counters *counters, struct accounting *accounting, struct process *scout,
	const struct ipc_message *message)
{
	const struct datapath_endpoint *asked = message->body;
	struct learning learning = {endpoints, counters, accounting, {.scout = scout}};

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
			scout_batch_add(&learning.batch, &answer);
	}
	datapath_on_forgotten(datapath, NULL, NULL);
	scout_batch_send(&learning.batch);
}
