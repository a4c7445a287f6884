// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/pool_table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"

/* A breaker is not open longer than that, however often its probes fail. */
#define OPEN_MOST 30 /* times the first time … */
#define OPEN_MOST_NS (300 * NS_PER_S) /* … and this */

#define RATIO_CALLS 20 /* fewer calls in ten seconds say nothing of a rate */

static_assert(CONFIG_POOL_MAX <= POOL_MEMBERS, "one bit for each");

struct pool_table {
	const struct config *config;
	/* One for each pool, then one for each backend. */
	struct pool_entry *entries;
	const struct config_backend **alone; /* the backends, for the latter */
	struct pool_member *members, *next;
};

static void entry_fill(struct pool_table *table, struct pool_entry *entry, const char *name,
	const struct config_backend *const *backends, size_t n)
{
	entry->backends = backends;
	entry->pool.name = slice_of_string(name);
	entry->pool.members = table->next;
	entry->pool.n = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		*table->next++ = (struct pool_member){slice_of_string(backends[i]->name),
			backends[i]->priority, backends[i]->weight, backends[i]->capacity};
}

static void entry_fill_pool(
	struct pool_table *table, struct pool_entry *entry, const struct config_pool *pool)
{
	uint64_t most_ns = pool->out_ns * OPEN_MOST;

	if (most_ns > OPEN_MOST_NS)
		most_ns = pool->out_ns > OPEN_MOST_NS ? pool->out_ns : OPEN_MOST_NS;
	entry_fill(table, entry, pool->name, (const struct config_backend *const *)pool->backends,
		pool->nbackends);
	entry->pool.retry_percent = pool->retry_budget;
	entry->pool.rules = (struct breaker_rules){
		.failures = pool->failures,
		.percent = pool->failure_rate,
		.calls = RATIO_CALLS,
		.open_ns = pool->out_ns,
		.open_max_ns = most_ns,
		.pause_max_ns = pool->pause_max_ns,
	};
	entry->retry_ns = pool->retry_ns;
	entry->first_output_ns = pool->first_output_ns;
	entry->affinity = pool->affinity;
	entry->spill_context = pool->spill_context;
}

struct pool_table *pool_table_new(const struct config *config)
{
	size_t n = config->npools + config->nbackends, members = config->nbackends;
	struct pool_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	for (size_t i = 0; i < config->npools; i++)
		members += config->pools[i].nbackends;
	table->config = config;
	table->entries = calloc(n + 1, sizeof(*table->entries));
	table->alone = calloc(config->nbackends + 1, sizeof(*table->alone));
	table->members = table->next = calloc(members + 1, sizeof(*table->members));
	if (!table->entries || !table->alone || !table->members) {
		pool_table_free(table);
		return NULL;
	}
	for (size_t i = 0; i < config->npools; i++)
		entry_fill_pool(table, &table->entries[i], &config->pools[i]);
	for (size_t i = 0; i < config->nbackends; i++) {
		struct pool_entry *entry = &table->entries[config->npools + i];

		table->alone[i] = &config->backends[i];
		entry_fill(table, entry, config->backends[i].name, &table->alone[i], 1);
		/* Nothing is taken out of a pool of one: only a pause that it asks for is told. */
		entry->pool.rules = (struct breaker_rules){
			.failures = UINT32_MAX, .pause_max_ns = READING_LONGEST_NS};
	}
	return table;
}

void pool_table_free(struct pool_table *table)
{
	if (!table)
		return;
	free(table->entries);
	free(table->alone);
	free(table->members);
	free(table);
}

const struct pool_entry *pool_table_find(
	const struct pool_table *table, const struct config_host *host)
{
	const struct config *config = table->config;

	if (host->pool)
		return &table->entries[host->pool - config->pools];
	if (host->backend)
		return &table->entries[config->npools + (size_t)(host->backend - config->backends)];
	return NULL;
}
