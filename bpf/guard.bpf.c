/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TC egress on every interface: the door beside the gate. What goes to an endpoint is the gate's to
 * let out. What came in by another interface than datapath.inside, and what was to go to a worker
 * and leaves all the same, is refused where the endpoint fails closed, and counted in any case. */
#include "abi.h"
#include "flow.h"
#include "frame.h"
#include "reset.h"

const volatile __u32 guard_inside = 0; /* index of datapath.inside */
const volatile __u32 guard_mark = 0;
const volatile bool guard_ethernet = true; /* frames have such a header here; else IP comes first */

static __always_inline void guard_parse(struct __sk_buff *skb, struct packet *packet)
{
	frame_pull(skb);
	if (guard_ethernet)
		frame_parse_network(skb, packet);
	else
		frame_parse_bare(skb, packet);
	if (packet->kind == PACKET_TRANSPORT)
		frame_parse_transport(skb, packet);
}

/* Of TCP or UDP, network order; 0: neither. */
__noinline int destination_port(struct __sk_buff *skb, const struct packet *packet)
{
	const struct wire_udp *udp;
	struct frame frame;
	__u32 l4;

	if (!packet)
		return 0;
	if (packet->kind == PACKET_TCP)
		return packet->destination_port;
	l4 = packet->l4;
	frame_read(skb, &frame);
	udp = (const void *)(frame.start + l4);
	if (packet->kind != PACKET_OTHER || packet->protocol != IP_UDP || l4 > PARSE_L4_MAX ||
		(const __u8 *)(udp + 1) > frame.end)
		return 0;
	return udp->destination;
}

/* Whether the gate let it in so far that it may leave here: as it was decided for its connection.
 * Whoever took the mark away, that of a steered one is for the worker. */
static __always_inline bool guard_admitted(struct __sk_buff *skb, const struct packet *packet)
{
	struct flow_key key = {};
	const struct flow *flow;

	if (skb->ingress_ifindex != guard_inside || skb->mark == guard_mark)
		return false;
	if (packet->kind != PACKET_TCP)
		return true;
	flow_key_of(packet, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	return !flow || flow->decision != FLOW_STEER;
}

/* Not inlined, see lookup.h. */
__noinline int beside_count(struct __sk_buff *skb, const struct packet *packet, int refused)
{
	__u32 interface = skb->ingress_ifindex;
	struct beside *beside;

	if (!packet)
		return -1;
	beside = bpf_map_lookup_elem(&beside_interfaces, &interface);
	if (!beside) {
		const struct beside none = {};

		bpf_map_update_elem(&beside_interfaces, &interface, &none, BPF_NOEXIST);
		beside = bpf_map_lookup_elem(&beside_interfaces, &interface);
	}
	if (!beside)
		return -1;
	__sync_fetch_and_add(refused ? &beside->refused : &beside->passed, 1);
	beside->source = packet->source;
	beside->destination = packet->destination;
	return 0;
}

/* The reset goes back to where the segment came from; the header it has is for the other side. */
static __always_inline int guard_refuse(struct __sk_buff *skb, const struct packet *packet)
{
	if (packet->kind != PACKET_TCP || (packet->flags & TCP_RST) || reset_make(skb, packet))
		return TC_ACT_SHOT_;
	return (int)bpf_redirect_neigh(skb->ingress_ifindex, NULL, 0, 0);
}

SEC("tc")
int sally_guard(struct __sk_buff *skb)
{
	struct packet packet = {};
	int fail;

	/* Ours; looked at by the gate, and passed; or met here before, on top of this interface. */
	if (!skb->ingress_ifindex || skb->mark == MARK_BESIDE(guard_mark) ||
		(skb->ingress_ifindex == guard_inside && skb->mark == MARK_UNSEEN(guard_mark)))
		return TC_ACT_UNSPEC_;
	guard_parse(skb, &packet);
	if (!port_steered((__u16)destination_port(skb, &packet)))
		return TC_ACT_UNSPEC_;
	fail = endpoint_look(&packet.destination);
	if (fail < 0 || guard_admitted(skb, &packet))
		return TC_ACT_UNSPEC_;
	beside_count(skb, &packet, fail == FAIL_CLOSED);
	outcome_count(fail == FAIL_CLOSED ? OUTCOME_BESIDE_REFUSED : OUTCOME_BESIDE);
	if (fail == FAIL_CLOSED)
		return guard_refuse(skb, &packet);
	skb->mark = MARK_BESIDE(guard_mark);
	return TC_ACT_UNSPEC_;
}

char LICENSE[] SEC("license") = "GPL";
