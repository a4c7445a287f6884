// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/peek.h"

#include <stdlib.h>
#include <string.h>

#define PEEKS_MAX 8192
#define BYTES_MAX ((size_t)32 << 20)
#define CHAINS	  4096 /* a power of 2 */

struct peek_table {
	struct peek *chains[CHAINS];
	struct list ages;
	size_t n, bytes;
};

struct peek_table *peek_table_new(void)
{
	struct peek_table *table = calloc(1, sizeof(*table));

	if (table)
		list_init(&table->ages);
	return table;
}

static struct peek **chain_of(struct peek_table *table, const struct peek_key *key)
{
	const unsigned char *bytes = (const unsigned char *)key;
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < sizeof(*key); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return &table->chains[(hash >> 20) & (CHAINS - 1)];
}

struct peek *peek_find(struct peek_table *table, const struct peek_key *key, uint64_t now_ns)
{
	struct peek *peek = *chain_of(table, key);

	while (peek && memcmp(&peek->key, key, sizeof(*key)) != 0)
		peek = peek->chain;
	if (!peek)
		return NULL;
	if (now_ns - peek->used_ns > PEEK_IDLE_NS) {
		peek_remove(table, peek);
		return NULL;
	}
	peek->used_ns = now_ns;
	list_remove(&peek->age);
	list_append(&table->ages, &peek->age);
	return peek;
}

struct peek *peek_add(struct peek_table *table, const struct peek_key *key, uint64_t now_ns)
{
	struct peek **chain = chain_of(table, key), *peek = calloc(1, sizeof(*peek));

	if (!peek)
		return NULL;
	if (table->n >= PEEKS_MAX)
		peek_remove(table, list_entry(table->ages.next, struct peek, age));
	peek->key = *key;
	peek->start_ns = peek->used_ns = now_ns;
	peek->chain = *chain;
	*chain = peek;
	list_append(&table->ages, &peek->age);
	table->n++;
	return peek;
}

void peek_charge(struct peek_table *table, struct peek *peek)
{
	size_t bytes = peek->segments.capacity + peek->quic.crypto.capacity;

	table->bytes += bytes - peek->charged;
	peek->charged = bytes;
	while (table->bytes > BYTES_MAX && table->ages.next != &peek->age)
		peek_remove(table, list_entry(table->ages.next, struct peek, age));
}

void peek_done(struct peek_table *table, struct peek *peek)
{
	peek->done = true;
	segments_free(&peek->segments);
	segments_free(&peek->quic.crypto);
	peek_charge(table, peek);
}

void peek_remove(struct peek_table *table, struct peek *peek)
{
	struct peek **link = chain_of(table, &peek->key);

	while (*link != peek)
		link = &(*link)->chain;
	*link = peek->chain;
	list_remove(&peek->age);
	table->bytes -= peek->charged;
	table->n--;
	segments_free(&peek->segments);
	segments_free(&peek->quic.crypto);
	free(peek);
}

void peek_table_free(struct peek_table *table)
{
	if (!table)
		return;
	list_for_each_safe (node, &table->ages)
		peek_remove(table, list_entry(node, struct peek, age));
	free(table);
}
