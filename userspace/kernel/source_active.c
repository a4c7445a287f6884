// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/source_active.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "kernel/source_map.h"

uint64_t source_active_swept(
	struct datapath_source *sources, size_t n, int actives, uint64_t now_ns)
{
	uint64_t oldest = now_ns > SWEEP_STALE_NS ? now_ns - SWEEP_STALE_NS : 0, swept_ns = 0;
	struct source_active last = {0};

	for (size_t i = 0; i < n; i++) {
		sources[i].active = 0;
		if (bpf_map_lookup_elem(actives, &sources[i].address, &last) < 0 ||
			last.swept_ns == 0 || last.swept_ns < oldest)
			continue;
		sources[i].active = last.active;
		/* A sweep stamps all that it counts with its start. */
		if (last.swept_ns > swept_ns)
			swept_ns = last.swept_ns;
	}
	return swept_ns;
}

/* The sources by address: open addressing, half empty. */
struct owners {
	struct datapath_source *sources;
	uint32_t *places; /* number of the source + 1; 0: free */
	size_t mask;
	uint64_t seed; /* who chooses addresses must not choose places */
};

/* The end of MurmurHash3. */
static uint64_t mixed(uint64_t word)
{
	word ^= word >> 33;
	word *= 0xff51afd7ed558ccdULL;
	word ^= word >> 33;
	word *= 0xc4ceb9fe1a85ec53ULL;
	return word ^ word >> 33;
}

static uint32_t *owner_place(const struct owners *owners, const void *address)
{
	uint64_t words[2];
	size_t at;

	memcpy(words, address, sizeof(words));
	words[0] = mixed(mixed(words[0] ^ owners->seed) ^ words[1]);
	for (at = (size_t)words[0] & owners->mask; owners->places[at]; at = (at + 1) & owners->mask)
		if (memcmp(&owners->sources[owners->places[at] - 1].address, address, 16) == 0)
			break;
	return &owners->places[at];
}

static void owner_count(void *context, const struct flow_key *key)
{
	const struct owners *owners = context;
	uint32_t place = *owner_place(owners, &key->client);

	/* Who is no source any more has been forgotten. */
	if (place)
		owners->sources[place - 1].active++;
}

int source_active_count(struct datapath_source *sources, size_t n, int flows, uint64_t now_ns,
	struct flow_count *count)
{
	struct owners owners = {.sources = sources, .mask = 15};
	int error;

	while (owners.mask < 2 * n)
		owners.mask = 2 * owners.mask + 1;
	owners.places = calloc(owners.mask + 1, sizeof(*owners.places));
	if (!owners.places)
		return -ENOMEM;
	if (getrandom(&owners.seed, sizeof(owners.seed), GRND_NONBLOCK) < 0)
		owners.seed = now_ns;
	for (size_t i = 0; i < n; i++) {
		sources[i].active = 0;
		*owner_place(&owners, &sources[i].address) = (uint32_t)i + 1;
	}
	error = flow_count_read(flows, now_ns, count, owner_count, &owners);
	free(owners.places);
	return error;
}
