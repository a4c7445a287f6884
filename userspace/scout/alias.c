// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/alias.h"

#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"
#include "base/list.h"

#define CHAINS 1024 /* a power of 2 */

struct alias {
	struct list age;     /* the table's: the one heard of longest ago first */
	struct alias *chain; /* the table's */
	uint64_t expires_ns;
	struct alias_of of;
	char name[]; /* and behind it the root */
};

struct alias_table {
	struct alias *chains[CHAINS];
	struct list ages;
	size_t n, max;
	uint64_t seed;
};

struct alias_table *alias_table_new(size_t max)
{
	struct alias_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->max = max;
	table->seed = address_seed();
	list_init(&table->ages);
	return table;
}

/* The link that points to the name, or where it would be added. */
static struct alias **link_of(struct alias_table *table, const char *name)
{
	uint64_t hash = bytes_hash(name, strlen(name), table->seed);
	struct alias **link = &table->chains[hash & (CHAINS - 1)];

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->chain;
	return link;
}

static void alias_remove(struct alias_table *table, struct alias **link)
{
	struct alias *alias = *link;

	*link = alias->chain;
	list_remove(&alias->age);
	table->n--;
	free(alias);
}

static struct alias *alias_new(const char *name, const struct alias_of *of)
{
	size_t len = strlen(name) + 1, root = strlen(of->root) + 1;
	struct alias *alias = malloc(sizeof(*alias) + len + root);

	if (!alias)
		return NULL;
	memcpy(alias->name, name, len);
	memcpy(alias->name + len, of->root, root);
	alias->of = *of;
	alias->of.root = alias->name + len;
	return alias;
}

enum alias_result alias_add(struct alias_table *table, const char *name,
	const struct alias_of *of, uint64_t expires_ns, uint64_t now_ns)
{
	struct alias **link = link_of(table, name), *alias = *link;
	enum alias_result result = ALIAS_NEW;

	if (alias) {
		bool lived = alias->expires_ns > now_ns;

		if (!lived || alias->expires_ns < expires_ns)
			alias->expires_ns = expires_ns;
		alias->of.listed = of->listed || (lived && alias->of.listed);
		if (!lived || alias->of.fail > of->fail)
			alias->of.fail = of->fail;
		list_remove(&alias->age);
		list_append(&table->ages, &alias->age);
		return lived ? ALIAS_KNOWN : ALIAS_NEW;
	}
	alias = alias_new(name, of);
	if (!alias)
		return ALIAS_NO_MEMORY;
	alias->expires_ns = expires_ns;
	if (table->n >= table->max) {
		struct alias *oldest = list_entry(table->ages.next, struct alias, age);

		if (oldest->expires_ns > now_ns)
			result = ALIAS_PUSHED_OUT;
		alias_remove(table, link_of(table, oldest->name));
		link = link_of(table, name);
	}
	alias->chain = NULL;
	*link = alias;
	list_append(&table->ages, &alias->age);
	table->n++;
	return result;
}

bool alias_find(
	struct alias_table *table, const char *name, uint64_t now_ns, struct alias_of *of)
{
	struct alias **link = link_of(table, name);

	*of = (struct alias_of){.fail = FAIL_OPEN};
	if (!*link)
		return false;
	if ((*link)->expires_ns <= now_ns) {
		alias_remove(table, link);
		return false;
	}
	*of = (*link)->of;
	return true;
}

void alias_table_free(struct alias_table *table)
{
	if (!table)
		return;
	list_for_each_safe (node, &table->ages)
		free(list_entry(node, struct alias, age));
	free(table);
}
