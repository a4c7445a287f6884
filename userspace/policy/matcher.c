// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/matcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"

enum kind { KIND_WORD, KIND_START, KIND_END, KIND_ANY, KIND_PREFIX };

struct matcher_entry {
	enum kind kind;
	uint8_t bits; /* of a prefix */
	char *text;   /* likewise its 16 bytes */
	size_t len;
	uint32_t *rules;
	size_t n, room;
};

/* ---- sets of rules ---- */

int bits_make(struct bits *bits, size_t nbits)
{
	bits->n = nbits / 64 + 1;
	bits->words = calloc(bits->n, sizeof(*bits->words));
	return bits->words ? 0 : -ENOMEM;
}

void bits_free(struct bits *bits)
{
	free(bits->words);
	*bits = (struct bits){NULL, 0};
}

/* ---- the table ---- */

int matcher_init(struct matcher *m, size_t nrules)
{
	int error;

	*m = (struct matcher){.seed = address_seed()};
	error = bits_make(&m->silent, nrules);
	for (size_t i = 0; !error && i < nrules; i++)
		bits_set(&m->silent, i);
	return error;
}

void matcher_free(struct matcher *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->entries[i].text);
		free(m->entries[i].rules);
	}
	free(m->entries);
	free(m->slots);
	bits_free(&m->silent);
	*m = (struct matcher){.entries = NULL};
}

static uint64_t hash_of(const struct matcher *m, enum kind kind, uint8_t bits, struct slice text)
{
	return bytes_hash(text.data, text.len, m->seed + kind * 131u + bits);
}

/* The slot of that entry, or the empty one where it would be. */
static size_t slot_of(const struct matcher *m, enum kind kind, uint8_t bits, struct slice text)
{
	size_t at = hash_of(m, kind, bits, text) & (m->nslots - 1);

	for (; m->slots[at]; at = (at + 1) & (m->nslots - 1)) {
		const struct matcher_entry *entry = &m->entries[m->slots[at] - 1];

		if (entry->kind == kind && entry->bits == bits &&
			slice_equal(slice_of(entry->text, entry->len), text))
			break;
	}
	return at;
}

static int grow_slots(struct matcher *m)
{
	size_t nslots = m->nslots ? 2 * m->nslots : 16;
	uint32_t *slots = calloc(nslots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(m->slots);
	m->slots = slots;
	m->nslots = nslots;
	for (size_t i = 0; i < m->n; i++) {
		const struct matcher_entry *entry = &m->entries[i];

		slots[slot_of(m, entry->kind, entry->bits, slice_of(entry->text, entry->len))] =
			(uint32_t)i + 1;
	}
	return 0;
}

static struct matcher_entry *entry_put(
	struct matcher *m, enum kind kind, uint8_t bits, struct slice text)
{
	struct matcher_entry *entries;
	size_t at;

	if (2 * (m->n + 1) > m->nslots && grow_slots(m))
		return NULL;
	at = slot_of(m, kind, bits, text);
	if (m->slots[at])
		return &m->entries[m->slots[at] - 1];
	if (m->n == m->room) {
		size_t room = m->room ? 2 * m->room : 16;

		entries = realloc(m->entries, room * sizeof(*entries));
		if (!entries)
			return NULL;
		m->entries = entries;
		m->room = room;
	}
	m->entries[m->n] = (struct matcher_entry){
		.kind = kind, .bits = bits, .text = malloc(text.len + 1), .len = text.len};
	if (!m->entries[m->n].text)
		return NULL;
	if (text.len)
		memcpy(m->entries[m->n].text, text.data, text.len);
	m->slots[at] = (uint32_t)++m->n;
	return &m->entries[m->n - 1];
}

static int put(struct matcher *m, enum kind kind, uint8_t bits, struct slice text, uint32_t rule)
{
	struct matcher_entry *entry = entry_put(m, kind, bits, text);

	if (!entry)
		return -ENOMEM;
	if (entry->n == entry->room) {
		size_t room = entry->room ? 2 * entry->room : 4;
		uint32_t *rules = realloc(entry->rules, room * sizeof(*rules));

		if (!rules)
			return -ENOMEM;
		entry->rules = rules;
		entry->room = room;
	}
	entry->rules[entry->n++] = rule;
	m->silent.words[rule / 64] &= ~(UINT64_C(1) << (rule % 64));
	m->used = true;
	return 0;
}

static void find(const struct matcher *m, enum kind kind, uint8_t bits, struct slice text,
	struct bits *found)
{
	const struct matcher_entry *entry;
	uint32_t number = m->slots[slot_of(m, kind, bits, text)];

	if (!number)
		return;
	entry = &m->entries[number - 1];
	for (size_t i = 0; i < entry->n; i++)
		bits_set(found, entry->rules[i]);
}

static void mark(uint64_t *lengths, size_t len)
{
	lengths[len / 64] |= UINT64_C(1) << (len % 64);
}

/* The next length that is marked, from len on, or SIZE_MAX. */
static size_t marked(const uint64_t *lengths, size_t len, size_t most)
{
	for (; len <= most; len = (len / 64 + 1) * 64) {
		uint64_t word = lengths[len / 64] >> (len % 64);

		if (word)
			return len + (size_t)__builtin_ctzll(word);
	}
	return SIZE_MAX;
}

/* ---- texts ---- */

/* Case makes no difference. */
static struct slice lowered(struct slice text, char lower[MATCHER_TEXT_MAX])
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	return slice_of(lower, text.len);
}

int matcher_add(struct matcher *m, struct slice pattern, uint32_t rule)
{
	char lower[MATCHER_TEXT_MAX];

	if (slice_equal(pattern, SLICE("*")))
		return put(m, KIND_ANY, 0, SLICE_NONE, rule);
	if (pattern.len > MATCHER_TEXT_MAX)
		return -EINVAL;
	pattern = lowered(pattern, lower);
	if (pattern.len && pattern.data[pattern.len - 1] == '*') {
		mark(m->starts, pattern.len - 1);
		return put(m, KIND_START, 0, slice_first(pattern, pattern.len - 1), rule);
	}
	if (pattern.len && pattern.data[0] == '*') {
		mark(m->ends, pattern.len - 1);
		return put(m, KIND_END, 0, slice_after(pattern, 1), rule);
	}
	return put(m, KIND_WORD, 0, pattern, rule);
}

void matcher_find(const struct matcher *m, struct slice text, struct bits *found)
{
	char lower[MATCHER_TEXT_MAX];
	struct slice plain;

	if (!m->n || !text.len || text.len > sizeof(lower))
		return;
	plain = lowered(text, lower);
	find(m, KIND_ANY, 0, SLICE_NONE, found);
	find(m, KIND_WORD, 0, plain, found);
	for (size_t len = marked(m->starts, 0, plain.len); len <= plain.len;
		len = marked(m->starts, len + 1, plain.len))
		find(m, KIND_START, 0, slice_first(plain, len), found);
	for (size_t len = marked(m->ends, 0, plain.len); len <= plain.len;
		len = marked(m->ends, len + 1, plain.len))
		find(m, KIND_END, 0, slice_after(plain, plain.len - len), found);
}

/* ---- addresses ---- */

int matcher_add_prefix(struct matcher *m, const struct prefix *prefix, uint32_t rule)
{
	mark(m->starts, prefix->bits);
	return put(m, KIND_PREFIX, prefix->bits,
		slice_of((const char *)prefix->address.bytes, sizeof(prefix->address.bytes)), rule);
}

static struct address masked(const struct address *address, size_t bits)
{
	struct address result = {{0}};

	memcpy(result.bytes, address->bytes, bits / 8);
	if (bits % 8)
		result.bytes[bits / 8] =
			(uint8_t)(address->bytes[bits / 8] & (0xff << (8 - bits % 8)));
	return result;
}

void matcher_find_address(
	const struct matcher *m, const struct address *address, struct bits *found)
{
	if (!m->n)
		return;
	for (size_t bits = marked(m->starts, 0, 128); bits <= 128;
		bits = marked(m->starts, bits + 1, 128)) {
		struct address network = masked(address, bits);

		find(m, KIND_PREFIX, (uint8_t)bits,
			slice_of((const char *)network.bytes, sizeof(network.bytes)), found);
	}
}
