// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/learn.h"

#include <stdlib.h>
#include <string.h>

#include "scout/learn_internal.h"

/* Each waits for the parent, for endpoints.hold at the most. */
#define HELD_MAX 1024

struct held {
	struct list node;
	uint32_t ticket;
	enum then then;
	uint64_t deadline_ns;
	struct seen seen; /* bytes: a copy behind it, if it takes one */
	char bytes[];
};

struct learn *learn_new(
	const struct config *config, struct counters *counters, const struct learn_output *output)
{
	struct learn *learn = calloc(1, sizeof(*learn));

	if (!learn)
		return NULL;
	learn->config = config;
	learn->counters = counters;
	learn->output = *output;
	list_init(&learn->held);
	learn->known = known_new(config->datapath.max_endpoints);
	learn->peeks = peek_table_new();
	if (!learn->known || !learn->peeks) {
		learn_free(learn);
		return NULL;
	}
	return learn;
}

void learn_pass(struct learn *learn, const struct seen *seen)
{
	learn->output.verdict(learn->output.context, &seen->queued, true,
		seen->changed ? slice_of(seen->bytes, seen->len) : SLICE_NONE);
}

static void reset(struct learn *learn, const struct ip_packet *packet, bool to_server)
{
	uint8_t answer[IP_PACKET_ANSWER_MAX];
	size_t len = ip_packet_reset(packet, to_server, answer);

	learn->output.emit(learn->output.context,
		to_server ? &packet->destination : &packet->source,
		slice_of((const char *)answer, len));
}

void learn_refuse(struct learn *learn, const struct seen *seen)
{
	const struct ip_packet *packet = &seen->packet;
	uint8_t answer[IP_PACKET_ANSWER_MAX];
	size_t len;

	if (packet->protocol == IP_PACKET_TCP) {
		reset(learn, packet, false);
		/* It has nothing of a connection whose SYN does not reach it. */
		if (!(packet->flags & IP_PACKET_SYN))
			reset(learn, packet, true);
	} else {
		len = ip_packet_unreachable(packet, slice_of(seen->bytes, seen->len), answer);
		learn->output.emit(learn->output.context, &packet->source,
			slice_of((const char *)answer, len));
	}
	learn->output.verdict(learn->output.context, &seen->queued, false, SLICE_NONE);
}

void learn_deny(struct learn *learn, const struct seen *seen)
{
	if (seen->packet.protocol == IP_PACKET_TCP && !(seen->packet.flags & IP_PACKET_SYN))
		reset(learn, &seen->packet, true);
	learn->output.verdict(learn->output.context, &seen->queued, false, SLICE_NONE);
}

/* --- what waits --- */

uint32_t learn_hold(struct learn *learn, const struct seen *seen, enum then then)
{
	bool copy = seen->changed || then == THEN_REFUSE;
	struct held *held = learn->nheld < HELD_MAX
				    ? malloc(sizeof(*held) + (copy ? seen->len : 0))
				    : NULL;

	if (!held) {
		counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
		learn_pass(learn, seen);
		return 0;
	}
	held->then = then;
	held->deadline_ns = seen->now_ns + learn->config->endpoints.hold_ns;
	held->seen = *seen;
	held->seen.bytes = held->bytes;
	if (copy)
		memcpy(held->bytes, seen->bytes, seen->len);
	/* 0 is nobody's. */
	if (++learn->ticket == 0)
		learn->ticket = 1;
	held->ticket = learn->ticket;
	list_append(&learn->held, &held->node);
	learn->nheld++;
	return held->ticket;
}

static void held_free(struct learn *learn, struct held *held)
{
	list_remove(&held->node);
	learn->nheld--;
	free(held);
}

static void held_go(struct learn *learn, struct held *held, bool learned)
{
	bool tcp = held->seen.packet.protocol == IP_PACKET_TCP;

	if (held->then == THEN_REFUSE && learned) {
		counter_add(learn->counters,
			tcp ? COUNTER_LEARN_SNI_RESET : COUNTER_LEARN_QUIC_REJECTED, 1);
		learn_refuse(learn, &held->seen);
	} else {
		learn_pass(learn, &held->seen);
	}
	held_free(learn, held);
}

void learn_told(struct learn *learn, const struct datapath_endpoint *endpoints, size_t n,
	uint64_t now_ns)
{
	for (size_t i = 0; i < n; i++) {
		bool learned = endpoints[i].expires_ns != 0 || endpoints[i].ticket == 0;

		if (learned)
			known_add(learn->known, &endpoints[i].address, endpoints[i].expires_ns,
				now_ns);
		if (!endpoints[i].ticket)
			continue;
		list_for_each_safe (node, &learn->held) {
			struct held *held = list_entry(node, struct held, node);

			if (held->ticket == endpoints[i].ticket)
				held_go(learn, held, learned);
		}
	}
}

uint64_t learn_due(struct learn *learn, uint64_t now_ns)
{
	while (!list_empty(&learn->held)) {
		struct held *held = list_entry(learn->held.next, struct held, node);

		if (held->deadline_ns > now_ns)
			return held->deadline_ns;
		counter_add(learn->counters, COUNTER_LEARN_LATE, 1);
		held_go(learn, held, false);
	}
	return UINT64_MAX;
}

void learn_free(struct learn *learn)
{
	if (!learn)
		return;
	list_for_each_safe (node, &learn->held)
		held_go(learn, list_entry(node, struct held, node), false);
	known_free(learn->known);
	peek_table_free(learn->peeks);
	free(learn);
}

/* --- what comes --- */

struct peek_key learn_peek_key(const struct ip_packet *packet)
{
	return (struct peek_key){
		.source = packet->source,
		.destination = packet->destination,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
		.protocol = packet->protocol,
	};
}

void learn_packet(struct learn *learn, const struct nfqueue_packet *packet, bool from_client,
	char *bytes, size_t len, uint64_t now_ns)
{
	struct seen seen = {.queued = *packet, .bytes = bytes, .len = len, .now_ns = now_ns};

	if (ip_packet_read(slice_of(bytes, len), &seen.packet) != IP_PACKET_OK) {
		counter_add(learn->counters, COUNTER_QUEUE_UNREADABLE, 1);
		learn_pass(learn, &seen);
	} else if (from_client) {
		learn_hello(learn, &seen);
	} else {
		learn_dns(learn, &seen);
	}
}
