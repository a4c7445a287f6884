// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "scout/dns.h"
#include "scout/learn_internal.h"

static bool name_is(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

/* Whether calls to the name are to be seen, as those that scout.c resolves by itself. */
static bool name_wanted(const struct config *config, const char *name)
{
	if (config_host_find(config, slice_of_string(name)) ||
		name_is(name, (const char *const *)config->endpoints.names,
			config->endpoints.nnames))
		return true;
	for (size_t i = 0; i < config->nbackends; i++)
		if (config->backends[i].host && strcasecmp(config->backends[i].host, name) == 0)
			return true;
	return false;
}

bool learn_dns_listed(struct learn *learn, uint64_t now_ns, const struct dns_reply *reply)
{
	struct alias_of of;

	return reply->name[0] &&
	       (config_host_find(learn->config, slice_of_string(reply->name)) ||
		       (alias_find(learn->aliases, reply->name, now_ns, &of) && of.listed));
}

bool learn_dns_wanted(struct learn *learn, uint64_t now_ns, struct slice message,
	struct dns_reply *reply, bool *listed)
{
	enum dns_result result = dns_read(message, reply);
	struct alias_of of;

	*listed = false;
	if (result == DNS_MALFORMED)
		counter_add(learn->counters, COUNTER_LEARN_DNS_MALFORMED, 1);
	if (result != DNS_OK || !reply->name[0])
		return false;
	*listed = learn_dns_listed(learn, now_ns, reply);
	return *listed || name_wanted(learn->config, reply->name) ||
	       alias_find(learn->aliases, reply->name, now_ns, &of);
}

enum then learn_dns_then(const struct learn *learn)
{
	return learn->config->endpoints.learn & CONFIG_LEARN_SNI ? THEN_PASS : THEN_PASS_LEARNED;
}

/* Without a look at the connections a client's word must do for some of the addresses. The reply
 * must not go on before our own resolver has confirmed all others. True: it is waited for. */
static bool send_claims(struct learn_asking *asking, uint32_t ticket)
{
	struct learn *learn = asking->learn;
	struct datapath_endpoint claimed[LEARN_ASK_MAX];
	size_t n = 0, rest = 0;

	for (size_t i = 0; i < asking->n; i++)
		if (learn_claim(learn, asking->seen, asking->name, &asking->endpoints[i]))
			claimed[n++] = asking->endpoints[i];
		else
			asking->endpoints[rest++] = asking->endpoints[i];
	counter_add(learn->counters, COUNTER_LEARN_DNS, n);
	if (n) {
		claimed[n - 1].ticket = rest ? 0 : ticket;
		learn->output.ask(learn->output.context, claimed, n);
		claimed[n - 1].ticket = 0;
		(void)learn_confirm(learn, asking->seen, asking->name, claimed, n, 0, 0);
	}
	if (rest) {
		asking->over = true;
		if (!asking->ticket)
			asking->ticket = learn_ticket(learn);
		asking->refused |= !learn_confirm(learn, asking->seen, asking->name,
			asking->endpoints, rest, ticket, asking->ticket);
	}
	return !asking->refused;
}

void learn_asking_send(struct learn_asking *asking, uint32_t ticket)
{
	struct learn *learn = asking->learn;
	bool waits = asking->nknown > 0;

	if (ticket && asking->over)
		learn_ticket_only(learn, ticket);
	/* Answers come in the order of the questions: the last one answers for all. */
	if (asking->nknown) {
		asking->known[asking->nknown - 1].ticket = asking->n ? 0 : ticket;
		learn->output.ask(learn->output.context, asking->known, asking->nknown);
	}
	if (asking->n && learn_dns_then(learn) == THEN_PASS_LEARNED)
		waits = send_claims(asking, ticket);
	else if (asking->n)
		waits = learn_confirm(learn, asking->seen, asking->name, asking->endpoints,
			asking->n, ticket, 0);
	if (ticket && asking->over)
		learn_ticket_only(learn, ticket);
	if (ticket && (!waits || asking->refused))
		learn_ticket_over(
			learn, ticket, asking->refused ? LEARN_REFUSED : LEARN_UNKNOWN);
	asking->n = asking->nknown = 0;
}

/* Until when what a record says holds for us. */
static uint64_t expiry(const struct learn_asking *asking, uint32_t ttl_s)
{
	const struct config_endpoints *config = &asking->learn->config->endpoints;
	uint64_t ttl_ns = ttl_s * NS_PER_S;

	if (ttl_ns < config->ttl_floor_ns)
		ttl_ns = config->ttl_floor_ns;
	if (ttl_ns > config->ttl_ceiling_ns)
		ttl_ns = config->ttl_ceiling_ns;
	return asking->seen->now_ns + ttl_ns + config->grace_ns;
}

static void on_address(void *context, const struct address *address, uint32_t ttl_s)
{
	struct learn_asking *asking = context;
	struct datapath_endpoint endpoint = {
		.address = *address,
		.expires_ns = expiry(asking, ttl_s),
		.source = ENDPOINT_DNS,
		.fail = asking->fail,
	};
	uint64_t since_ns;

	if (asking->n == LEARN_ASK_MAX || asking->nknown == LEARN_ASK_MAX)
		learn_asking_send(asking, 0);
	if (known_find(asking->learn->known, address, asking->seen->now_ns, &since_ns)) {
		asking->known[asking->nknown++] = endpoint;
		return;
	}
	asking->news = true;
	asking->endpoints[asking->n++] = endpoint;
}

static void on_alias(void *context, const char *name, uint32_t ttl_s)
{
	struct learn_asking *asking = context;
	struct learn *learn = asking->learn;
	const struct alias_of of = {asking->listed, asking->fail, asking->name};

	if (config_host_find(learn->config, slice_of_string(name)))
		return;
	switch (alias_add(learn->aliases, name, &of, expiry(asking, ttl_s),
		asking->seen->now_ns)) {
	case ALIAS_KNOWN:
		break;
	case ALIAS_PUSHED_OUT:
		counter_add(learn->counters, COUNTER_LEARN_ALIAS_LOST, 1);
		/* fall through */
	case ALIAS_NEW:
		counter_add(learn->counters, COUNTER_LEARN_ALIAS, 1);
		break;
	case ALIAS_NO_MEMORY:
		counter_add(learn->counters, COUNTER_LEARN_ALIAS_LOST, 1);
	}
}

/* The strictest mode of those whose name it is, and the name that our own resolver is asked for:
 * whoever has a say in where an alias leads must not vouch for it. */
static void asking_begin(struct learn_asking *asking, const char *name)
{
	struct learn *learn = asking->learn;
	const struct config *config = learn->config;
	bool wanted = name_wanted(config, name);
	struct alias_of of;

	asking->fail = FAIL_OPEN;
	if (wanted)
		asking->fail = (enum fail)config_fail_of(
			config, config_host_find(config, slice_of_string(name)));
	if (alias_find(learn->aliases, name, asking->seen->now_ns, &of)) {
		if (of.fail < asking->fail)
			asking->fail = of.fail;
		if (!wanted)
			name = of.root;
	}
	snprintf(asking->name, sizeof(asking->name), "%s", name);
}

void learn_dns_read(struct learn_asking *asking, struct slice message,
	const struct dns_reply *reply, bool listed)
{
	/* What was read of another message goes by the name of that one. */
	learn_asking_send(asking, 0);
	asking->listed = listed;
	asking_begin(asking, reply->name);
	if (dns_addresses(message, on_address, asking) != DNS_OK)
		counter_add(asking->learn->counters, COUNTER_LEARN_DNS_MALFORMED, 1);
	(void)dns_aliases(message, on_alias, asking);
}

static void message_disarm(struct learn *learn, struct seen *seen)
{
	size_t len = seen->packet.end - seen->packet.payload, final;
	size_t found = dns_disarm(seen->bytes + seen->packet.payload, len, 0, &final);

	if (!found)
		return;
	counter_add(learn->counters, COUNTER_LEARN_DNS_DISARMED, found);
	ip_packet_checksum((uint8_t *)seen->bytes, &seen->packet);
	seen->changed = true;
}

static void datagram(struct learn *learn, struct seen *seen)
{
	struct slice message = ip_packet_payload(&seen->packet, slice_of(seen->bytes, seen->len));
	struct learn_asking asking = {.learn = learn, .seen = seen};
	struct dns_reply reply;
	uint32_t ticket;
	bool listed;

	if (!learn_dns_wanted(learn, seen->now_ns, message, &reply, &listed)) {
		learn_pass(learn, seen);
		return;
	}
	if (listed)
		message_disarm(learn, seen);
	learn_dns_read(&asking, message, &reply, listed);
	if (!asking.news) {
		learn_asking_send(&asking, 0);
		learn_pass(learn, seen);
		return;
	}
	counter_add(learn->counters, COUNTER_LEARN_DNS_HELD, 1);
	ticket = asking.ticket = asking.ticket ? asking.ticket : learn_ticket(learn);
	if (!learn_hold(learn, seen, learn_dns_then(learn), ticket, false))
		ticket = 0;
	learn_asking_send(&asking, ticket);
}

void learn_dns(struct learn *learn, struct seen *seen)
{
	if (seen->packet.protocol == IP_PACKET_UDP)
		datagram(learn, seen);
	else
		learn_stream(learn, seen);
}
