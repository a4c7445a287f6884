// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/clock.h"
#include "scout/learn_internal.h"
#include "tls/encrypted_dns.h"
#include "tls/hello_policy.h"

/* A SYN may have been under way while its destination became an endpoint. */
#define STEERING_NS NS_PER_S

static const struct {
	enum counter passed, refused;
} hidden_counters[HELLO_KIND_COUNT] = {
	[HELLO_UNLISTED] = {COUNTER_LEARN_UNLISTED, COUNTER_LEARN_UNLISTED},
	[HELLO_NO_SNI] = {COUNTER_POLICY_NO_SNI_PASSED, COUNTER_POLICY_NO_SNI_REFUSED},
	[HELLO_INVALID] = {COUNTER_POLICY_INVALID_PASSED, COUNTER_POLICY_INVALID_REFUSED},
	[HELLO_ECH] = {COUNTER_POLICY_ECH_PASSED, COUNTER_POLICY_ECH_REFUSED},
	[HELLO_ENCRYPTED_DNS] = {COUNTER_POLICY_ENCRYPTED_DNS_PASSED,
		COUNTER_POLICY_ENCRYPTED_DNS_REFUSED},
};

/* By the policy; first: the packet that its connection is counted by when it passes. Returns
 * whether it was refused. */
static bool apply(struct learn *learn, struct seen *seen, enum hello_kind kind,
	enum config_policy policy, bool first)
{
	if (policy == CONFIG_POLICY_PASS) {
		counter_add(learn->counters, hidden_counters[kind].passed, first);
		learn_pass(learn, seen);
		return false;
	}
	counter_add(learn->counters, hidden_counters[kind].refused, 1);
	if (policy == CONFIG_POLICY_RESET)
		learn_refuse(learn, seen);
	else
		learn_deny(learn, seen);
	return true;
}

static bool is_endpoint(const struct learn *learn, const struct seen *seen, uint64_t *since_ns)
{
	const struct config_endpoints *config = &learn->config->endpoints;

	if (config->steer == CONFIG_STEER_ALL)
		return true;
	for (size_t i = 0; i < config->nprefixes; i++)
		if (prefix_contains(&config->prefixes[i], &seen->packet.destination))
			return true;
	return known_find(learn->known, &seen->packet.destination, seen->now_ns, since_ns);
}

/* A listed name on an address that is no endpoint, or was none when the connection began. */
static void teach(struct learn *learn, struct seen *seen, const struct peek *peek,
	const struct config_host *host, const char *name)
{
	bool tcp = seen->packet.protocol == IP_PACKET_TCP;
	const struct config_endpoints *config = &learn->config->endpoints;
	struct datapath_endpoint endpoint = {
		.address = seen->packet.destination,
		.expires_ns = seen->now_ns + config->ttl_floor_ns + config->grace_ns,
		.source = ENDPOINT_SNI,
		.fail = (uint32_t)config_fail_of(learn->config, host),
	};
	uint64_t since_ns = 0;
	bool known = is_endpoint(learn, seen, &since_ns);

	/* To reset what is not steered when tried again cuts it for good. */
	if (known && tcp && since_ns + STEERING_NS < peek->start_ns) {
		counter_add(learn->counters, COUNTER_LEARN_UNSTEERED, 1);
		if (endpoint.fail == FAIL_OPEN) {
			learn_pass(learn, seen);
			return;
		}
	}
	counter_add(learn->counters, tcp ? COUNTER_LEARN_SNI : COUNTER_LEARN_QUIC, !known);
	if (known || learn_claim(learn, seen, name, &endpoint)) {
		endpoint.ticket = learn_ticket(learn);
		if (learn_hold(learn, seen,
			    endpoint.fail == FAIL_OPEN ? THEN_REFUSE : THEN_REFUSE_ALWAYS,
			    endpoint.ticket, false))
			learn->output.ask(learn->output.context, &endpoint, 1);
	} else {
		learn_refuse(learn, seen);
	}
	/* The client's word has to do until the resolver has answered; with it no claim is needed. */
	endpoint.ticket = 0;
	if (!known)
		(void)learn_confirm(learn, seen, name, &endpoint, 1, 0, 0);
}

/* The connection named what it wants, or does not. */
static void decide(
	struct learn *learn, struct seen *seen, struct peek *peek, const struct clienthello *hello)
{
	struct hello_verdict verdict =
		hello_policy_of(learn->config, hello, &seen->packet.destination, false);

	if (verdict.host) {
		teach(learn, seen, peek, verdict.host, hello->sni);
		return;
	}
	peek_done(learn->peeks, peek);
	peek->refused = apply(learn, seen, verdict.kind, verdict.policy, true);
}

static void give_up(struct learn *learn, struct seen *seen, struct peek *peek, enum counter counter)
{
	counter_add(learn->counters, counter, 1);
	peek_done(learn->peeks, peek);
	learn_pass(learn, seen);
}

/* Finds or begins what is known of the packet's connection. NULL: passed. */
static struct peek *peek_of(struct learn *learn, struct seen *seen)
{
	struct peek_key key = learn_peek_key(&seen->packet);
	struct peek *peek = peek_find(learn->peeks, &key, seen->now_ns);
	bool syn = seen->packet.flags & IP_PACKET_SYN;

	/* A SYN begins anew, unless it is the same one sent again. */
	if (peek && syn && peek->base != seen->packet.sequence + 1) {
		peek_remove(learn->peeks, peek);
		peek = NULL;
	}
	if (peek)
		return peek;
	peek = peek_add(learn->peeks, &key, seen->now_ns);
	if (!peek) {
		counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
		learn_pass(learn, seen);
		return NULL;
	}
	/* Without the SYN the first packet that is seen tells where the stream begins. */
	peek->base = seen->packet.sequence + (syn ? 1 : 0);
	return peek;
}

/* What follows the packet that decided: with a refused one, its being sent again. */
static void after(struct learn *learn, struct seen *seen, const struct peek *peek)
{
	if (peek->refused)
		learn->output.verdict(learn->output.context, &seen->queued, false, SLICE_NONE);
	else
		learn_pass(learn, seen);
}

static void tls(struct learn *learn, struct seen *seen)
{
	const struct ip_packet *packet = &seen->packet;
	struct slice payload = ip_packet_payload(packet, slice_of(seen->bytes, seen->len));
	struct peek *peek = peek_of(learn, seen);
	struct clienthello hello;
	int32_t offset;

	if (!peek)
		return;
	offset = (int32_t)(packet->sequence + ((packet->flags & IP_PACKET_SYN) ? 1 : 0) -
			   peek->base);
	if (offset < 0) {
		payload = slice_after(payload, (size_t)(-(int64_t)offset));
		offset = 0;
	}
	if (peek->done || !payload.len) {
		after(learn, seen, peek);
		return;
	}
	if (segments_add(&peek->segments, (size_t)offset, payload, 2 * CLIENTHELLO_MAX)) {
		give_up(learn, seen, peek, COUNTER_LEARN_HELLO_CUT);
		return;
	}
	peek_charge(learn->peeks, peek);
	switch (clienthello_parse(segments_front(&peek->segments), &hello)) {
	case CLIENTHELLO_OK:
		decide(learn, seen, peek, &hello);
		break;
	case CLIENTHELLO_MORE:
		learn_pass(learn, seen);
		break;
	case CLIENTHELLO_TOO_LONG:
		give_up(learn, seen, peek, COUNTER_LEARN_HELLO_CUT);
		break;
	default:
		give_up(learn, seen, peek, COUNTER_LEARN_NOT_TLS);
	}
}

static void quic(struct learn *learn, struct seen *seen)
{
	struct slice payload = ip_packet_payload(&seen->packet, slice_of(seen->bytes, seen->len));
	struct clienthello hello;
	struct peek *peek;
	uint64_t since_ns;

	if (is_endpoint(learn, seen, &since_ns)) {
		counter_add(learn->counters, COUNTER_LEARN_QUIC_REJECTED, 1);
		learn_refuse(learn, seen);
		return;
	}
	if (!(learn->config->endpoints.learn & CONFIG_LEARN_SNI)) {
		learn_pass(learn, seen);
		return;
	}
	peek = peek_of(learn, seen);
	if (!peek)
		return;
	if (peek->done) {
		after(learn, seen, peek);
		return;
	}
	switch (quic_read(&peek->quic, payload, &hello)) {
	case QUIC_HELLO:
		peek_charge(learn->peeks, peek);
		decide(learn, seen, peek, &hello);
		break;
	case QUIC_MORE:
		peek_charge(learn->peeks, peek);
		learn_pass(learn, seen);
		break;
	default:
		give_up(learn, seen, peek, COUNTER_LEARN_NOT_TLS);
	}
}

/* DNS over TLS or QUIC, whoever it is with. */
static void encrypted_dns(struct learn *learn, struct seen *seen)
{
	struct peek_key key = learn_peek_key(&seen->packet);
	bool first = !peek_find(learn->peeks, &key, seen->now_ns);

	if (first)
		(void)peek_add(learn->peeks, &key, seen->now_ns);
	(void)apply(learn, seen, HELLO_ENCRYPTED_DNS, learn->config->endpoints.encrypted_dns, first);
}

static bool port_steered(const struct config_endpoints *config, uint16_t port)
{
	for (size_t i = 0; i < config->nports; i++)
		if (config->ports[i] == port)
			return true;
	return false;
}

void learn_hello(struct learn *learn, struct seen *seen)
{
	const struct ip_packet *packet = &seen->packet;

	/* Nothing is ever answered to a reset. */
	if (packet->protocol == IP_PACKET_TCP && (packet->flags & IP_PACKET_RST))
		learn_pass(learn, seen);
	else if (port_steered(&learn->config->endpoints, packet->destination_port))
		packet->protocol == IP_PACKET_TCP ? tls(learn, seen) : quic(learn, seen);
	else if (packet->destination_port == ENCRYPTED_DNS_PORT)
		encrypted_dns(learn, seen);
	else
		learn_pass(learn, seen);
}
