/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps of all programs. Each object declares all of them, and the loader gives every object
 * the same ones. Sizes marked * are set from the configuration before they are made. */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include "abi.h"

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 1024); /* *max_sources */
	__type(key, struct abi_address);
	__type(value, struct source_counters);
} sources SEC(".maps");

/* Never evicted: a forgotten endpoint would pass uninspected. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024); /* *max_endpoints */
	__type(key, struct abi_address);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024); /* *max_endpoints */
	__type(key, struct prefix_key);
	__type(value, struct endpoint);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

/* Every TCP connection, steered or not. LRU: a flood of SYNs evicts its own entries first, since
 * nothing ever looks them up. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024); /* *max_flows */
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Needed from the scout's word to the connection's next segment. One that is lost is given again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, JUDGEMENTS_MAX);
	__type(key, struct flow_key);
	__type(value, struct judgement);
} judgements SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BESIDE_INTERFACES_MAX);
	__type(key, __u32);
	__type(value, struct beside);
} beside_interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood);
} flood SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024); /* *max_sources */
	__type(key, struct abi_address);
	__type(value, struct source_limit);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024); /* *max_sources */
	__type(key, struct abi_address);
	__type(value, struct source_active);
} actives SEC(".maps");

/* Its one element is a trie that is replaced as a whole. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_LPM_TRIE);
			__uint(map_flags, BPF_F_NO_PREALLOC);
			__uint(max_entries, ADMISSION_PREFIXES_MAX);
			__type(key, struct prefix_key);
			__type(value, __u32);
		});
} admission SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HEARTBEATS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} heartbeats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, WORKER_SLOT(WORKERS_MAX, 0));
	__type(key, __u32);
	__type(value, __u64);
} workers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOME_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} outcomes SEC(".maps");

static __always_inline __u64 tick_now(void)
{
	return bpf_jiffies64() >> TICK_JIFFIES_SHIFT;
}

static __always_inline void outcome_count(enum outcome outcome)
{
	__u32 key = outcome;
	__u64 *count = bpf_map_lookup_elem(&outcomes, &key);

	if (count)
		*count += 1;
}

#endif
