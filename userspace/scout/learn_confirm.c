// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client says of an address is compared with what our own resolver says of the name. */
#include <string.h>

#include "base/address_table.h"
#include "base/clock.h"
#include "scout/learn.h"
#include "scout/learn_internal.h"
#include "scout/source_network.h"

/* Lookups in a second, of all sources together and of each. Sources are told apart by a hash. */
#define LOOKUPS	       200
#define LOOKUPS_SOURCE 20
/* Of each, not answered: names whose servers are slow must not keep all others waiting. */
#define OPEN_SOURCE (LEARN_QUESTIONS / 4)

static unsigned source_place(const struct learn *learn, const struct address *source)
{
	struct address network = source_network(source);

	return (unsigned)(address_hash(&network, learn->lookups.seed) % LEARN_SOURCES);
}

static bool lookup_allowed(struct learn *learn, unsigned source, uint64_t now_ns)
{
	struct learn_lookups *lookups = &learn->lookups;
	uint64_t window = now_ns / NS_PER_S;

	if (lookups->window != window) {
		memset(lookups->of_source, 0, sizeof(lookups->of_source));
		lookups->window = window;
		lookups->n = 0;
	}
	if (lookups->n >= LOOKUPS || lookups->of_source[source] >= LOOKUPS_SOURCE ||
		lookups->open[source] >= OPEN_SOURCE)
		return false;
	lookups->n++;
	lookups->of_source[source]++;
	return true;
}

static struct learn_question *question_free(struct learn *learn)
{
	for (size_t i = 0; i < LEARN_QUESTIONS; i++)
		if (!learn->questions[i].n)
			return &learn->questions[i];
	return NULL;
}

bool learn_confirm(struct learn *learn, const struct seen *seen, const char *name,
	const struct datapath_endpoint *endpoints, size_t n, uint32_t ticket, uint32_t needed)
{
	struct learn_question *question = question_free(learn);
	/* Of a DNS reply the client is the destination. */
	bool reply = endpoints[0].source == ENDPOINT_DNS;
	unsigned source = source_place(
		learn, reply ? &seen->packet.destination : &seen->packet.source);

	if (!question || !lookup_allowed(learn, source, seen->now_ns)) {
		counter_add(learn->counters, COUNTER_LEARN_UNASKED, 1);
		return false;
	}
	memcpy(question->endpoints, endpoints, n * sizeof(*endpoints));
	question->n = n;
	question->ticket = ticket;
	question->needed = needed;
	question->source = source;
	learn->lookups.open[source]++;
	/* It may be answered before this returns. */
	learn->output.confirm(
		learn->output.context, (unsigned)(question - learn->questions), name);
	return true;
}

static bool is_among(
	const struct address *address, const struct address *addresses, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (address_equal(address, &addresses[i]))
			return true;
	return false;
}

void learn_confirmed(struct learn *learn, unsigned number, const struct address *addresses,
	size_t n, uint64_t now_ns)
{
	struct datapath_endpoint kept[LEARN_ASK_MAX];
	struct learn_question *question = &learn->questions[number];
	uint32_t ticket = question->ticket, needed = question->needed;
	size_t nkept = 0, asked = question->n;
	uint64_t since_ns;

	for (size_t i = 0; i < asked; i++) {
		if (!is_among(&question->endpoints[i].address, addresses, n))
			continue;
		kept[nkept] = question->endpoints[i];
		if (!known_find(learn->known, &kept[nkept].address, now_ns, &since_ns) &&
			kept[nkept].source == ENDPOINT_DNS)
			counter_add(learn->counters, COUNTER_LEARN_DNS, 1);
		/* From now on by the word of the DNS, and nobody's claim. */
		kept[nkept].source = ENDPOINT_DNS;
		claim_drop(learn->claims, &kept[nkept].address);
		nkept++;
	}
	question->n = 0;
	learn->lookups.open[question->source]--;
	counter_add(learn->counters, COUNTER_LEARN_CONFIRMED, nkept);
	counter_add(learn->counters, COUNTER_LEARN_UNCONFIRMED, asked - nkept);
	if (needed && nkept < asked) {
		learn_ticket_over(learn, needed, LEARN_REFUSED);
		ticket = 0;
	}
	if (nkept) {
		kept[nkept - 1].ticket = ticket;
		learn->output.ask(learn->output.context, kept, nkept);
	} else if (ticket) {
		learn_ticket_over(learn, ticket, LEARN_UNKNOWN);
	}
}

bool learn_claim(struct learn *learn, const struct seen *seen, const char *name,
	const struct datapath_endpoint *endpoint)
{
	bool reply = endpoint->source == ENDPOINT_DNS;

	if (claim_add(learn->claims, &endpoint->address,
		    reply ? &seen->packet.destination : &seen->packet.source, name,
		    endpoint->expires_ns, seen->now_ns))
		return true;
	counter_add(learn->counters, COUNTER_LEARN_OVER_CLAIMS, 1);
	return false;
}
