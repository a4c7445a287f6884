/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sk_lookup: a steered connection gets the listener of its source's worker. Everything else that
 * looks for a listener in this network namespace (the appliance's own services too) passes. */
#include "abi.h"
#include "flow.h"

enum { FAMILY_IPV6 = 10 };

/* Whether steer has steered the connection. In a flood it may not have been recorded: then what
 * comes here for an endpoint was. */
static __always_inline bool connection_steered(const struct flow_key *key)
{
	const struct flow *flow = bpf_map_lookup_elem(&flows, key);

	if (flow)
		return flow->decision == FLOW_STEER;
	return flood_now() && port_steered(key->server_port) && endpoint_look(&key->server) >= 0;
}

SEC("sk_lookup")
int sally_select(struct bpf_sk_lookup *context)
{
	bool ipv6 = context->family == FAMILY_IPV6;
	struct flow_key key = {};
	struct bpf_sock *listener;
	long error;
	int slot;

	if (context->protocol != IP_TCP)
		return SK_PASS;
	if (ipv6) {
		for (int i = 0; i < 4; i++) {
			__u32 remote = context->remote_ip6[i], local = context->local_ip6[i];

			__builtin_memcpy(key.client.bytes + 4 * i, &remote, 4);
			__builtin_memcpy(key.server.bytes + 4 * i, &local, 4);
		}
	} else {
		__u32 remote = context->remote_ip4, local = context->local_ip4;

		address_from_ipv4(&key.client, (const __u8 *)&remote);
		address_from_ipv4(&key.server, (const __u8 *)&local);
	}
	key.client_port = context->remote_port;
	key.server_port = bpf_htons((__u16)context->local_port);
	if (!connection_steered(&key))
		return SK_PASS;
	slot = worker_slot(&key.client, ipv6);
	listener = slot < 0 ? NULL : bpf_map_lookup_elem(&workers, &slot);
	if (!listener) {
		outcome_count(OUTCOME_SELECT_EMPTY);
		return SK_DROP;
	}
	error = bpf_sk_assign(context, listener, 0);
	bpf_sk_release(listener);
	outcome_count(error ? OUTCOME_SELECT_EMPTY : OUTCOME_SELECTED);
	return error ? SK_DROP : SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
