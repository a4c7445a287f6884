/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to a packet, from facts alone: no map, no helper, no clock. */
#ifndef BPF_DECIDE_H
#define BPF_DECIDE_H

#include "abi.h"
#include "parse.h"

enum action { ACTION_PASS, ACTION_STEER, ACTION_RESET, ACTION_DROP };

struct facts {
	bool port;     /* TCP: the destination port is steered */
	bool endpoint; /* the destination is an endpoint: known for SYNs and hidden packets */
	bool steered;  /* the flow table says FLOW_STEER */
	bool repeated; /* a SYN with the ISN of the flow: sent again */
	bool worker;   /* the slot of the source's worker holds a listener, or did just now */
	bool socket;   /* a socket of this connection exists: known where worker is false */
};

struct verdict {
	enum action action;
	enum outcome outcome;
	enum drop drop; /* of ACTION_DROP and ACTION_RESET, else DROP_NONE */
	__u8 record;	/* enum flow_decision to write into the flow table, or 0 */
};

static __always_inline bool packet_is_syn(const struct packet *packet)
{
	return (packet->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* A packet that no honest sender makes: its reason, or DROP_NONE. */
static __always_inline enum drop decide_admission(const struct packet *packet)
{
	const __u8 *source = packet->source.bytes, *destination = packet->destination.bytes;
	bool mapped = true;

	if (packet->kind == PACKET_MALFORMED)
		return DROP_MALFORMED;
	if (packet->ipv6) {
		/* ::1, multicast; and IPv4-mapped, which would pass for the IPv4 address here. */
		for (int i = 0; i < 10; i++)
			mapped = mapped && source[i] == 0;
		if (mapped && source[10] == 0xff && source[11] == 0xff)
			return DROP_MARTIAN;
		mapped = mapped && source[10] == 0 && source[11] == 0 && source[12] == 0 &&
			 source[13] == 0 && source[14] == 0;
		if ((mapped && source[15] == 1) || source[0] == 0xff)
			return DROP_MARTIAN;
		mapped = true;
		for (int i = 0; i < 10; i++)
			mapped = mapped && destination[i] == 0;
		if (mapped && destination[10] == 0xff && destination[11] == 0xff)
			return DROP_MARTIAN;
	} else if (source[12] == 127 || source[12] >= 224) {
		return DROP_MARTIAN;
	}
	if (packet->kind == PACKET_TCP &&
		(packet->flags == 0 ||
			((packet->flags & TCP_SYN) && (packet->flags & (TCP_FIN | TCP_RST)))))
		return DROP_FLAGS;
	return DROP_NONE;
}

static __always_inline struct verdict verdict_pass(enum outcome outcome)
{
	return (struct verdict){ACTION_PASS, outcome, DROP_NONE, 0};
}

static __always_inline struct verdict verdict_steer(enum outcome outcome, __u8 record)
{
	return (struct verdict){ACTION_STEER, outcome, DROP_NONE, record};
}

static __always_inline struct verdict decide_syn(const struct facts *facts)
{
	/* A SYN sent again follows the first one: half a connection must not change sides. */
	bool again = facts->steered && facts->repeated;

	if (!again && !facts->endpoint) {
		struct verdict verdict = verdict_pass(OUTCOME_NOT_ENDPOINT);

		verdict.record = facts->steered ? FLOW_DIRECT : 0;
		return verdict;
	}
	if (!facts->worker)
		return (struct verdict){ACTION_RESET, OUTCOME_RESET, DROP_NO_WORKER, 0};
	return again ? verdict_steer(OUTCOME_STEERED, 0)
		     : verdict_steer(OUTCOME_OPENED, FLOW_STEER);
}

static __always_inline struct verdict decide(const struct packet *packet, const struct facts *facts)
{
	if (packet->vlan)
		return verdict_pass(OUTCOME_VLAN);
	switch (packet->kind) {
	case PACKET_HIDDEN:
		if (facts->endpoint)
			return (struct verdict){ACTION_DROP, OUTCOME_DROPPED, DROP_HIDDEN, 0};
		return verdict_pass(OUTCOME_FRAGMENT);
	case PACKET_FRAGMENT:
		return verdict_pass(OUTCOME_FRAGMENT);
	case PACKET_ICMP_ERROR:
		return facts->steered ? verdict_steer(OUTCOME_ICMP_STEERED, 0)
				      : verdict_pass(OUTCOME_OTHER);
	case PACKET_TCP:
		break;
	case PACKET_OTHER:
		return verdict_pass(OUTCOME_OTHER);
	default:
		return verdict_pass(OUTCOME_UNREADABLE);
	}
	if (!facts->port)
		return verdict_pass(OUTCOME_OTHER);
	if (packet_is_syn(packet))
		return decide_syn(facts);
	if (!facts->steered)
		return verdict_pass(OUTCOME_NO_FLOW);
	/* A reset is never answered with a reset (RFC 9293 section 3.10.7.1). */
	if (!facts->worker && !facts->socket && !(packet->flags & TCP_RST))
		return (struct verdict){ACTION_RESET, OUTCOME_RESET, DROP_NO_WORKER, 0};
	return verdict_steer(OUTCOME_STEERED, 0);
}

#endif
