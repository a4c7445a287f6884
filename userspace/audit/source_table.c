// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/source_table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address_table.h"

#define TABLE_MAGIC    0x5a11b0a2dULL
#define TABLE_PROBES   256 /* at half load some twenty are the most that is ever needed */
#define TABLE_ATTEMPTS 64  /* a write takes some 30 stores */
#define TABLE_MOST     (1u << 28)

struct posted {
	struct address address;
	struct source_totals totals;
};
#define POSTED_WORDS (sizeof(struct posted) / sizeof(uint64_t))

static_assert(sizeof(struct posted) % sizeof(uint64_t) == 0, "words only");

/* One writer, many readers: a seqlock for each entry. The sequence is odd while the entry changes,
 * and its words are atomics, so that a torn read is only ever a value that is thrown away. */
struct table_entry {
	_Atomic uint32_t sequence;
	uint32_t round; /* the writer's own: of the last put */
	_Atomic uint64_t words[POSTED_WORDS];
};

/* The mapped memory: this, then the slots, then the entries. */
struct table_header {
	uint64_t magic;
	uint64_t most;	 /* entries */
	uint64_t nslots; /* a power of two */
	uint64_t seed;
};

struct source_table {
	struct table_header *header;
	_Atomic uint32_t *slots; /* number of the entry plus one; 0: none */
	struct table_entry *entries;
	size_t size;
	/* The writer's own. */
	uint32_t round;
	uint32_t used;	  /* entries that were ever in use */
	uint32_t *vacant; /* of those, the ones that are no more */
	uint32_t nvacant;
};

static size_t slots_for(size_t most)
{
	size_t nslots = 64;

	while (nslots < 2 * most)
		nslots *= 2;
	return nslots;
}

static size_t table_size(size_t most)
{
	return sizeof(struct table_header) + slots_for(most) * sizeof(uint32_t) +
	       most * sizeof(struct table_entry);
}

/* The three parts; memory is there in a whole and read-only for a reader. */
static struct source_table *table_new(void *memory, size_t most)
{
	struct source_table *table = calloc(1, sizeof(*table));
	char *at = memory;

	if (!table)
		return NULL;
	table->header = memory;
	table->size = table_size(most);
	table->slots = (void *)(at + sizeof(struct table_header));
	table->entries = (void *)(at + table->size - most * sizeof(struct table_entry));
	return table;
}

struct source_table *source_table_create(size_t most, int *fd, struct why *why)
{
	size_t size = table_size(most);
	struct source_table *table = NULL;
	void *memory = MAP_FAILED;

	*fd = -1;
	if (most == 0 || most > TABLE_MOST) {
		why_set(why, EINVAL, "no source table for %zu sources", most);
		return NULL;
	}
	*fd = memfd_create("source totals", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd >= 0 && ftruncate(*fd, (off_t)size) == 0)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	/* This mapping stays writable, every later one is refused. */
	if (memory != MAP_FAILED &&
		fcntl(*fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0)
		table = table_new(memory, most);
	if (table)
		table->vacant = malloc(most * sizeof(*table->vacant));
	if (table && table->vacant) {
		*table->header = (struct table_header){.magic = TABLE_MAGIC,
			.most = most,
			.nslots = slots_for(most),
			.seed = address_seed()};
		return table;
	}
	why_set(why, errno, "the totals of sources cannot be shared: %s", strerror(errno));
	free(table);
	if (memory != MAP_FAILED)
		munmap(memory, size);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return NULL;
}

const struct source_table *source_table_map(int fd, struct why *why)
{
	struct table_header header;
	struct source_table *table;
	struct stat status;
	void *memory;

	if (fstat(fd, &status) < 0 ||
		pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		header.magic != TABLE_MAGIC || header.most == 0 || header.most > TABLE_MOST ||
		header.nslots != slots_for(header.most) ||
		(size_t)status.st_size != table_size(header.most)) {
		why_set(why, EINVAL, "descriptor %d does not hold totals of sources", fd);
		return NULL;
	}
	memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	table = memory == MAP_FAILED ? NULL : table_new(memory, header.most);
	if (!table) {
		why_set(why, errno, "the totals of sources cannot be mapped: %s", strerror(errno));
		if (memory != MAP_FAILED)
			munmap(memory, (size_t)status.st_size);
	}
	return table;
}

void source_table_free(const struct source_table *table)
{
	if (!table)
		return;
	munmap(table->header, table->size);
	free(table->vacant);
	free((void *)(uintptr_t)table);
}

/* ---- the writer ---- */

static void entry_write(struct table_entry *entry, const struct posted *posted)
{
	uint32_t sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
	uint64_t words[POSTED_WORDS];

	memcpy(words, posted, sizeof(words));
	atomic_store_explicit(&entry->sequence, sequence | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < POSTED_WORDS; i++)
		atomic_store_explicit(&entry->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&entry->sequence, (sequence | 1) + 1, memory_order_release);
}

static bool entry_is_of(const struct table_entry *entry, const struct address *address)
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	return atomic_load_explicit(&entry->words[0], memory_order_relaxed) == words[0] &&
	       atomic_load_explicit(&entry->words[1], memory_order_relaxed) == words[1];
}

static size_t slot_of(const struct source_table *table, const struct address *address, size_t probe)
{
	return (address_hash(address, table->header->seed) + probe) & (table->header->nslots - 1);
}

/* The slot that holds the address, or the empty one where it goes; NULL: neither in time. */
static _Atomic uint32_t *slot_find(struct source_table *table, const struct address *address)
{
	for (size_t probe = 0; probe < TABLE_PROBES; probe++) {
		_Atomic uint32_t *slot = &table->slots[slot_of(table, address, probe)];
		uint32_t number = atomic_load_explicit(slot, memory_order_relaxed);

		if (!number || entry_is_of(&table->entries[number - 1], address))
			return slot;
	}
	return NULL;
}

/* Vacates what was not put lately, and makes the slots anew; readers may miss a source meanwhile,
 * and never take one for another. */
static void table_vacate(struct source_table *table)
{
	table->nvacant = 0;
	for (size_t i = 0; i < table->header->nslots; i++)
		atomic_store_explicit(&table->slots[i], 0, memory_order_relaxed);
	for (uint32_t i = 0; i < table->used; i++) {
		struct table_entry *entry = &table->entries[i];
		struct address address;
		_Atomic uint32_t *slot;

		memcpy(&address, (const void *)entry->words, sizeof(address));
		slot = table->round - entry->round <= 1 ? slot_find(table, &address) : NULL;
		if (slot)
			atomic_store_explicit(slot, i + 1, memory_order_release);
		else
			table->vacant[table->nvacant++] = i;
	}
}

void source_table_begin(struct source_table *table)
{
	table->round++;
}

int source_table_put(struct source_table *table, const struct address *address,
	const struct source_totals *totals)
{
	const struct posted posted = {.address = *address, .totals = *totals};
	_Atomic uint32_t *slot = slot_find(table, address);
	uint32_t number = slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;

	if (!number) {
		if (!table->nvacant && table->used == table->header->most) {
			table_vacate(table);
			slot = slot_find(table, address);
		}
		if (!slot || (!table->nvacant && table->used == table->header->most))
			return -ENOSPC;
		number = 1 + (table->nvacant ? table->vacant[--table->nvacant] : table->used++);
	}
	entry_write(&table->entries[number - 1], &posted);
	table->entries[number - 1].round = table->round;
	atomic_store_explicit(slot, number, memory_order_release);
	return 0;
}

/* ---- readers ---- */

/* 0: it was of another address; 1: it is read; -EAGAIN. */
static int entry_read(const struct table_entry *entry, const struct address *address,
	struct source_totals *totals)
{
	uint64_t words[POSTED_WORDS];
	bool same;

	for (int i = 0; i < TABLE_ATTEMPTS; i++) {
		uint32_t before = atomic_load_explicit(&entry->sequence, memory_order_acquire);

		if (before & 1)
			continue;
		same = entry_is_of(entry, address);
		for (size_t at = 0; same && at < POSTED_WORDS; at++)
			words[at] = atomic_load_explicit(&entry->words[at], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) != before)
			continue;
		if (same)
			memcpy(totals, words + sizeof(*address) / sizeof(*words), sizeof(*totals));
		return same;
	}
	return -EAGAIN;
}

int source_table_find(const struct source_table *table, const struct address *address,
	struct source_totals *totals)
{
	for (size_t probe = 0; probe < TABLE_PROBES; probe++) {
		uint32_t number = atomic_load_explicit(
			&table->slots[slot_of(table, address, probe)], memory_order_acquire);
		int result;

		if (number == 0 || number > table->header->most)
			break;
		result = entry_read(&table->entries[number - 1], address, totals);
		if (result < 0)
			return result;
		if (result > 0)
			return 0;
	}
	return -ENOENT;
}
