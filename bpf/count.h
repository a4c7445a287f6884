/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting per source address: in TC, which sees how many segments a merged packet has, and for
 * what does not come so far, in XDP. */
#ifndef BPF_COUNT_H
#define BPF_COUNT_H

#include "maps.h"
#include "parse.h"

/* Not inlined, see lookup.h: the zeros take half of the stack that a program has. */
__noinline int source_make(const struct abi_address *source)
{
	const struct source_counters none = {};
	struct abi_address key;

	if (!source)
		return -1;
	key = *source;
	return (int)bpf_map_update_elem(&sources, &key, &none, BPF_NOEXIST);
}

/* The source's counters on this CPU; NULL when the map takes no more. Packets whose source cannot
 * be read are counted under "::". */
static __always_inline struct source_counters *source_of(const struct abi_address *source)
{
	struct source_counters *counters = bpf_map_lookup_elem(&sources, source);

	if (counters)
		return counters;
	source_make(source);
	return bpf_map_lookup_elem(&sources, source);
}

static __always_inline void source_drop(struct source_counters *counters, enum drop drop)
{
	if (counters && drop < DROP_COUNT)
		counters->drops[drop] += 1;
}

static __always_inline void source_seen(struct source_counters *counters)
{
	__u64 tick = tick_now();

	if (counters->tick == tick)
		return;
	counters->tick = tick;
	counters->seen_ns = bpf_ktime_get_coarse_ns();
}

static __always_inline void source_count(
	struct source_counters *counters, __u64 packets, __u64 bytes)
{
	if (!counters)
		return;
	counters->packets += packets;
	counters->bytes += bytes;
	source_seen(counters);
}

/* An skb as it was, or will be, on the wire. */
struct wire_size {
	__u64 packets, bytes;
};

static __always_inline struct wire_size skb_wire_size(
	const struct __sk_buff *skb, const struct packet *packet)
{
	__u32 headers = packet->l4 + packet->l4_header, segments = skb->gso_segs;
	/* The device has taken the tag out of the frame. */
	struct wire_size size = {1, skb->len + (skb->vlan_present ? 4 : 0)};

	/* Some devices tell how long the segments are, and not how many. */
	if (segments == 0 && skb->gso_size && skb->len > headers)
		segments = (skb->len - headers + skb->gso_size - 1) / skb->gso_size;
	if (segments > 1) {
		size.packets = segments;
		size.bytes += (__u64)(segments - 1) * headers;
	}
	return size;
}

#endif
