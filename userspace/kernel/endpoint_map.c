/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/endpoint_map.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

static struct prefix_key key_of(const struct prefix *prefix)
{
	struct prefix_key key = {.bits = prefix->bits};

	memcpy(key.address.bytes, prefix->address.bytes, sizeof(key.address.bytes));
	return key;
}

bool endpoint_address_usable(const struct address *address)
{
	const uint8_t *b = address->bytes;
	static const uint8_t zeros[15];

	if (address_is_ipv4(address))
		return b[12] != 0 && b[12] != 127 && b[12] < 224 && !(b[12] == 169 && b[13] == 254);
	if (b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
		return false;
	return memcmp(b, zeros, sizeof(zeros)) != 0 || b[15] > 1;
}

static bool prefix_wanted(const struct prefix_key *key, const struct prefix *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct prefix_key wanted = key_of(&prefixes[i]);

		if (memcmp(&wanted, key, sizeof(wanted)) == 0)
			return true;
	}
	return false;
}

int endpoint_map_prefixes(int map, const struct prefix *prefixes, size_t n, size_t max,
	enum fail fail, struct why *why)
{
	const struct endpoint endpoint = {.source = ENDPOINT_CONFIGURED, .fail = fail};
	struct prefix_key key, next;
	bool more;

	if (n > max)
		return why_set(why, ENOSPC,
			"%zu endpoints.prefixes do not fit: raise datapath.max_endpoints", n);
	for (size_t i = 0; i < n; i++) {
		int error;

		key = key_of(&prefixes[i]);
		error = bpf_map_update_elem(map, &key, &endpoint, BPF_ANY);
		if (error)
			return why_set(why, -error, "prefix %s/%u cannot be set: %s",
				address_format(&prefixes[i].address).text, prefixes[i].bits,
				strerror(-error));
	}
	/* The next key is asked for before the current one may go. */
	more = bpf_map_get_next_key(map, NULL, &next) == 0;
	while (more) {
		key = next;
		more = bpf_map_get_next_key(map, &key, &next) == 0;
		if (!prefix_wanted(&key, prefixes, n))
			bpf_map_delete_elem(map, &key);
	}
	return 0;
}

/* What is known of the address goes on to hold, for as long as it was learned for. */
static void endpoint_merge(struct endpoint *endpoint, const struct endpoint *known, uint64_t now_ns)
{
	if (known->expires_ns == 0 ||
		(endpoint->expires_ns && known->expires_ns >= endpoint->expires_ns))
		endpoint->expires_ns = known->expires_ns;
	/* By who is to be trusted most of those who named it. */
	if (known->source < endpoint->source)
		endpoint->source = known->source;
	if (known->fail == FAIL_CLOSED && known->closed_ns > now_ns) {
		endpoint->fail = FAIL_CLOSED;
		if (endpoint->closed_ns < known->closed_ns)
			endpoint->closed_ns = known->closed_ns;
	}
}

int endpoint_map_learn(int map, const struct address *address, uint64_t expires_ns,
	enum endpoint_source source, enum fail fail, uint64_t now_ns)
{
	struct endpoint endpoint = {.expires_ns = expires_ns, .source = source, .fail = fail};
	struct endpoint known;
	int error;

	if (!endpoint_address_usable(address))
		return -EINVAL;
	if (fail == FAIL_CLOSED)
		endpoint.closed_ns = expires_ns ? expires_ns : UINT64_MAX;
	if (bpf_map_lookup_elem(map, address, &known) == 0) {
		endpoint_merge(&endpoint, &known, now_ns);
		if (memcmp(&endpoint, &known, sizeof(known)) == 0)
			return 0;
	}
	error = bpf_map_update_elem(map, address, &endpoint, BPF_ANY);
	return error == -E2BIG ? -ENOSPC : error;
}

void endpoint_map_fail(int map, bool any_closed, bool any_open)
{
	struct address key, next;
	struct endpoint endpoint;
	bool more = bpf_map_get_next_key(map, NULL, &next) == 0;

	while (more) {
		key = next;
		more = bpf_map_get_next_key(map, &key, &next) == 0;
		if (bpf_map_lookup_elem(map, &key, &endpoint) < 0)
			continue;
		if (!any_open)
			endpoint.fail = FAIL_CLOSED;
		else if (!any_closed)
			endpoint.fail = FAIL_OPEN;
		/* Closed until somebody who lives there says otherwise. */
		endpoint.closed_ns = 0;
		bpf_map_update_elem(map, &key, &endpoint, BPF_EXIST);
	}
}

/* What becomes of an endpoint by the time. true: it was forgotten. */
static bool endpoint_age(
	int map, const struct address *address, struct endpoint *endpoint, uint64_t now_ns)
{
	if (endpoint->expires_ns && endpoint->expires_ns <= now_ns)
		return bpf_map_delete_elem(map, address) == 0;
	/* Only one that fails open was heard of since. */
	if (endpoint->fail == FAIL_CLOSED && endpoint->closed_ns && endpoint->closed_ns <= now_ns) {
		endpoint->fail = FAIL_OPEN;
		endpoint->closed_ns = 0;
		bpf_map_update_elem(map, address, endpoint, BPF_EXIST);
	}
	return false;
}

size_t endpoint_map_sweep(int map, uint64_t now_ns)
{
	struct address key, next;
	struct endpoint endpoint;
	size_t forgotten = 0;
	bool more = bpf_map_get_next_key(map, NULL, &next) == 0;

	while (more) {
		key = next;
		more = bpf_map_get_next_key(map, &key, &next) == 0;
		if (bpf_map_lookup_elem(map, &key, &endpoint) == 0)
			forgotten += endpoint_age(map, &key, &endpoint, now_ns);
	}
	return forgotten;
}

void endpoint_map_walk(int map,
	void (*each)(void *context, const struct address *address, const struct endpoint *endpoint),
	void *context)
{
	struct address key, next;
	struct endpoint endpoint;
	bool more = bpf_map_get_next_key(map, NULL, &next) == 0;

	while (more) {
		key = next;
		if (bpf_map_lookup_elem(map, &key, &endpoint) == 0)
			each(context, &key, &endpoint);
		more = bpf_map_get_next_key(map, &key, &next) == 0;
	}
}
