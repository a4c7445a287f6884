/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of entries by address, dense in memory. Addresses may be a stranger's choice: where they
 * fall depends on a number that nobody else knows. */
#ifndef BASE_ADDRESS_TABLE_H
#define BASE_ADDRESS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct address_table {
	size_t entry_size;
	size_t most; /* entries that it may have */
	size_t n, room;
	char *entries;
	uint32_t *slots; /* number of the entry plus one; 0: none */
	size_t nslots;	 /* a power of two, at least twice n; 0: none yet */
	uint64_t seed;
};

/* Entries are structs of that size whose first member is their struct address. No memory is taken
 * before the first entry. At most UINT32_MAX / 4 entries. */
void address_table_init(struct address_table *table, size_t entry_size, size_t most);
void address_table_free(struct address_table *table);

/* The entry, or NULL. Valid until the next put, keep or clear. */
void *address_table_find(const struct address_table *table, const struct address *address);
/* The entry, made of zeros where there was none. NULL: no memory (errno ENOMEM), or there are as
 * many as may be (errno ENOSPC). */
void *address_table_put(struct address_table *table, const struct address *address);
/* Entries in the order in which they were put, 0 … n - 1. */
static inline void *address_table_at(const struct address_table *table, size_t i)
{
	return table->entries + i * table->entry_size;
}

/* Forgets all entries for which keep says false; the order stays. */
void address_table_keep(
	struct address_table *table, bool (*keep)(void *context, const void *entry), void *context);
/* Forgets all entries. Memory is kept, unless most of it was not needed this time. */
void address_table_clear(struct address_table *table);
/* Bytes in use. */
size_t address_table_memory(const struct address_table *table);

/* A number that looks random to who does not know the seed. */
uint64_t address_hash(const struct address *address, uint64_t seed);
/* The same of any bytes. */
uint64_t bytes_hash(const void *bytes, size_t len, uint64_t seed);
/* A seed; from getrandom(2). */
uint64_t address_seed(void);

#endif
