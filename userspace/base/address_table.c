// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/address_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define TABLE_LEAST 64u
/* A table that used less than this part of its room gives it back. */
#define TABLE_SPARSE 16

/* The finalizer of splitmix64: each bit of the input turns half of those of the output. */
static uint64_t mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t address_hash(const struct address *address, uint64_t seed)
{
	uint64_t words[2];

	memcpy(words, address->bytes, sizeof(words));
	return mixed(mixed(words[0] ^ seed) + words[1] + (seed >> 32 | seed << 32));
}

uint64_t bytes_hash(const void *bytes, size_t len, uint64_t seed)
{
	const char *at = bytes;

	/* Of any length another number: zeros at the end are not nothing. */
	seed += len;
	while (len) {
		struct address part = {{0}};
		size_t n = len < sizeof(part) ? len : sizeof(part);

		memcpy(&part, at, n);
		seed = address_hash(&part, seed);
		at += n;
		len -= n;
	}
	return seed;
}

uint64_t address_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = clock_monotonic_ns();
	return seed;
}

void address_table_init(struct address_table *table, size_t entry_size, size_t most)
{
	*table = (struct address_table){
		.entry_size = entry_size, .most = most, .seed = address_seed()};
}

void address_table_free(struct address_table *table)
{
	free(table->entries);
	free(table->slots);
	table->entries = NULL;
	table->slots = NULL;
	table->n = table->room = table->nslots = 0;
}

/* Where the address is, or the empty slot where it belongs. */
static size_t slot_find(const struct address_table *table, const struct address *address)
{
	size_t at = address_hash(address, table->seed) & (table->nslots - 1);

	while (table->slots[at] &&
		memcmp(address_table_at(table, table->slots[at] - 1), address, sizeof(*address)))
		at = (at + 1) & (table->nslots - 1);
	return at;
}

void *address_table_find(const struct address_table *table, const struct address *address)
{
	uint32_t number = table->nslots ? table->slots[slot_find(table, address)] : 0;

	return number ? address_table_at(table, number - 1) : NULL;
}

static void slots_fill(struct address_table *table)
{
	memset(table->slots, 0, table->nslots * sizeof(*table->slots));
	for (size_t i = 0; i < table->n; i++)
		table->slots[slot_find(table, address_table_at(table, i))] = (uint32_t)(i + 1);
}

static int table_grow(struct address_table *table)
{
	size_t room = table->room ? 2 * table->room : TABLE_LEAST;
	char *entries;
	uint32_t *slots;

	entries = reallocarray(table->entries, room, table->entry_size);
	if (!entries)
		return -ENOMEM;
	table->entries = entries;
	slots = reallocarray(table->slots, 2 * room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	table->slots = slots;
	table->room = room;
	table->nslots = 2 * room;
	slots_fill(table);
	return 0;
}

void *address_table_put(struct address_table *table, const struct address *address)
{
	void *entry = address_table_find(table, address);

	if (entry)
		return entry;
	if (table->n >= table->most) {
		errno = ENOSPC;
		return NULL;
	}
	if (table->n == table->room && table_grow(table)) {
		errno = ENOMEM;
		return NULL;
	}
	entry = address_table_at(table, table->n++);
	memset(entry, 0, table->entry_size);
	memcpy(entry, address, sizeof(*address));
	/* slot_find looks at entries, and must not take this one for there yet. */
	table->slots[slot_find(table, address)] = (uint32_t)table->n;
	return entry;
}

void address_table_keep(
	struct address_table *table, bool (*keep)(void *context, const void *entry), void *context)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->n; i++) {
		void *entry = address_table_at(table, i);

		if (!keep(context, entry))
			continue;
		if (kept != i)
			memcpy(address_table_at(table, kept), entry, table->entry_size);
		kept++;
	}
	if (kept == table->n)
		return;
	table->n = kept;
	slots_fill(table);
}

void address_table_clear(struct address_table *table)
{
	if (table->room > TABLE_LEAST && table->n < table->room / TABLE_SPARSE)
		address_table_free(table);
	table->n = 0;
	if (table->nslots)
		memset(table->slots, 0, table->nslots * sizeof(*table->slots));
}

size_t address_table_memory(const struct address_table *table)
{
	return table->room * table->entry_size + table->nslots * sizeof(*table->slots);
}
