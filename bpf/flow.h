/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flow table: every TCP connection of the sources, as far as it was seen to begin. */
#ifndef BPF_FLOW_H
#define BPF_FLOW_H

#include "count.h"
#include "decide.h"
#include "lookup.h"

#define FLOOD_WINDOW_SHIFT 30

static __always_inline __u64 flood_window(void)
{
	return bpf_ktime_get_coarse_ns() >> FLOOD_WINDOW_SHIFT;
}

/* Whether more connections than admission.flood_rate came in this window, or in the one before. */
static __always_inline bool flood_now(void)
{
	const struct settings *current = settings_now();
	__u64 window = flood_window();
	__u32 zero = 0;
	const struct flood *seen = bpf_map_lookup_elem(&flood, &zero);

	if (!current || !seen || current->flood_rate == 0)
		return false;
	if (seen->window == window)
		return seen->now > current->flood_rate || seen->before > current->flood_rate;
	return seen->window + 1 == window && seen->now > current->flood_rate;
}

/* A new connection. CPUs that turn the window over at once may lose some: it is a threshold. */
static __always_inline void flood_count(void)
{
	__u64 window = flood_window();
	__u32 zero = 0;
	struct flood *seen = bpf_map_lookup_elem(&flood, &zero);

	if (!seen)
		return;
	if (seen->window != window) {
		seen->before = seen->window + 1 == window ? seen->now : 0;
		seen->now = 0;
		seen->window = window;
	}
	__sync_fetch_and_add(&seen->now, 1);
}

static __always_inline void flow_key_of(const struct packet *packet, struct flow_key *key)
{
	/* Its opposite direction: what comes from the server, and errors about what we sent in the
	 * server's name. */
	if (packet->kind == PACKET_ICMP_ERROR) {
		key->client = packet->quoted_destination;
		key->server = packet->quoted_source;
		key->client_port = packet->destination_port;
		key->server_port = packet->source_port;
		return;
	}
	key->client = packet->source;
	key->server = packet->destination;
	key->client_port = packet->source_port;
	key->server_port = packet->destination_port;
}

static __always_inline void flow_key_of_reply(const struct packet *packet, struct flow_key *key)
{
	key->client = packet->destination;
	key->server = packet->source;
	key->client_port = packet->destination_port;
	key->server_port = packet->source_port;
}

/* Only while admission.connections needs it. */
static __always_inline void limit_count(const struct abi_address *source, bool ended)
{
	const struct settings *current = settings_now();
	struct source_limit *limit;

	if (!current || current->connections_max == 0)
		return;
	limit = bpf_map_lookup_elem(&limits, source);
	if (limit)
		__sync_fetch_and_add(ended ? &limit->ended : &limit->attempts, 1);
}

/* Marks what a segment says. Whoever sets the bit that ends a connection counts its end. */
static __always_inline void flow_mark(struct flow *flow, __u32 marks,
	const struct abi_address *source, struct source_counters *counters)
{
	__u32 before = flow->marks;
	enum flow_state from, to;

	/* Written only when it changes: CPUs share the line. */
	if ((before & marks) == marks || flow_state(before) == FLOW_CLOSED)
		return;
	before = __sync_fetch_and_or(&flow->marks, marks);
	from = flow_state(before);
	to = flow_state(before | marks);
	if (counters && (marks & FLOW_SAW_ACK) && !(before & FLOW_SAW_ACK) && to != FLOW_CLOSED)
		counters->opened += 1;
	if (from == to || to != FLOW_CLOSED)
		return;
	if (counters && (marks & FLOW_SAW_RESET))
		counters->resets += 1;
	else if (counters)
		counters->closed += 1;
	limit_count(source, true);
}

static __always_inline void flow_touch(struct flow *flow)
{
	__u16 tick = (__u16)tick_now();

	if (flow->tick == tick)
		return;
	flow->tick = tick;
	flow->seen_ns = bpf_ktime_get_coarse_ns();
}

/* Bytes before a stream's beginning that may yet be a part of it. */
#define FLOW_BEFORE (1u << 20)

/* Whether the scout has to see the segment: it may be, or write over, what he judges by. What
 * reaches from before the stream's beginning into it counts (RFC 9293 section 3.10.7.4 trims it).
 */
static __always_inline bool flow_shows(const struct flow *flow, const struct packet *packet)
{
	__u32 marks = flow->marks, at = packet->sequence - flow->isn - 1;

	if (!(marks & FLOW_SHOWN) || flow->decision != FLOW_DIRECT)
		return false;
	if (packet_is_syn(packet))
		return true;
	if (packet->payload == 0)
		return false;
	if (!(marks & FLOW_JUDGED))
		return true;
	if (marks & FLOW_SETTLED)
		return false;
	/* Whether it stands before the beginning, of which the scout may have been made a fool:
	 * until its server has it, as far as can be told by half of all numbers; where no answer is
	 * seen a stream goes on for longer than that. */
	return at < flow->judged ||
	       ((marks & FLOW_SAW_REPLY) ? (__s32)at < 0 : -at < packet->payload + FLOW_BEFORE);
}

/* Whether a segment of the server acknowledges all that was judged. */
static __always_inline bool flow_settles(const struct flow *flow, const struct packet *packet)
{
	return (flow->marks & (FLOW_JUDGED | FLOW_SETTLED)) == FLOW_JUDGED &&
	       (packet->flags & TCP_ACK) &&
	       (__s32)(packet->acknowledgement - flow->isn - 1 - flow->judged) >= 0;
}

/* Takes the scout's word for it, if he gave it. */
static __always_inline void flow_judge(struct flow *flow, const struct flow_key *key)
{
	const struct judgement *judgement;

	if ((flow->marks & (FLOW_SHOWN | FLOW_JUDGED)) != FLOW_SHOWN)
		return;
	judgement = bpf_map_lookup_elem(&judgements, key);
	if (!judgement)
		return;
	if (flow->marks & FLOW_NO_SYN)
		flow->isn = judgement->isn;
	else if (flow->isn != judgement->isn) /* of an older connection of the same ports */
		return;
	flow->judged = judgement->bytes;
	__sync_fetch_and_or(&flow->marks, FLOW_JUDGED);
}

/* Writes a decision down; marks: with which the flow begins; replaces: a connection that is open
 * still. Negative: the table took no entry. Not inlined, see lookup.h. */
__noinline int flow_record(const struct flow_key *of, const struct packet *packet, int decision,
	__u32 marks, bool replaces)
{
	struct flow fresh = {
		.seen_ns = bpf_ktime_get_coarse_ns(),
		.tick = (__u16)tick_now(),
		.decision = (__u8)decision,
		.marks = marks,
	};
	struct flow_key key;

	if (!of || !packet)
		return -1;
	key = *of;
	fresh.isn = packet->sequence;
	/* One that the table had forgotten. */
	if (!packet_is_syn(packet)) {
		fresh.marks |= FLOW_SAW_ACK | FLOW_NO_SYN;
		fresh.isn--;
	}
	if (replaces)
		limit_count(&key.client, true);
	if (bpf_map_update_elem(&flows, &key, &fresh, BPF_ANY))
		return -1;
	limit_count(&key.client, false);
	return 0;
}

#endif
