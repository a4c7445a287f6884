/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts that the maps hold, but for flows and counts.
 *
 * Functions that are not inlined, here and elsewhere, are global ones to the verifier, which goes
 * through each of them once instead of once for every way that leads there. Their arguments may be
 * NULL to it, and to 6.1 what they point to can be no map's key: it is copied. */
#ifndef BPF_LOOKUP_H
#define BPF_LOOKUP_H

#include "maps.h"
#include "parse.h"

static __always_inline const struct settings *settings_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

static __always_inline bool port_steered(__u16 port)
{
	__u32 host = bpf_ntohs(port), word = host / 32;
	const __u32 *bits = bpf_map_lookup_elem(&ports, &word);

	return bits && (*bits >> (host % 32) & 1);
}

/* Whether what goes to this port (enum showing: as TCP or as UDP) is shown to the scout. */
static __always_inline bool port_shown(__u16 port, __u32 as)
{
	const struct settings *current = settings_now();

	if (!current)
		return false;
	return ((current->shown & as) && port_steered(port)) ||
	       ((current->shown & SHOWN_DNS) && port == bpf_htons(PORT_ENCRYPTED_DNS));
}

/* enum fail of the endpoint at this address, or -1: there is none. */
__noinline int endpoint_look(const struct abi_address *address)
{
	const struct settings *current = settings_now();
	struct prefix_key key = {.bits = 128};
	const struct endpoint *endpoint;

	if (!address)
		return -1;
	key.address = *address;
	endpoint = bpf_map_lookup_elem(&endpoints, &key.address);
	if (!endpoint && current && current->prefixes)
		endpoint = bpf_map_lookup_elem(&prefixes, &key);
	return endpoint ? endpoint->fail == FAIL_OPEN ? FAIL_OPEN : FAIL_CLOSED : -1;
}

/* The slot in the map workers of all connections from this source, or -1 without workers. */
static __always_inline int worker_slot(const struct abi_address *source, bool ipv6)
{
	const struct settings *current = settings_now();
	__u32 hash = 0x9747b28c;

	if (!current || current->workers == 0 || current->workers > WORKERS_MAX)
		return -1;
	/* Murmur3's mixing: neighbouring addresses fall on different workers. */
	for (int i = 0; i < 16; i += 4) {
		__u32 word;

		__builtin_memcpy(&word, source->bytes + i, 4);
		word *= 0xcc9e2d51;
		word = (word << 15) | (word >> 17);
		hash ^= word * 0x1b873593;
		hash = ((hash << 13) | (hash >> 19)) * 5 + 0xe6546b64;
	}
	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	hash ^= hash >> 16;
	return WORKER_SLOT((int)(((__u64)hash * current->workers) >> 32), ipv6);
}

static __always_inline bool slot_listens(int slot)
{
	struct bpf_sock *listener = slot < 0 ? NULL : bpf_map_lookup_elem(&workers, &slot);

	if (!listener)
		return false;
	bpf_sk_release(listener);
	return true;
}

/* Whether the worker of the slot gave a sign of life in time: a hung one still listens. Before its
 * first one, at the very start, connections wait for it in the listener. */
static __always_inline bool slot_beats(int slot)
{
	const struct settings *current = settings_now();
	__u32 worker = (__u32)slot / 2;
	const __u64 *stamp = bpf_map_lookup_elem(&heartbeats, &worker);
	__u64 last;

	if (!current || current->heartbeat_ns == 0)
		return true;
	if (!stamp)
		return false;
	/* A stamp that is written meanwhile may be younger than the time that is read here. */
	last = *stamp;
	return last == 0 || bpf_ktime_get_ns() < last + current->heartbeat_ns;
}

#endif
