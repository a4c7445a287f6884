// SPDX-License-Identifier: GPL-2.0-or-later
#include "scout/peek.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"
#include "scout/source_network.h"

#define PEEKS_MAX 8192
#define BYTES_MAX ((size_t)32 << 20)
#define CHAINS	  4096 /* a power of 2 */
/* What one source may have of both. Sources are told apart by a hash: a few share. */
#define SHARE	4
#define SOURCES 1024

struct peek_source {
	struct list peeks;
	size_t n, bytes;
};

struct peek_table {
	struct peek *chains[CHAINS];
	struct peek_source sources[SOURCES];
	struct list ages;
	size_t n, bytes;
	uint64_t seed;
	void (*forget)(void *context, const struct peek *peek);
	void *context;
};

struct peek_table *peek_table_new(
	void (*forget)(void *context, const struct peek *peek), void *context)
{
	struct peek_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->seed = address_seed();
	table->forget = forget;
	table->context = context;
	list_init(&table->ages);
	for (size_t i = 0; i < SOURCES; i++)
		list_init(&table->sources[i].peeks);
	return table;
}

static struct peek **chain_of(struct peek_table *table, const struct peek_key *key)
{
	return &table->chains[bytes_hash(key, sizeof(*key), table->seed) & (CHAINS - 1)];
}

/* Of the replies of a DNS server the client is the destination, and so are they told apart. */
static struct peek_source *source_of(struct peek_table *table, const struct peek_key *key)
{
	struct address network = source_network(
		key->protocol == IPPROTO_TCP && key->source_port == 53 ? &key->destination
								       : &key->source);

	return &table->sources[address_hash(&network, table->seed) % SOURCES];
}

struct peek *peek_find(struct peek_table *table, const struct peek_key *key, uint64_t now_ns)
{
	struct peek *peek = *chain_of(table, key);

	while (peek && memcmp(&peek->key, key, sizeof(*key)) != 0)
		peek = peek->chain;
	if (!peek)
		return NULL;
	if (!peek->undecided && now_ns - peek->used_ns > PEEK_IDLE_NS) {
		peek_remove(table, peek);
		return NULL;
	}
	peek->used_ns = now_ns;
	if (peek->done)
		return peek;
	list_remove(&peek->age);
	list_append(&table->ages, &peek->age);
	list_remove(&peek->peer);
	list_append(&source_of(table, key)->peeks, &peek->peer);
	return peek;
}

void peek_decided(struct peek_table *table, struct peek *peek, bool refused)
{
	peek->undecided = false;
	peek->done = true;
	peek->refused = refused;
	list_remove(&peek->age);
	list_insert_after(&table->ages, &peek->age);
	list_remove(&peek->peer);
	list_insert_after(&source_of(table, &peek->key)->peeks, &peek->peer);
}

static struct peek *oldest_of(const struct peek_source *source)
{
	return list_entry(source->peeks.next, struct peek, peer);
}

static void peek_forget(struct peek_table *table, struct peek *peek)
{
	if (peek->undecided && table->forget)
		table->forget(table->context, peek);
	peek_remove(table, peek);
}

struct peek *peek_add(struct peek_table *table, const struct peek_key *key, uint64_t now_ns)
{
	struct peek_source *source = source_of(table, key);
	struct peek **chain, *peek = calloc(1, sizeof(*peek));

	if (!peek)
		return NULL;
	if (source->n >= PEEKS_MAX / SHARE)
		peek_forget(table, oldest_of(source));
	if (table->n >= PEEKS_MAX)
		peek_forget(table, list_entry(table->ages.next, struct peek, age));
	chain = chain_of(table, key);
	peek->key = *key;
	peek->start_ns = peek->used_ns = now_ns;
	peek->chain = *chain;
	*chain = peek;
	list_append(&table->ages, &peek->age);
	list_append(&source->peeks, &peek->peer);
	source->n++;
	table->n++;
	return peek;
}

void peek_charge(struct peek_table *table, struct peek *peek)
{
	size_t bytes = peek->segments.capacity + peek->quic.crypto.capacity;
	struct peek_source *source = source_of(table, &peek->key);

	table->bytes += bytes - peek->charged;
	source->bytes += bytes - peek->charged;
	peek->charged = bytes;
	while (source->bytes > BYTES_MAX / SHARE && source->peeks.next != &peek->peer)
		peek_forget(table, oldest_of(source));
	while (table->bytes > BYTES_MAX && table->ages.next != &peek->age)
		peek_forget(table, list_entry(table->ages.next, struct peek, age));
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
	struct peek_source *source = source_of(table, &peek->key);

	while (*link != peek)
		link = &(*link)->chain;
	*link = peek->chain;
	list_remove(&peek->age);
	list_remove(&peek->peer);
	table->bytes -= peek->charged;
	source->bytes -= peek->charged;
	table->n--;
	source->n--;
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
