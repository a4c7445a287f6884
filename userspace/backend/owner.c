// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/owner.h"

/* Places of one name. */
#define OWNER_PLACES 8

/* The value: the backend's hash above, the second below. The key is kept together with it, so that
 * of two workers that write at once none makes a pair that is nobody's. */
static uint64_t value_of(struct slice backend, uint64_t now_s)
{
	return (standing_hash(backend) & 0xffffffff00000000ULL) | (now_s & 0xffffffffu);
}

static bool owner_is(const struct standing_owner *owner, uint64_t key, uint64_t *value)
{
	*value = atomic_load_explicit(&owner->value, memory_order_relaxed);
	return *value &&
	       (atomic_load_explicit(&owner->check, memory_order_relaxed) ^ *value) == key;
}

/* The member that the value is of; -1: none. */
static int member_of(const struct pool *pool, uint64_t value)
{
	for (unsigned member = 0; member < pool->n; member++)
		if (value_of(pool->members[member].name, value) == value)
			return (int)member;
	return -1;
}

void owner_learn(struct standing *standing, struct slice id, const struct pool *pool, int member,
	uint64_t now_s)
{
	uint64_t key = standing_hash(id), oldest_s = UINT64_MAX;
	uint64_t value = value_of(pool->members[member].name, now_s);
	struct standing_owner *to = NULL;

	for (unsigned i = 0; i < OWNER_PLACES; i++) {
		struct standing_owner *owner = standing_owner(standing, key + i);
		uint64_t had, age_s;

		if (owner_is(owner, key, &had)) {
			int keeper = member_of(pool, had);

			if (keeper >= 0 && keeper != member)
				return;
			to = owner;
			break;
		}
		age_s = had & 0xffffffffu;
		if (age_s < oldest_s) {
			oldest_s = age_s;
			to = owner;
		}
	}
	atomic_store_explicit(&to->check, key ^ value, memory_order_relaxed);
	atomic_store_explicit(&to->value, value, memory_order_relaxed);
}

int owner_find(const struct standing *standing, struct slice id, const struct pool *pool)
{
	uint64_t key = standing_hash(id), value;

	for (unsigned i = 0; i < OWNER_PLACES; i++)
		if (owner_is(standing_owner(standing, key + i), key, &value) &&
			member_of(pool, value) >= 0)
			return member_of(pool, value);
	return -1;
}
