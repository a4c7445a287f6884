// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/learn.h"

#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"
#include "scout/learn_internal.h"

/* Each waits for the parent, for endpoints.hold at the most. */
#define HELD_MAX       1024
#define HELD_BYTES_MAX ((size_t)16 << 20)
/* Of these, DNS replies: there is room for connections whatever clients are told by their servers. */
#define HELD_REPLIES_MAX (HELD_MAX / 4 * 3)
#define HELD_REPLY_BYTES (HELD_BYTES_MAX / 4 * 3)
#define ALIASES_MAX	 4096
/* Claims at a time, and the part of the endpoint table that they may be. */
#define CLAIMS_MAX  2048
#define CLAIMS_PART 8

struct held {
	struct list node, chain;
	struct peek_key key;
	uint32_t ticket; /* 0: waits for no answer */
	bool rest;	 /* waits for the rest of its message */
	enum then then;
	uint64_t deadline_ns;
	size_t copied;
	struct seen seen; /* bytes: a copy behind it, if it takes one */
	char bytes[];
};

struct learn *learn_new(
	const struct config *config, struct counters *counters, const struct learn_output *output)
{
	struct learn *learn = calloc(1, sizeof(*learn));
	struct claim_limits limits = {
		.all = config->datapath.max_endpoints / CLAIMS_PART,
		.per_source = config->endpoints.claims_per_source,
		.per_name = config->endpoints.claims_per_name,
	};

	if (!learn)
		return NULL;
	if (limits.all > CLAIMS_MAX)
		limits.all = CLAIMS_MAX;
	learn->config = config;
	learn->counters = counters;
	learn->lookups.seed = address_seed();
	learn->output = *output;
	list_init(&learn->held);
	for (size_t i = 0; i < LEARN_HELD_CHAINS; i++)
		list_init(&learn->held_chains[i]);
	learn->known = known_new(config->datapath.max_endpoints);
	learn->peeks = peek_table_new(learn_hello_forget, learn);
	learn->aliases = alias_table_new(ALIASES_MAX);
	learn->claims = claim_table_new(&limits);
	if (!learn->known || !learn->peeks || !learn->aliases || !learn->claims) {
		learn_free(learn);
		return NULL;
	}
	return learn;
}

bool learn_closed(const struct learn *learn)
{
	bool modes[2];

	config_fail_modes(learn->config, modes);
	return modes[CONFIG_FAIL_CLOSED];
}

void learn_pass(struct learn *learn, const struct seen *seen)
{
	learn->output.verdict(learn->output.context, &seen->queued, true,
		seen->changed ? slice_of(seen->bytes, seen->len) : SLICE_NONE);
}

void learn_reset(struct learn *learn, const struct ip_packet *packet, bool to_server)
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
		learn_reset(learn, packet, false);
		/* It has nothing of a connection whose SYN does not reach it. */
		if (!(packet->flags & IP_PACKET_SYN))
			learn_reset(learn, packet, true);
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
		learn_reset(learn, &seen->packet, true);
	learn->output.verdict(learn->output.context, &seen->queued, false, SLICE_NONE);
}

/* --- what waits --- */

uint32_t learn_ticket(struct learn *learn)
{
	/* 0 is nobody's. */
	if (++learn->ticket == 0)
		learn->ticket = 1;
	return learn->ticket;
}

static bool is_reply(enum then then)
{
	return then == THEN_PASS || then == THEN_PASS_LEARNED || then == THEN_ONLY_LEARNED;
}

/* What becomes of a packet whose address is no endpoint after all. */
static void unlearned(
	struct learn *learn, const struct seen *seen, enum then then, enum learned learned)
{
	bool refused = learned == LEARN_REFUSED;

	if (then == THEN_REFUSE_ALWAYS || (then == THEN_REFUSE && refused)) {
		counter_add(learn->counters, COUNTER_LEARN_UNLEARNED, 1);
		learn_refuse(learn, seen);
	} else if (then == THEN_ONLY_LEARNED || (then == THEN_PASS_LEARNED && refused)) {
		counter_add(learn->counters, COUNTER_LEARN_DNS_REFUSED, 1);
		learn->output.verdict(learn->output.context, &seen->queued, false, SLICE_NONE);
	} else {
		learn_pass(learn, seen);
	}
}

static struct list *chain_of(struct learn *learn, const struct peek_key *key)
{
	return &learn->held_chains[bytes_hash(key, sizeof(*key), learn->lookups.seed) &
				   (LEARN_HELD_CHAINS - 1)];
}

bool learn_hold(
	struct learn *learn, const struct seen *seen, enum then then, uint32_t ticket, bool rest)
{
	size_t copied = seen->changed || rest || then != THEN_PASS ? seen->len : 0;
	bool reply = is_reply(then);
	bool room = learn->nheld < (reply ? HELD_REPLIES_MAX : HELD_MAX) &&
		    learn->held_bytes + copied <= (reply ? HELD_REPLY_BYTES : HELD_BYTES_MAX);
	struct held *held = room ? malloc(sizeof(*held) + copied) : NULL;

	if (!held) {
		counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
		/* Who fills the table must not get past it in that way. */
		unlearned(learn, seen, then, LEARN_REFUSED);
		return false;
	}
	*held = (struct held){
		.key = learn_peek_key(&seen->packet),
		.ticket = ticket,
		.rest = rest,
		.then = then,
		.deadline_ns = seen->now_ns + learn->config->endpoints.hold_ns,
		.copied = copied,
		.seen = *seen,
	};
	held->seen.bytes = held->bytes;
	memcpy(held->bytes, seen->bytes, copied);
	list_append(&learn->held, &held->node);
	list_append(chain_of(learn, &held->key), &held->chain);
	learn->nheld++;
	learn->held_bytes += copied;
	return true;
}

static void held_free(struct learn *learn, struct held *held)
{
	list_remove(&held->node);
	list_remove(&held->chain);
	learn->nheld--;
	learn->held_bytes -= held->copied;
	free(held);
}

static void held_go(struct learn *learn, struct held *held, enum learned learned)
{
	bool tcp = held->seen.packet.protocol == IP_PACKET_TCP;

	if (!is_reply(held->then) && learned == LEARN_KNOWN) {
		counter_add(learn->counters,
			tcp ? COUNTER_LEARN_SNI_RESET : COUNTER_LEARN_QUIC_REJECTED, 1);
		learn_refuse(learn, &held->seen);
	} else {
		unlearned(learn, &held->seen,
			learned == LEARN_KNOWN ? THEN_PASS : held->then, learned);
	}
	held_free(learn, held);
}

void learn_ticket_over(struct learn *learn, uint32_t ticket, enum learned learned)
{
	list_for_each_safe (node, &learn->held) {
		struct held *held = list_entry(node, struct held, node);

		if (held->ticket != ticket)
			continue;
		held->ticket = 0;
		if (!held->rest)
			held_go(learn, held, learned);
	}
}

void learn_ticket_only(struct learn *learn, uint32_t ticket)
{
	list_for_each (node, &learn->held) {
		struct held *held = list_entry(node, struct held, node);

		if (held->ticket == ticket && held->then == THEN_PASS_LEARNED)
			held->then = THEN_ONLY_LEARNED;
	}
}

void learn_told(
	struct learn *learn, const struct datapath_endpoint *endpoints, size_t n, uint64_t now_ns)
{
	for (size_t i = 0; i < n; i++) {
		const struct datapath_endpoint *endpoint = &endpoints[i];
		bool steered = endpoint->state == ENDPOINT_STEERED;

		if (steered) {
			known_add(learn->known, &endpoint->address, endpoint->expires_ns, now_ns);
		} else {
			known_forget(learn->known, &endpoint->address);
			claim_drop(learn->claims, &endpoint->address);
		}
		if (endpoint->ticket)
			learn_ticket_over(learn, endpoint->ticket,
				steered ? LEARN_KNOWN : LEARN_REFUSED);
	}
}

static bool key_equal(const struct peek_key *a, const struct peek_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

uint32_t learn_ticket_of(struct learn *learn, const struct peek_key *key)
{
	list_for_each (node, chain_of(learn, key)) {
		const struct held *held = list_entry(node, struct held, chain);

		if (held->ticket && key_equal(&held->key, key))
			return held->ticket;
	}
	return 0;
}

void learn_rest(struct learn *learn, const struct peek_key *key,
	bool (*over)(void *context, struct seen *seen), void *context)
{
	list_for_each_safe (node, chain_of(learn, key)) {
		struct held *held = list_entry(node, struct held, chain);

		if (!held->rest || !key_equal(&held->key, key) || !over(context, &held->seen))
			continue;
		held->rest = false;
		if (!held->ticket)
			held_go(learn, held, LEARN_UNKNOWN);
	}
}

/* All that wait with it go without, and it may be gone. */
static void rest_give_up(struct learn *learn, const struct held *held, uint64_t now_ns)
{
	const struct peek_key key = held->key;

	learn_stream_give_up(learn, &key, peek_find(learn->peeks, &key, now_ns));
}

uint64_t learn_due(struct learn *learn, uint64_t now_ns)
{
	while (!list_empty(&learn->held)) {
		struct held *held = list_entry(learn->held.next, struct held, node);

		if (held->deadline_ns > now_ns)
			return held->deadline_ns;
		if (held->rest) {
			rest_give_up(learn, held, now_ns);
			continue;
		}
		counter_add(learn->counters, COUNTER_LEARN_LATE, 1);
		held_go(learn, held, LEARN_UNKNOWN);
	}
	return UINT64_MAX;
}

void learn_free(struct learn *learn)
{
	if (!learn)
		return;
	while (!list_empty(&learn->held)) {
		struct held *held = list_entry(learn->held.next, struct held, node);

		if (held->rest)
			rest_give_up(learn, held, held->seen.now_ns);
		else
			held_go(learn, held, LEARN_UNKNOWN);
	}
	known_free(learn->known);
	peek_table_free(learn->peeks);
	alias_table_free(learn->aliases);
	claim_table_free(learn->claims);
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
		/* Of a client, it goes to an inspected port by what netfilter reads. */
		if (from_client && learn_closed(learn))
			learn->output.verdict(learn->output.context, packet, false, SLICE_NONE);
		else
			learn_pass(learn, &seen);
	} else if (from_client) {
		learn_hello(learn, &seen);
	} else {
		learn_dns(learn, &seen);
	}
}
