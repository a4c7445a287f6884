// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel programs' parser and decisions, compiled here: whatever the frame, the parser stays
 * inside it, its facts fit the frame, and a decision follows from facts alone. The first two bytes
 * of an input hold the facts, the third says how much of the frame can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/decide.h"
#include "bpf/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void facts_hold(const struct frame *frame, const struct packet *packet)
{
	if (packet->kind == PACKET_TCP) {
		demand(packet->protocol == IP_TCP && packet->l4 > packet->l3);
		demand(packet->l4_header >= 20 && packet->l4_header <= 60);
		demand(packet->l4 + packet->l4_header + packet->payload <= frame->len);
	}
	if (packet->kind == PACKET_ICMP_ERROR)
		demand(packet->protocol == (packet->ipv6 ? IP_ICMPV6 : IP_ICMP));
	/* Cut by the buffer is no fault of the sender's. */
	demand(packet->kind != PACKET_UNREADABLE ||
		(uint32_t)(frame->end - frame->start) < frame->len);
}

static void verdict_holds(const struct packet *packet, const struct facts *facts)
{
	struct verdict verdict = decide(packet, facts);
	bool syn = packet->kind == PACKET_TCP && packet_is_syn(packet);

	bool tcp = packet->kind == PACKET_TCP, wanted = facts->port && facts->endpoint;
	/* Nobody knows it, but our stack has it, or may have sent a cookie for it. */
	bool forgotten = tcp && !syn && !facts->known && wanted;

	demand(verdict.outcome < OUTCOME_COUNT);
	demand((verdict.action == ACTION_RESET || verdict.action == ACTION_DROP) ==
		(verdict.drop != DROP_NONE));
	demand(!packet->vlan || verdict.action == ACTION_PASS);
	/* Only a SYN decides, and whoever is found forgotten is written down again. */
	demand(!verdict.record || syn || (forgotten && facts->socket));
	demand(verdict.record != FLOW_STEER || (wanted && (syn ? facts->worker : facts->socket)));
	demand(verdict.record != FLOW_UNSEEN || (syn && facts->fails_open && !facts->worker));
	demand(!(syn && facts->flood && !facts->known) || !verdict.record);
	/* Nothing else is steered without a flow. */
	demand(verdict.action != ACTION_STEER || facts->steered ||
		(syn && wanted && facts->worker) || (forgotten && (facts->socket || facts->flood)));
	demand(verdict.action != ACTION_RESET ||
		(tcp && !facts->worker && (facts->steered || (syn && wanted)) &&
			!(syn && facts->fails_open)));
	demand(verdict.action != ACTION_RESET || syn || !(packet->flags & TCP_RST));
	demand(verdict.action != ACTION_DROP || facts->endpoint);
	demand(!verdict.unseen || verdict.action == ACTION_PASS);
}

/* As steer can find them: what is of a flow, or of an endpoint, is so only with one. */
static struct facts facts_of(const uint8_t *data)
{
	bool known = data[1] & 1, endpoint = data[0] & 2, steered = known && (data[0] & 4);

	return (struct facts){
		.port = data[0] & 1,
		.endpoint = endpoint,
		.steered = steered,
		.repeated = known && (data[0] & 8),
		.worker = data[0] & 16,
		.socket = data[0] & 32,
		.known = known,
		.fails_open = endpoint && (data[1] & 2),
		.unseen = known && !steered && (data[1] & 4),
		.flood = data[1] & 8,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet packet = {0};
	struct facts facts;
	struct frame frame;
	uint8_t *copy;
	size_t linear;

	if (size < 3)
		return 0;
	facts = facts_of(data);
	data += 2;
	size -= 2;
	linear = data[0] == 255 || data[0] > size - 1 ? size - 1 : data[0];
	/* A buffer of its own, so that the sanitizer sees its end. */
	copy = malloc(linear ? linear : 1);
	demand(copy != NULL);
	memcpy(copy, data + 1, linear);
	frame = (struct frame){.start = copy, .end = copy + linear, .len = (uint32_t)(size - 1)};
	parse(&frame, &packet);
	facts_hold(&frame, &packet);
	decide_admission(&packet);
	verdict_holds(&packet, &facts);
	free(copy);
	return 0;
}
