// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "base/clock.h"
#include "scout/dns.h"
#include "scout/learn_internal.h"

/* A message over TCP (RFC 1035 section 4.2.2), its length in front. */
#define STREAM_MAX (2 + 65535)

/* The addresses of one reply, on their way to the parent. */
struct asking {
	struct learn *learn;
	struct seen *seen;
	struct datapath_endpoint endpoints[LEARN_ASK_MAX];
	size_t n, all;
	bool news; /* one of them is not known */
};

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

static void asking_send(struct asking *asking, uint32_t ticket)
{
	if (!asking->n)
		return;
	/* Answers come in the order of the questions: the last one answers for all. */
	asking->endpoints[asking->n - 1].ticket = ticket;
	asking->learn->output.ask(asking->learn->output.context, asking->endpoints, asking->n);
	asking->n = 0;
}

static void on_address(void *context, const struct address *address, uint32_t ttl_s)
{
	struct asking *asking = context;
	const struct config_endpoints *config = &asking->learn->config->endpoints;
	uint64_t ttl_ns = ttl_s * NS_PER_S, since_ns;

	if (ttl_ns < config->ttl_floor_ns)
		ttl_ns = config->ttl_floor_ns;
	if (ttl_ns > config->ttl_ceiling_ns)
		ttl_ns = config->ttl_ceiling_ns;
	if (!known_find(asking->learn->known, address, asking->seen->now_ns, &since_ns)) {
		asking->news = true;
		counter_add(asking->learn->counters, COUNTER_LEARN_DNS, 1);
	}
	if (asking->n == LEARN_ASK_MAX)
		asking_send(asking, 0);
	asking->endpoints[asking->n++] = (struct datapath_endpoint){
		.address = *address,
		.expires_ns = asking->seen->now_ns + ttl_ns + config->grace_ns,
		.source = ENDPOINT_DNS,
	};
	asking->all++;
}

/* The addresses of a reply that was read. true: the packet has its verdict, or waits for it. */
static bool addresses_learn(struct learn *learn, struct seen *seen, struct slice message)
{
	struct asking asking = {.learn = learn, .seen = seen};
	uint32_t ticket = 0;

	if (dns_addresses(message, on_address, &asking) != DNS_OK)
		counter_add(learn->counters, COUNTER_LEARN_DNS_MALFORMED, 1);
	if (!asking.news) {
		asking_send(&asking, 0);
		return false;
	}
	counter_add(learn->counters, COUNTER_LEARN_DNS_HELD, 1);
	ticket = learn_hold(learn, seen, THEN_PASS);
	asking_send(&asking, ticket);
	return true;
}

/* Reads a message whose question decides whether it matters. */
static bool message_wanted(struct learn *learn, struct slice message, bool *listed)
{
	struct dns_reply reply;
	enum dns_result result = dns_read(message, &reply);

	*listed = false;
	if (result == DNS_MALFORMED)
		counter_add(learn->counters, COUNTER_LEARN_DNS_MALFORMED, 1);
	if (result != DNS_OK || !reply.name[0])
		return false;
	*listed = config_host_find(learn->config, slice_of_string(reply.name)) != NULL;
	return *listed || name_wanted(learn->config, reply.name);
}

static void message_disarm(struct learn *learn, struct seen *seen, char *message, size_t len)
{
	size_t found = dns_disarm(message, len);

	if (!found)
		return;
	counter_add(learn->counters, COUNTER_LEARN_DNS_DISARMED, found);
	seen->changed = true;
}

static void datagram(struct learn *learn, struct seen *seen)
{
	char *message = seen->bytes + seen->packet.payload;
	size_t len = seen->packet.end - seen->packet.payload;
	bool listed;

	if (message_wanted(learn, slice_of(message, len), &listed)) {
		if (listed)
			message_disarm(learn, seen, message, len);
		if (seen->changed)
			ip_packet_checksum((uint8_t *)seen->bytes, &seen->packet);
		if (addresses_learn(learn, seen, slice_of(message, len)))
			return;
	}
	learn_pass(learn, seen);
}

/* Edits a message of a stream in the packet, if all of it stands there: from is its offset in the
 * stream, start that of the packet's payload. */
static void stream_disarm(
	struct learn *learn, struct seen *seen, struct slice message, size_t from, size_t start)
{
	size_t len = seen->packet.end - seen->packet.payload;
	char *copy;

	if (from >= start && from - start + message.len <= len) {
		message_disarm(learn, seen, seen->bytes + seen->packet.payload + (from - start),
			message.len);
		return;
	}
	copy = malloc(message.len);
	if (!copy)
		return;
	memcpy(copy, message.data, message.len);
	if (dns_disarm(copy, message.len))
		counter_add(learn->counters, COUNTER_LEARN_DNS_SPREAD, 1);
	free(copy);
}

/* Goes over the whole messages at the front of the stream; start: where the packet's bytes are. */
static bool stream_messages(struct learn *learn, struct seen *seen, struct peek *peek, size_t start)
{
	struct slice front = segments_front(&peek->segments);
	struct asking asking = {.learn = learn, .seen = seen};
	size_t at = 0;
	bool listed;

	while (front.len - at > 2) {
		const uint8_t *head = (const uint8_t *)front.data + at;
		size_t len = (size_t)head[0] << 8 | head[1];
		struct slice message = slice_of(front.data + at + 2, len);

		if (front.len - at - 2 < len)
			break;
		if (message_wanted(learn, message, &listed)) {
			if (listed)
				stream_disarm(learn, seen, message, at + 2, start);
			if (dns_addresses(message, on_address, &asking) != DNS_OK)
				counter_add(learn->counters, COUNTER_LEARN_DNS_MALFORMED, 1);
		}
		at += 2 + len;
	}
	segments_consume(&peek->segments, at);
	peek->base += (uint32_t)at;
	if (seen->changed)
		ip_packet_checksum((uint8_t *)seen->bytes, &seen->packet);
	if (asking.news) {
		counter_add(learn->counters, COUNTER_LEARN_DNS_HELD, 1);
		asking_send(&asking, learn_hold(learn, seen, THEN_PASS));
		return true;
	}
	asking_send(&asking, 0);
	return false;
}

/* false: the packet still wants its verdict. */
static bool segment(struct learn *learn, struct seen *seen)
{
	const struct ip_packet *packet = &seen->packet;
	struct slice payload = ip_packet_payload(packet, slice_of(seen->bytes, seen->len));
	struct peek_key key = learn_peek_key(packet);
	struct peek *peek = peek_find(learn->peeks, &key, seen->now_ns);
	int32_t offset;
	size_t start, before = 0;

	if (peek && (packet->flags & (IP_PACKET_SYN | IP_PACKET_RST))) {
		peek_remove(learn->peeks, peek);
		peek = NULL;
	}
	/* Only from its beginning on can a stream be read. */
	if (packet->flags & IP_PACKET_SYN) {
		peek = peek_add(learn->peeks, &key, seen->now_ns);
		if (peek)
			peek->base = packet->sequence + 1;
		else
			counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
		return false;
	}
	if (!peek || peek->done || !payload.len)
		return false;
	offset = (int32_t)(packet->sequence - peek->base);
	if (offset < 0) {
		before = (size_t)(-(int64_t)offset);
		if (before >= payload.len)
			return false; /* sent again: it has passed before */
		payload = slice_after(payload, before);
		offset = 0;
	}
	start = (size_t)offset;
	if (segments_add(&peek->segments, start, payload, STREAM_MAX)) {
		counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
		peek_done(learn->peeks, peek);
		return false;
	}
	peek_charge(learn->peeks, peek);
	/* An edit must not reach into what has passed: its place would be before the packet. */
	seen->packet.payload += before;
	return stream_messages(learn, seen, peek, start);
}

void learn_dns(struct learn *learn, struct seen *seen)
{
	if (seen->packet.protocol == IP_PACKET_UDP)
		datagram(learn, seen);
	else if (!segment(learn, seen))
		learn_pass(learn, seen);
}
