/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting per source address: in XDP, or in TC where XDP is off. */
#ifndef BPF_COUNT_H
#define BPF_COUNT_H

#include "decide.h"
#include "maps.h"

/* The source's counters on this CPU; NULL when the map takes no more. Packets whose source cannot
 * be read are counted under "::". */
static __always_inline struct source_counters *source_of(const struct packet *packet)
{
	struct source_counters *counters = bpf_map_lookup_elem(&sources, &packet->source);

	if (!counters) {
		const struct source_counters none = {};

		bpf_map_update_elem(&sources, &packet->source, &none, BPF_NOEXIST);
		counters = bpf_map_lookup_elem(&sources, &packet->source);
	}
	return counters;
}

static __always_inline void source_drop(struct source_counters *counters, enum drop drop)
{
	if (counters && drop < DROP_COUNT)
		counters->drops[drop] += 1;
}

/* Counts a packet of `packets` segments and says whether it may pass: DROP_NONE, or why not. */
static __always_inline enum drop source_account(
	const struct packet *packet, __u64 packets, __u64 bytes)
{
	struct source_counters *counters;
	enum drop drop;

	if (packet->kind == PACKET_NOT_IP)
		return DROP_NONE;
	drop = decide_admission(packet);
	counters = source_of(packet);
	if (counters) {
		counters->packets += packets;
		counters->bytes += bytes;
		if (counters->tick != tick_now()) {
			counters->tick = tick_now();
			counters->seen_ns = bpf_ktime_get_coarse_ns();
		}
		if (packet->kind == PACKET_TCP && packet_is_syn(packet))
			counters->syns += 1;
		source_drop(counters, drop);
	}
	return drop;
}

#endif
