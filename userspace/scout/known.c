// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"

#define SLOTS_FIRST 256

struct slot {
	struct address address;
	uint64_t expires_ns;
	uint64_t since_ns; /* 0: free */
};

/* Open addressing with linear probing; what expired goes when the table is made anew. */
struct known {
	struct slot *slots;
	size_t nslots; /* a power of 2, at least a third more than used */
	size_t used, max;
	uint64_t seed;
};

struct known *known_new(size_t max)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known)
		return NULL;
	known->max = max;
	known->seed = address_seed();
	known->nslots = SLOTS_FIRST;
	known->slots = calloc(known->nslots, sizeof(*known->slots));
	if (!known->slots) {
		free(known);
		return NULL;
	}
	return known;
}

static bool expired(const struct slot *slot, uint64_t now_ns)
{
	return slot->expires_ns && slot->expires_ns <= now_ns;
}

/* The slot of the address, or the free one where it would be. */
static struct slot *slot_of(const struct known *known, const struct address *address)
{
	size_t at = address_hash(address, known->seed) & (known->nslots - 1);

	while (known->slots[at].since_ns && !address_equal(&known->slots[at].address, address))
		at = (at + 1) & (known->nslots - 1);
	return &known->slots[at];
}

static bool remake(struct known *known, uint64_t now_ns)
{
	struct known larger = {
		.nslots = known->nslots, .max = known->max, .seed = known->seed};
	size_t live = 0;

	for (size_t i = 0; i < known->nslots; i++)
		live += known->slots[i].since_ns && !expired(&known->slots[i], now_ns);
	if (live >= known->max)
		return false;
	while (larger.nslots < 3 * (live + 1))
		larger.nslots *= 2;
	larger.slots = calloc(larger.nslots, sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < known->nslots; i++)
		if (known->slots[i].since_ns && !expired(&known->slots[i], now_ns))
			*slot_of(&larger, &known->slots[i].address) = known->slots[i];
	larger.used = live;
	free(known->slots);
	*known = larger;
	return true;
}

void known_add(struct known *known, const struct address *address, uint64_t expires_ns,
	uint64_t now_ns)
{
	struct slot *slot = slot_of(known, address);

	if (slot->since_ns && !expired(slot, now_ns)) {
		if (!expires_ns || (slot->expires_ns && slot->expires_ns < expires_ns))
			slot->expires_ns = expires_ns;
		return;
	}
	if (!slot->since_ns) {
		if ((known->used >= known->max || 4 * known->used >= 3 * known->nslots) &&
			!remake(known, now_ns))
			return;
		slot = slot_of(known, address);
		known->used++;
	}
	*slot = (struct slot){*address, expires_ns, now_ns ? now_ns : 1};
}

bool known_find(const struct known *known, const struct address *address, uint64_t now_ns,
	uint64_t *since_ns)
{
	const struct slot *slot = slot_of(known, address);

	*since_ns = slot->since_ns;
	return slot->since_ns && !expired(slot, now_ns);
}

void known_forget(struct known *known, const struct address *address)
{
	struct slot *slot = slot_of(known, address);

	/* Its place stays taken until the table is made anew, for others may lie behind it. */
	if (slot->since_ns)
		slot->expires_ns = 1;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	free(known->slots);
	free(known);
}
