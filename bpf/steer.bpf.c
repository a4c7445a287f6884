/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TC ingress on the inside interface: what comes from the sources is counted, their connections are
 * followed, and those to AI endpoints get the mark that the routing rule delivers locally.
 * Everything else passes untouched. */
#include "abi.h"
#include "admission.h"
#include "count.h"
#include "decide.h"
#include "flow.h"
#include "frame.h"
#include "reset.h"

const volatile __u32 steer_mark = 0;

/* A worker that drains has closed its listener and keeps its connections. */
__noinline int connection_exists(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	bool found;

	if (!packet)
		return false;
	if (packet->ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, &packet->source, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &packet->destination, 16);
		tuple.ipv6.sport = packet->source_port;
		tuple.ipv6.dport = packet->destination_port;
		sock = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(&tuple.ipv4.saddr, packet->source.bytes + 12, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, packet->destination.bytes + 12, 4);
		tuple.ipv4.sport = packet->source_port;
		tuple.ipv4.dport = packet->destination_port;
		sock = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sock)
		return false;
	/* A listener on the wildcard address is no connection. */
	found = sock->state != 10;
	bpf_sk_release(sock);
	return found;
}

static __always_inline void facts_of_flow(
	const struct packet *packet, const struct flow *flow, struct facts *facts)
{
	bool syn = packet->kind == PACKET_TCP && packet_is_syn(packet);

	facts->known = true;
	facts->steered = flow->decision == FLOW_STEER;
	/* What began before its port was shown is not looked at: that would be from its middle on.
	 */
	facts->unseen = flow->decision == FLOW_UNSEEN ||
			(packet->kind == PACKET_TCP && !syn && !flow_shows(flow, packet) &&
				((flow->marks & FLOW_SHOWN) ||
					port_shown(packet->destination_port, SHOWN_TCP)));
	facts->repeated =
		syn && flow->isn == packet->sequence && flow_state(flow->marks) != FLOW_CLOSED;
	/* Looked for once a tick: what a dead worker leaves is reset a tick later. */
	facts->worker = !syn && flow->tick == (__u16)tick_now();
}

/* Where a connection that is not known, or begins, wants to go. */
static __always_inline void facts_of_destination(const struct packet *packet, struct facts *facts)
{
	int fail;

	facts->port = packet->kind == PACKET_TCP && port_steered(packet->destination_port);
	facts->shown =
		packet->kind == PACKET_TCP && port_shown(packet->destination_port, SHOWN_TCP);
	if (packet->kind != PACKET_HIDDEN && !facts->port)
		return;
	fail = endpoint_look(&packet->destination);
	facts->endpoint = fail >= 0;
	facts->fails_open = fail == FAIL_OPEN;
}

/* Looks up what decide() needs for this packet, and no more. */
static __noinline struct flow *facts_gather(struct __sk_buff *skb, const struct packet *packet,
	const struct flow_key *key, struct facts *facts)
{
	bool tcp = packet->kind == PACKET_TCP, syn = tcp && packet_is_syn(packet);
	struct flow *flow = NULL;
	int slot;

	if (packet->vlan)
		return NULL;
	if (tcp || packet->kind == PACKET_ICMP_ERROR)
		flow = bpf_map_lookup_elem(&flows, key);
	if (flow) {
		flow_judge(flow, key);
		facts_of_flow(packet, flow, facts);
	}
	if (packet->kind == PACKET_HIDDEN || (tcp && (syn || !flow)))
		facts_of_destination(packet, facts);
	if (syn || (tcp && !flow && (facts->endpoint || facts->shown)))
		facts->flood = flood_now();
	if (!tcp || facts->worker || !(facts->steered || facts->endpoint))
		return flow;
	slot = worker_slot(&packet->source, packet->ipv6);
	facts->worker = slot_listens(slot) && ((flow && !syn) || slot_beats(slot));
	if (!syn && (!facts->worker || !flow))
		facts->socket = connection_exists(skb, packet);
	return flow;
}

/* Not inlined, see lookup.h. */
__noinline int verdict_of(
	const struct packet *packet, const struct facts *facts, struct verdict *verdict)
{
	if (!packet || !facts || !verdict)
		return -1;
	*verdict = decide(packet, facts);
	return 0;
}

/* What the source's counters and the flow table keep of a segment. false: the table took no entry.
 */
static __noinline bool segment_note(const struct packet *packet, const struct flow_key *key,
	struct flow *flow, const struct verdict *verdict, struct source_counters *counters)
{
	bool syn = packet_is_syn(packet), shown;
	__u32 marks = 0;

	if (syn && counters) {
		counters->syns += !verdict->repeated;
		counters->syns_again += verdict->repeated;
		counters->steered += verdict->outcome == OUTCOME_OPENED;
		counters->passed += verdict->action == ACTION_PASS && !verdict->repeated;
	}
	if (syn ? !verdict->repeated : verdict->outcome == OUTCOME_NO_FLOW && verdict->record)
		flood_count();
	if (verdict->unrecorded) {
		/* What was judged of these ports before is nothing to go by. */
		bpf_map_delete_elem(&judgements, key);
		outcome_count(OUTCOME_FLOOD);
	}
	if (verdict->record) {
		shown = port_shown(packet->destination_port, SHOWN_TCP);
		return flow_record(key, packet, verdict->record, shown ? FLOW_SHOWN : 0,
			       flow && flow_state(flow->marks) != FLOW_CLOSED) == 0;
	}
	/* A reset leaves the tick alone, so that the worker is looked for again. */
	if (!flow || verdict->action == ACTION_RESET)
		return true;
	flow_touch(flow);
	if (packet->flags & TCP_RST)
		marks = FLOW_SAW_RESET;
	else if (!syn)
		marks = FLOW_SAW_ACK | (packet->flags & TCP_FIN ? FLOW_SAW_CLIENT_FIN : 0);
	if (marks)
		flow_mark(flow, marks, &key->client, counters);
	return true;
}

static __noinline int act(struct __sk_buff *skb, const struct packet *packet,
	const struct verdict *verdict, struct source_counters *counters)
{
	outcome_count(verdict->outcome);
	switch (verdict->action) {
	case ACTION_STEER:
		skb->mark = steer_mark;
		return TC_ACT_UNSPEC_;
	case ACTION_RESET:
		source_drop(counters, verdict->drop);
		if (reset_make(skb, packet))
			return TC_ACT_SHOT_;
		return (int)bpf_redirect(skb->ifindex, 0);
	case ACTION_DROP:
		source_drop(counters, verdict->drop);
		return TC_ACT_SHOT_;
	default:
		if (verdict->unseen)
			skb->mark = MARK_UNSEEN(steer_mark);
		return TC_ACT_UNSPEC_;
	}
}

/* Not inlined, see lookup.h. */
__noinline int admit_packet(const struct packet *packet)
{
	return packet ? admit(packet, settings_now()) : DROP_MALFORMED;
}

/* As far as XDP leaves it to us. */
static __always_inline enum drop admit_here(const struct packet *packet)
{
	const struct settings *current = settings_now();

	if (current && (current->xdp == XDP_MODE_NATIVE ||
			       (current->xdp == XDP_MODE_GENERIC && !packet_mergeable(packet))))
		return DROP_NONE;
	return (enum drop)admit_packet(packet);
}

/* Whether a datagram is not for the scout. He is shown the beginnings of QUIC (long headers, RFC
 * 9000 section 17.2) and what goes to an endpoint, which takes no datagrams. Not inlined, see
 * lookup.h. */
__noinline int datagram_unseen(struct __sk_buff *skb, const struct packet *packet)
{
	const struct settings *current = settings_now();
	const struct wire_udp *udp;
	struct frame frame;
	__u32 l4;

	if (!packet || !current || !(current->shown & SHOWN_UDP) || packet->kind != PACKET_OTHER ||
		packet->protocol != IP_UDP)
		return false;
	l4 = packet->l4;
	frame_read(skb, &frame);
	udp = (const void *)(frame.start + l4);
	if (l4 > PARSE_L4_MAX || (const __u8 *)(udp + 1) + 1 > frame.end)
		return false;
	if (*(const __u8 *)(udp + 1) & 0x80 || !port_shown(udp->destination, SHOWN_UDP))
		return false;
	if (udp->destination == bpf_htons(PORT_ENCRYPTED_DNS) && (current->shown & SHOWN_DNS_ALL))
		return false;
	return endpoint_look(&packet->destination) < 0;
}

SEC("tc")
int sally_steer(struct __sk_buff *skb)
{
	struct verdict verdict;
	struct source_counters *counters;
	struct packet packet = {};
	struct flow_key key = {};
	struct facts facts = {};
	struct wire_size size;
	struct flow *flow;

	frame_pull(skb);
	if (!frame_has_ethernet(skb) && frame_repair(skb)) {
		outcome_count(OUTCOME_DROPPED);
		return TC_ACT_SHOT_;
	}
	frame_parse(skb, &packet);
	packet.vlan = skb_tagged(skb, &packet);
	if (packet.kind == PACKET_NOT_IP) {
		outcome_count(packet.vlan ? OUTCOME_VLAN : OUTCOME_UNREADABLE);
		return TC_ACT_UNSPEC_;
	}
	size = skb_wire_size(skb, &packet);
	counters = source_of(&packet.source);
	source_count(counters, size.packets, size.bytes);
	verdict = verdict_drop(admit_here(&packet));
	if (verdict.drop != DROP_NONE)
		return act(skb, &packet, &verdict, counters);
	flow_key_of(&packet, &key);
	flow = facts_gather(skb, &packet, &key, &facts);
	verdict_of(&packet, &facts, &verdict);
	if (packet.kind == PACKET_TCP && !packet.vlan &&
		!segment_note(&packet, &key, flow, &verdict, counters) &&
		verdict.action == ACTION_STEER) {
		verdict.action = ACTION_RESET;
		verdict.outcome = OUTCOME_FLOWS_FULL;
		verdict.drop = DROP_NO_WORKER;
	}
	if (packet.kind == PACKET_OTHER && !packet.vlan)
		verdict.unseen = datagram_unseen(skb, &packet);
	if (verdict.action == ACTION_STEER && counters) {
		counters->steered_packets += size.packets;
		counters->steered_bytes += size.bytes;
	}
	return act(skb, &packet, &verdict, counters);
}

char LICENSE[] SEC("license") = "GPL";
