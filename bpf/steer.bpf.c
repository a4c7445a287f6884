/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TC ingress on the inside interface: connections to AI endpoints get the mark that the routing
 * rule delivers locally. Everything else passes untouched. */
#include "abi.h"
#include "count.h"
#include "decide.h"
#include "maps.h"
#include "parse.h"
#include "reset.h"

/* As in linux/pkt_cls.h; UNSPEC goes on to the filters of others. */
enum { TC_ACT_UNSPEC_ = -1, TC_ACT_SHOT_ = 2 };
/* Ethernet, a tag, IPv6 with some options, TCP with all options. */
enum { HEADERS_WANTED = 192 };

const volatile __u32 steer_mark = 0;
const volatile bool steer_accounts = false; /* XDP is off: count here */

static __always_inline bool port_steered(__u16 port)
{
	__u32 host = bpf_ntohs(port), word = host / 32;
	const __u32 *bits = bpf_map_lookup_elem(&ports, &word);

	return bits && (*bits >> (host % 32) & 1);
}

static __always_inline bool endpoint_known(const struct abi_address *address)
{
	struct prefix_key key = {.bits = 128};

	if (bpf_map_lookup_elem(&endpoints, address))
		return true;
	key.address = *address;
	return bpf_map_lookup_elem(&prefixes, &key) != NULL;
}

static __always_inline bool worker_listens(const struct packet *packet)
{
	int slot = worker_slot(&packet->source, packet->ipv6);
	struct bpf_sock *listener = slot < 0 ? NULL : bpf_map_lookup_elem(&workers, &slot);

	if (!listener)
		return false;
	bpf_sk_release(listener);
	return true;
}

/* A worker that drains has closed its listener and keeps its connections. */
static __always_inline bool connection_exists(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	bool found;

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

static __always_inline void flow_key_of(const struct packet *packet, struct flow_key *key)
{
	if (packet->kind == PACKET_ICMP_ERROR) {
		/* It quotes what we sent in the server's name. */
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

/* Looks up what decide() needs for this packet, and no more. */
static __always_inline struct flow *facts_gather(struct __sk_buff *skb, const struct packet *packet,
	const struct flow_key *key, struct facts *facts)
{
	bool syn = packet->kind == PACKET_TCP && packet_is_syn(packet);
	struct flow *flow = NULL;

	if (packet->vlan)
		return NULL;
	if (packet->kind == PACKET_TCP)
		facts->port = port_steered(packet->destination_port);
	if (packet->kind == PACKET_HIDDEN || (syn && facts->port))
		facts->endpoint = endpoint_known(&packet->destination);
	if (facts->port || packet->kind == PACKET_ICMP_ERROR)
		flow = bpf_map_lookup_elem(&flows, key);
	if (flow) {
		facts->steered = flow->decision == FLOW_STEER;
		facts->repeated = syn && flow->isn == packet->sequence;
		/* Looked for once a tick: what a dead worker leaves is reset a tick later. */
		facts->worker = !syn && flow->tick == (__u16)tick_now();
	}
	if (packet->kind == PACKET_TCP && !facts->worker && (facts->steered || facts->endpoint)) {
		facts->worker = worker_listens(packet);
		if (!facts->worker && !syn)
			facts->socket = connection_exists(skb, packet);
	}
	return flow;
}

/* false: the flow table took no entry. */
static __always_inline bool flow_note(const struct packet *packet, const struct flow_key *key,
	struct flow *flow, const struct verdict *verdict)
{
	__u16 tick = (__u16)tick_now();

	if (verdict->record) {
		const struct flow fresh = {
			.seen_ns = bpf_ktime_get_coarse_ns(),
			.isn = packet->sequence,
			.decision = verdict->record,
			.tick = tick,
		};

		return bpf_map_update_elem(&flows, key, &fresh, BPF_ANY) == 0;
	}
	if (!flow || packet->kind != PACKET_TCP)
		return true;
	/* Written only when it changes: CPUs share the line. A reset leaves the tick alone, so that
	 * the worker is looked for again. */
	if (verdict->action == ACTION_STEER && flow->tick != tick) {
		flow->tick = tick;
		flow->seen_ns = bpf_ktime_get_coarse_ns();
	}
	if ((packet->flags & (TCP_FIN | TCP_RST)) && flow->state < FLOW_CLOSING)
		flow->state = FLOW_CLOSING;
	return true;
}

static __always_inline int act(
	struct __sk_buff *skb, const struct packet *packet, const struct verdict *verdict)
{
	outcome_count(verdict->outcome);
	switch (verdict->action) {
	case ACTION_STEER:
		skb->mark = steer_mark;
		return TC_ACT_UNSPEC_;
	case ACTION_RESET:
		source_drop(source_of(packet), verdict->drop);
		if (reset_make(skb, packet))
			return TC_ACT_SHOT_;
		return (int)bpf_redirect(skb->ifindex, 0);
	case ACTION_DROP:
		source_drop(source_of(packet), verdict->drop);
		return TC_ACT_SHOT_;
	default:
		return TC_ACT_UNSPEC_;
	}
}

/* What GRO merged is counted as it was on the wire. */
static __always_inline enum drop account_here(struct __sk_buff *skb, const struct packet *packet)
{
	__u64 segments = skb->gso_segs > 1 ? skb->gso_segs : 1;

	return source_account(
		packet, segments, skb->len + (segments - 1) * (packet->l4 + packet->l4_header));
}

static __always_inline void frame_read(struct __sk_buff *skb, struct frame *frame)
{
	frame->start = (const __u8 *)(long)skb->data;
	frame->end = (const __u8 *)(long)skb->data_end;
	frame->len = skb->len;
}

/* Whether skb->data is at the Ethernet header, as it should be here. */
static __always_inline bool frame_has_ethernet(struct __sk_buff *skb, const struct frame *frame)
{
	const struct wire_ethernet *header = (const void *)frame->start;
	__u32 here[3], real[3];

	if (frame->start + sizeof(*header) > frame->end)
		return true;
	if (header->type != skb->protocol)
		return false;
	/* The same type, and it looks like no IP header: this is all for most frames. */
	if (header->destination[0] >> 4 != 4 && header->destination[0] >> 4 != 6)
		return true;
	__builtin_memcpy(here, header, sizeof(here));
	return bpf_skb_load_bytes_relative(skb, 0, real, sizeof(real), BPF_HDR_START_MAC) ||
	       (here[0] == real[0] && here[1] == real[1] && here[2] == real[2]);
}

/* On kernels from 6.9 on, data is at the network header after a generic XDP program that had the
 * packet copied: the copy has mac_len 0. Puts the header there again, and mac_len right. */
static __always_inline int frame_repair(struct __sk_buff *skb)
{
	struct wire_ethernet header;

	if (bpf_skb_load_bytes_relative(skb, 0, &header, sizeof(header), BPF_HDR_START_MAC) ||
		bpf_skb_change_head(skb, sizeof(header), 0))
		return -1;
	return (int)bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0);
}

SEC("tc")
int sally_steer(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct flow_key key = {};
	struct facts facts = {};
	struct verdict verdict;
	struct frame frame;
	struct flow *flow;

	if (skb->data_end - skb->data < HEADERS_WANTED && skb->data_end - skb->data < skb->len)
		bpf_skb_pull_data(skb, skb->len < HEADERS_WANTED ? skb->len : HEADERS_WANTED);
	frame_read(skb, &frame);
	if (!frame_has_ethernet(skb, &frame)) {
		if (frame_repair(skb)) {
			outcome_count(OUTCOME_DROPPED);
			return TC_ACT_SHOT_;
		}
		frame_read(skb, &frame);
	}
	parse(&frame, &packet);
	/* The device may have taken the tag out of the frame. */
	if (skb->vlan_present && (skb->vlan_tci & 0x0fff))
		packet.vlan = true;
	if (steer_accounts && account_here(skb, &packet) != DROP_NONE) {
		outcome_count(OUTCOME_DROPPED);
		return TC_ACT_SHOT_;
	}
	flow_key_of(&packet, &key);
	flow = facts_gather(skb, &packet, &key, &facts);
	verdict = decide(&packet, &facts);
	if (!flow_note(&packet, &key, flow, &verdict)) {
		verdict.action = ACTION_RESET;
		verdict.outcome = OUTCOME_FLOWS_FULL;
		verdict.drop = DROP_NO_WORKER;
	}
	return act(skb, &packet, &verdict);
}

char LICENSE[] SEC("license") = "GPL";
