// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/clock.h"
#include "base/log.h"
#include "scout/learn_internal.h"
#include "tls/encrypted_dns.h"
#include "tls/hello_policy.h"

/* A SYN may have been under way while its destination became an endpoint. */
#define STEERING_NS NS_PER_S
/* Segments that a ClientHello may come in, and Initial packets of QUIC. */
#define SEGMENTS_MAX 4096
#define INITIALS_MAX 32

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

/* The kernel need not show what follows the bytes that were judged. */
static void judged(struct learn *learn, const struct seen *seen, const struct peek *peek)
{
	if (seen->packet.protocol == IP_PACKET_TCP)
		learn->output.judged(learn->output.context, &seen->packet, peek->base - 1,
			(uint32_t)segments_front(&peek->segments).len);
}

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
	bool first = !peek->done;

	if (verdict.host) {
		teach(learn, seen, peek, verdict.host, hello->sni);
		return;
	}
	peek_decided(learn->peeks, peek, apply(learn, seen, verdict.kind, verdict.policy, first));
	if (!peek->refused)
		judged(learn, seen, peek);
}

/* What may be a ClientHello for a listed host and cannot be read: its parts are too many, are
 * missing, or contradict each other. It is refused where a host fails closed; else the address
 * becomes an endpoint, so that the workers read the next one. */
static void undecided(struct learn *learn, struct seen *seen, struct peek *peek, const char *why)
{
	const struct config_endpoints *config = &learn->config->endpoints;
	const struct datapath_endpoint endpoint = {
		.address = seen->packet.destination,
		.expires_ns = seen->now_ns + config->ttl_floor_ns + config->grace_ns,
		.source = ENDPOINT_SNI,
		.fail = FAIL_OPEN,
	};
	uint64_t left_out, since_ns;
	/* What cannot be learned does not pass either. Nobody's name is in question: it counts by
	 * source. */
	bool closed = learn_closed(learn) ||
		      (!is_endpoint(learn, seen, &since_ns) &&
			      !learn_claim(learn, seen, address_format(&seen->packet.source).text,
				      &endpoint));

	counter_add(learn->counters,
		closed ? COUNTER_LEARN_UNDECIDED_REFUSED : COUNTER_LEARN_UNDECIDED, 1);
	if (log_limit(&learn->undecided, &left_out))
		log_warning("%s from %s to %s port %u is not inspected: %s; it %s (%llu such "
			    "reports left out)",
			seen->packet.protocol == IP_PACKET_TCP ? "TLS" : "QUIC",
			address_format(&seen->packet.source).text,
			address_format(&seen->packet.destination).text,
			seen->packet.destination_port, why,
			closed ? "is refused" : "passes, and the next is steered",
			(unsigned long long)left_out);
	peek_decided(learn->peeks, peek, closed);
	if (closed) {
		learn_refuse(learn, seen);
		return;
	}
	if (!is_endpoint(learn, seen, &since_ns))
		learn->output.ask(learn->output.context, &endpoint, 1);
	judged(learn, seen, peek);
	learn_pass(learn, seen);
}

/* It is not for us. */
static void not_tls(struct learn *learn, struct seen *seen, struct peek *peek)
{
	counter_add(learn->counters, COUNTER_LEARN_NOT_TLS, !peek->done);
	peek_decided(learn->peeks, peek, false);
	judged(learn, seen, peek);
	learn_pass(learn, seen);
}

/* What follows the packet that was refused: its being sent again. */
static void drop(struct learn *learn, const struct seen *seen)
{
	learn->output.verdict(learn->output.context, &seen->queued, false, SLICE_NONE);
}

/* Finds or begins what is known of the packet's connection. NULL: passed. */
static struct peek *peek_of(struct learn *learn, struct seen *seen)
{
	struct peek_key key = learn_peek_key(&seen->packet);
	struct peek *peek = peek_find(learn->peeks, &key, seen->now_ns);
	bool syn = seen->packet.flags & IP_PACKET_SYN;
	uint32_t isn;

	/* A SYN begins anew, unless it is the same one sent again. Not in the middle of a
	 * ClientHello: its server need not have seen this one, and what was read would be
	 * forgotten. */
	if (peek && syn && peek->base != seen->packet.sequence + 1) {
		if (peek->undecided && peek->segments.npieces) {
			counter_add(learn->counters, COUNTER_LEARN_UNDECIDED_REFUSED, 1);
			learn_refuse(learn, seen);
			return NULL;
		}
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
	/* Of a connection that is older than the datapath, the first packet that is seen is taken
	 * for the beginning. */
	peek->base = seen->packet.sequence + (syn ? 1 : 0);
	if (seen->packet.protocol == IP_PACKET_TCP && !syn &&
		learn->output.begun(learn->output.context, &seen->packet, &isn))
		peek->base = isn + 1;
	peek->begun = syn || peek->base == seen->packet.sequence;
	peek->undecided = seen->packet.protocol == IP_PACKET_TCP;
	return peek;
}

/* Somebody wants the place of a connection that has yet to say what it wants: whoever waits until
 * it is not known any more would get past. Its server is told that it is over, in the client's
 * name. */
void learn_hello_forget(void *context, const struct peek *peek)
{
	struct learn *learn = context;
	const struct ip_packet packet = {
		.source = peek->key.source,
		.destination = peek->key.destination,
		.source_port = peek->key.source_port,
		.destination_port = peek->key.destination_port,
		.sequence = peek->base + (uint32_t)segments_front(&peek->segments).len,
		.protocol = IP_PACKET_TCP,
		.ipv6 = !address_is_ipv4(&peek->key.source),
	};

	if (!learn_closed(learn))
		return;
	counter_add(learn->counters, COUNTER_LEARN_UNDECIDED_REFUSED, 1);
	learn_reset(learn, &packet, true);
}

/* Whether a packet with these bytes has them before the stream, as a keepalive may (RFC 9293
 * section 3.8.4). */
static bool keepalive(int32_t offset, struct slice payload)
{
	return offset == -1 && payload.len == 1;
}

static void hello_read(struct learn *learn, struct seen *seen, struct peek *peek, size_t offset)
{
	struct slice payload = ip_packet_payload(&seen->packet, slice_of(seen->bytes, seen->len));
	size_t whole = segments_front(&peek->segments).len;
	struct clienthello hello;

	if (!peek->begun) {
		undecided(learn, seen, peek, "its beginning is not known any more");
		return;
	}
	if (peek->packets++ >= SEGMENTS_MAX ||
		segments_add(&peek->segments, offset, payload, 2 * CLIENTHELLO_MAX)) {
		undecided(learn, seen, peek, "its ClientHello comes in too many pieces");
		return;
	}
	peek_charge(learn->peeks, peek);
	switch (clienthello_parse(segments_front(&peek->segments), &hello)) {
	case CLIENTHELLO_OK:
		decide(learn, seen, peek, &hello);
		break;
	case CLIENTHELLO_MORE:
		/* Behind a gap it has to come again: whoever has us wrong about the beginning of
		 * the stream would be let past. */
		offset > whole ? drop(learn, seen) : learn_pass(learn, seen);
		break;
	case CLIENTHELLO_NOT_TLS:
		not_tls(learn, seen, peek);
		break;
	case CLIENTHELLO_TOO_LONG:
		undecided(learn, seen, peek, "its ClientHello is too long");
		break;
	default:
		undecided(learn, seen, peek, "its ClientHello is malformed");
	}
}

static void tls(struct learn *learn, struct seen *seen)
{
	const struct ip_packet *packet = &seen->packet;
	struct slice payload = ip_packet_payload(packet, slice_of(seen->bytes, seen->len));
	struct peek_key key = learn_peek_key(packet);
	bool syn = packet->flags & IP_PACKET_SYN;
	struct peek *peek;
	int32_t offset;

	/* Of what says nothing there is nothing to keep. */
	if (!payload.len && !syn) {
		peek = peek_find(learn->peeks, &key, seen->now_ns);
		peek && peek->refused ? drop(learn, seen) : learn_pass(learn, seen);
		return;
	}
	/* While its ClientHello waits, whatever else there is, or the same again, has to come
	 * later. */
	if (payload.len && learn_ticket_of(learn, &key)) {
		drop(learn, seen);
		return;
	}
	peek = peek_of(learn, seen);
	if (!peek)
		return;
	offset = (int32_t)(packet->sequence + (syn ? 1 : 0) - peek->base);
	if (peek->refused)
		drop(learn, seen);
	else if (!payload.len || keepalive(offset, payload))
		learn_pass(learn, seen);
	else if (offset < 0)
		undecided(learn, seen, peek, "it writes before its beginning");
	/* A peer takes the bytes that come first, or those that come last. */
	else if (!segments_agree(&peek->segments, (size_t)offset, payload))
		undecided(learn, seen, peek, "it sent a part twice, with other bytes");
	else if (peek->done) {
		judged(learn, seen, peek);
		learn_pass(learn, seen);
	} else {
		hello_read(learn, seen, peek, (size_t)offset);
	}
}

static void quic(struct learn *learn, struct seen *seen)
{
	struct slice payload = ip_packet_payload(&seen->packet, slice_of(seen->bytes, seen->len));
	enum quic_result result;
	struct clienthello hello;
	uint32_t connections;
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
	if (peek->refused) {
		drop(learn, seen);
		return;
	}
	/* Each connection between the same ports is judged by itself. */
	connections = peek->quic.connections;
	result = quic_read(&peek->quic, payload, &hello);
	peek->done = peek->done && peek->quic.connections == connections;
	peek_charge(learn->peeks, peek);
	if (result == QUIC_HELLO) {
		peek->packets = 0;
		decide(learn, seen, peek, &hello);
		segments_free(&peek->quic.crypto);
		peek_charge(learn->peeks, peek);
	} else if (result == QUIC_MALFORMED) {
		undecided(learn, seen, peek, "its first packets make no sense");
	} else if (result != QUIC_MORE) {
		not_tls(learn, seen, peek);
	} else if (!peek->done && peek->packets++ >= INITIALS_MAX) {
		undecided(learn, seen, peek, "its ClientHello comes in too many packets");
	} else {
		learn_pass(learn, seen);
	}
}

/* DNS over TLS or QUIC, whoever it is with. */
static void encrypted_dns(struct learn *learn, struct seen *seen)
{
	struct peek_key key = learn_peek_key(&seen->packet);
	struct peek *peek = peek_find(learn->peeks, &key, seen->now_ns);
	bool first = !peek;

	if (!peek)
		peek = peek_add(learn->peeks, &key, seen->now_ns);
	if (peek && first)
		peek->base = seen->packet.sequence + (seen->packet.flags & IP_PACKET_SYN ? 1 : 0);
	if (!apply(learn, seen, HELLO_ENCRYPTED_DNS, learn->config->endpoints.encrypted_dns,
		    first) &&
		peek)
		judged(learn, seen, peek);
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
