/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packets may come in at all: by XDP where it is native, else by steer. */
#ifndef BPF_ADMISSION_H
#define BPF_ADMISSION_H

#include "decide.h"
#include "lookup.h"

/* Others may change the bucket meanwhile, so often at most. */
#define ADMISSION_TRIES 4

static __always_inline bool source_denied(const struct abi_address *source)
{
	struct prefix_key key = {.bits = 128, .address = *source};
	const __u32 *said;
	__u32 zero = 0;
	void *trie = bpf_map_lookup_elem(&admission, &zero);

	if (!trie)
		return false;
	said = bpf_map_lookup_elem(trie, &key);
	return said && *said == ADMISSION_DENY;
}

static __always_inline struct source_limit *limit_of(const struct abi_address *source)
{
	struct source_limit *limit = bpf_map_lookup_elem(&limits, source);

	if (!limit) {
		const struct source_limit none = {};

		bpf_map_update_elem(&limits, source, &none, BPF_NOEXIST);
		limit = bpf_map_lookup_elem(&limits, source);
	}
	return limit;
}

/* Takes a SYN out of the source's bucket; false: it is empty. The generic cell rate algorithm
 * (ITU-T I.371): one number is the bucket, so that CPUs share it by compare and swap. */
static __always_inline bool syn_take(struct source_limit *limit, const struct settings *current)
{
	__u64 now = bpf_ktime_get_ns();

	for (int i = 0; i < ADMISSION_TRIES; i++) {
		__u64 old = limit->full_ns,
		      full = (old > now ? old : now) + current->syn_interval_ns;

		if (full - now > current->syn_burst_ns)
			return false;
		if (__sync_val_compare_and_swap(&limit->full_ns, old, full) == old)
			return true;
	}
	/* Taken all the same, without a look at what is left. */
	__sync_fetch_and_add(&limit->full_ns, current->syn_interval_ns);
	return true;
}

/* What the last sweep counted, and what came and went since. */
static __always_inline bool connections_left(const struct abi_address *source,
	const struct source_limit *limit, const struct settings *current)
{
	const struct source_active *swept = bpf_map_lookup_elem(&actives, source);
	__s32 open;

	if (!swept)
		open = (__s32)(limit->attempts - limit->ended);
	else if (bpf_ktime_get_ns() - swept->swept_ns > SWEEP_STALE_NS)
		return true;
	else
		open = (__s32)(swept->active + swept->opening +
			       (limit->attempts - swept->attempts) - (limit->ended - swept->ended));
	return open < (__s32)current->connections_max;
}

/* A packet that may not come in: its reason, or DROP_NONE. */
static __always_inline enum drop admit(const struct packet *packet, const struct settings *current)
{
	const struct abi_address source = packet->source;
	enum drop drop = decide_admission(packet);
	struct source_limit *limit;

	if (drop != DROP_NONE || !current)
		return drop;
	if (current->admission && source_denied(&source))
		return DROP_DENIED;
	if (packet->kind != PACKET_TCP || !packet_is_syn(packet) ||
		(current->syn_interval_ns == 0 && current->connections_max == 0))
		return DROP_NONE;
	limit = limit_of(&source);
	if (!limit)
		return DROP_NONE;
	if (current->connections_max && !connections_left(&source, limit, current))
		return DROP_CONNECTIONS;
	if (current->syn_interval_ns && !syn_take(limit, current))
		return DROP_SYN_RATE;
	return DROP_NONE;
}

/* What GRO may have merged before a program saw it. */
static __always_inline bool packet_mergeable(const struct packet *packet)
{
	return (packet->kind == PACKET_TCP && !packet_is_syn(packet)) || packet->protocol == IP_UDP;
}

#endif
