// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel programs' parser and decisions, compiled here: whatever the frame, the parser stays
 * inside it, its facts fit the frame, and a decision follows from facts alone. The first byte of
 * an input holds the facts, the second says how much of the frame can be read. */
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

	demand(verdict.outcome < OUTCOME_COUNT);
	demand((verdict.action == ACTION_RESET || verdict.action == ACTION_DROP) ==
		(verdict.drop != DROP_NONE));
	demand(!packet->vlan || verdict.action == ACTION_PASS);
	/* Only a SYN makes or ends a flow, and only to where connections are steered. */
	demand(!verdict.record || (syn && facts->port));
	demand(verdict.record != FLOW_STEER || facts->endpoint);
	/* Nothing but a new SYN to an endpoint is steered without a flow. */
	demand(verdict.action != ACTION_STEER || facts->steered || (syn && facts->endpoint));
	demand(verdict.action != ACTION_RESET ||
		(packet->kind == PACKET_TCP && !facts->worker && facts->port));
	demand(verdict.action != ACTION_RESET || syn || !(packet->flags & TCP_RST));
	demand(verdict.action != ACTION_DROP || facts->endpoint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet packet = {0};
	struct facts facts;
	struct frame frame;
	uint8_t *copy;
	size_t linear;

	if (size < 2)
		return 0;
	facts = (struct facts){
		.port = data[0] & 1,
		.endpoint = data[0] & 2,
		.steered = data[0] & 4,
		.repeated = data[0] & 8,
		.worker = data[0] & 16,
		.socket = data[0] & 32,
	};
	linear = data[1] == 255 || data[1] > size - 2 ? size - 2 : data[1];
	/* A buffer of its own, so that the sanitizer sees its end. */
	copy = malloc(linear ? linear : 1);
	demand(copy != NULL);
	memcpy(copy, data + 2, linear);
	frame = (struct frame){.start = copy, .end = copy + linear, .len = (uint32_t)(size - 2)};
	parse(&frame, &packet);
	facts_hold(&frame, &packet);
	decide_admission(&packet);
	verdict_holds(&packet, &facts);
	free(copy);
	return 0;
}
