// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/claim.h"

#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"
#include "scout/source_network.h"

struct claim {
	struct address address, source;
	uint64_t name; /* its hash */
	uint64_t expires_ns;
};

/* In the order in which they were made. They are few, and new ones are rare: each is compared. */
struct claim_table {
	struct claim_limits limits;
	uint64_t seed;
	size_t n;
	struct claim claims[];
};

struct claim_table *claim_table_new(const struct claim_limits *limits)
{
	struct claim_table *table =
		calloc(1, sizeof(*table) + limits->all * sizeof(table->claims[0]));

	if (!table)
		return NULL;
	table->limits = *limits;
	table->seed = address_seed();
	return table;
}

static void claim_remove(struct claim_table *table, size_t i)
{
	table->n--;
	memmove(&table->claims[i], &table->claims[i + 1],
		(table->n - i) * sizeof(table->claims[0]));
}

static void forget_expired(struct claim_table *table, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->n; i++)
		if (table->claims[i].expires_ns > now_ns)
			table->claims[kept++] = table->claims[i];
	table->n = kept;
}

bool claim_add(struct claim_table *table, const struct address *address,
	const struct address *source, const char *name, uint64_t expires_ns, uint64_t now_ns)
{
	struct claim claim = {*address, source_network(source),
		bytes_hash(name, strlen(name), table->seed), expires_ns};
	size_t of_source = 0, of_name = 0;

	forget_expired(table, now_ns);
	for (size_t i = 0; i < table->n; i++) {
		struct claim *other = &table->claims[i];

		if (address_equal(&other->address, address)) {
			other->expires_ns = expires_ns;
			return true;
		}
		of_source += address_equal(&other->source, &claim.source);
		of_name += other->name == claim.name;
	}
	if (of_source >= table->limits.per_source || of_name >= table->limits.per_name)
		return false;
	if (table->n == table->limits.all)
		claim_remove(table, 0);
	table->claims[table->n++] = claim;
	return true;
}

void claim_drop(struct claim_table *table, const struct address *address)
{
	for (size_t i = 0; i < table->n; i++) {
		if (!address_equal(&table->claims[i].address, address))
			continue;
		claim_remove(table, i);
		return;
	}
}

void claim_table_free(struct claim_table *table)
{
	free(table);
}
