/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to a packet, from facts alone: no map, no helper, no clock. */
#ifndef BPF_DECIDE_H
#define BPF_DECIDE_H

#include "abi.h"
#include "parse.h"

enum action { ACTION_PASS, ACTION_STEER, ACTION_RESET, ACTION_DROP };

struct facts {
	bool port; /* TCP: the destination port is steered; not looked at where the flow is known */
	bool endpoint;	 /* the destination is an endpoint: known for SYNs and hidden packets … */
	bool fails_open; /* … and so is what becomes of it while its worker is not alive */
	bool known;	 /* the flow table has the connection */
	bool steered;	 /* … as FLOW_STEER */
	bool unseen;	 /* … and this segment is not for the scout */
	bool shown;	 /* the port is one of those whose connections the scout judges */
	bool repeated;	 /* a SYN with the ISN of a flow that is opening: sent again */
	bool worker;	 /* the source's worker listens; unless known: and gives signs of life */
	bool socket;	 /* a socket of this connection exists: known where it matters */
	bool flood;	 /* no new connection is recorded now */
};

struct verdict {
	enum action action;
	enum outcome outcome;
	enum drop drop;	 /* of ACTION_DROP and ACTION_RESET, else DROP_NONE */
	__u8 record;	 /* enum flow_decision to write into the flow table, or 0 */
	bool repeated;	 /* a SYN that was seen before */
	bool unseen;	 /* passes, and is to be marked as not for the scout */
	bool unrecorded; /* a decision that would have been written, but for the flood */
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

static __always_inline struct verdict verdict_pass(enum outcome outcome, __u8 record)
{
	return (struct verdict){
		.action = ACTION_PASS, .outcome = outcome, .drop = DROP_NONE, .record = record};
}

static __always_inline struct verdict verdict_steer(enum outcome outcome, __u8 record)
{
	return (struct verdict){
		.action = ACTION_STEER, .outcome = outcome, .drop = DROP_NONE, .record = record};
}

static __always_inline struct verdict verdict_reset(void)
{
	return (struct verdict){
		.action = ACTION_RESET, .outcome = OUTCOME_RESET, .drop = DROP_NO_WORKER};
}

static __always_inline struct verdict verdict_drop(enum drop drop)
{
	return (struct verdict){.action = ACTION_DROP, .outcome = OUTCOME_DROPPED, .drop = drop};
}

static __always_inline struct verdict verdict_direct(const struct facts *facts)
{
	struct verdict verdict = verdict_pass(OUTCOME_DIRECT, 0);

	verdict.unseen = facts->unseen;
	return verdict;
}

static __always_inline struct verdict decide_syn(const struct facts *facts)
{
	bool again = facts->known && facts->repeated;
	struct verdict verdict;

	/* A SYN sent again follows the first one: half a connection must not change sides. */
	if (again && !facts->steered)
		verdict = verdict_direct(facts);
	else if (!again && !(facts->port && facts->endpoint))
		verdict = verdict_pass(OUTCOME_NOT_ENDPOINT, FLOW_DIRECT);
	else if (facts->worker)
		verdict = again ? verdict_steer(OUTCOME_STEERED, 0)
				: verdict_steer(OUTCOME_OPENED, FLOW_STEER);
	else if (facts->fails_open)
		verdict = verdict_pass(OUTCOME_FAILED_OPEN, FLOW_UNSEEN);
	else
		verdict = verdict_reset();
	verdict.unseen = verdict.unseen || verdict.outcome == OUTCOME_FAILED_OPEN;
	verdict.repeated = again;
	/* What is in the table is still written over: an old decision must not be followed. */
	if (verdict.record && facts->flood && !facts->known) {
		verdict.record = 0;
		verdict.unrecorded = true;
	}
	return verdict;
}

/* A segment of a connection that the table does not know: forgotten, or not recorded in a flood, or
 * there before us. Only for the last there is somebody else who knows it. */
static __always_inline struct verdict decide_unknown(
	const struct packet *packet, const struct facts *facts)
{
	struct verdict verdict = verdict_pass(OUTCOME_NO_FLOW, 0);

	/* The scout's judgement is remembered with it. */
	if (facts->shown && packet->payload && !facts->flood)
		verdict.record = FLOW_DIRECT;
	if (!facts->port || !facts->endpoint)
		return verdict;
	if (facts->socket)
		return verdict_steer(OUTCOME_STEERED, FLOW_STEER);
	/* The answer to a SYN cookie, no socket yet; unless its SYN has passed because it fails
	 * open. */
	if (facts->flood && (facts->worker || !facts->fails_open))
		return verdict_steer(OUTCOME_STEERED, 0);
	verdict.unseen = facts->flood;
	return verdict;
}

static __always_inline struct verdict decide(const struct packet *packet, const struct facts *facts)
{
	if (packet->vlan)
		return verdict_pass(OUTCOME_VLAN, 0);
	switch (packet->kind) {
	case PACKET_HIDDEN:
		if (facts->endpoint)
			return verdict_drop(DROP_HIDDEN);
		return verdict_pass(OUTCOME_FRAGMENT, 0);
	case PACKET_FRAGMENT:
		return verdict_pass(OUTCOME_FRAGMENT, 0);
	case PACKET_ICMP_ERROR:
		return facts->steered ? verdict_steer(OUTCOME_ICMP_STEERED, 0)
				      : verdict_pass(OUTCOME_OTHER, 0);
	case PACKET_TCP:
		break;
	case PACKET_OTHER:
		return verdict_pass(OUTCOME_OTHER, 0);
	default:
		return verdict_pass(OUTCOME_UNREADABLE, 0);
	}
	if (packet_is_syn(packet))
		return decide_syn(facts);
	if (!facts->known)
		return decide_unknown(packet, facts);
	if (!facts->steered)
		return verdict_direct(facts);
	/* A reset is never answered with a reset (RFC 9293 section 3.10.7.1). */
	if (!facts->worker && !facts->socket && !(packet->flags & TCP_RST))
		return verdict_reset();
	return verdict_steer(OUTCOME_STEERED, 0);
}

#endif
