// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/endpoints.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "supervise/role.h"

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

static void tell_endpoint(
	void *context, const struct address *address, const struct endpoint *endpoint)
{
	struct telling *telling = context;

	telling->endpoints[telling->n++] = (struct datapath_endpoint){
		.address = *address,
		.expires_ns = endpoint->expires_ns,
		.source = endpoint->source,
		.fail = endpoint->fail,
	};
	if (telling->n == sizeof(telling->endpoints) / sizeof(telling->endpoints[0]))
		telling_send(telling);
}

void endpoints_tell(struct datapath *datapath, struct process *scout)
{
	struct telling telling = {.scout = scout};

	datapath_endpoints(datapath, tell_endpoint, &telling);
	telling_send(&telling);
}

void endpoints_learn(struct datapath *datapath, struct counters *counters, struct process *scout,
	const struct ipc_message *message)
{
	const struct datapath_endpoint *endpoints = message->body;
	struct telling telling = {.scout = scout};
	int error;

	if (message->len % sizeof(*endpoints))
		counter_add(counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
	for (size_t i = 0; i < message->len / sizeof(*endpoints); i++) {
		error = datapath_endpoint_learn(datapath, &endpoints[i].address,
			endpoints[i].expires_ns, (enum endpoint_source)endpoints[i].source,
			endpoints[i].fail == FAIL_OPEN ? FAIL_OPEN : FAIL_CLOSED);
		telling.endpoints[telling.n] = endpoints[i];
		if (error)
			telling.endpoints[telling.n].expires_ns = 0;
		if ((!error || endpoints[i].ticket) &&
			++telling.n == sizeof(telling.endpoints) / sizeof(telling.endpoints[0]))
			telling_send(&telling);
		if (!error)
			continue;
		counter_add(counters, COUNTER_PROCESS_ENDPOINT_REFUSED, 1);
		log_warning("endpoint %s is not steered: %s",
			address_format(&endpoints[i].address).text,
			error == -ENOSPC ? "datapath.max_endpoints is reached" : strerror(-error));
	}
	telling_send(&telling);
}
