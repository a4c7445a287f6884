/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rules a text fits, of all that say something of it: one look-up, however many rules there
 * are. What a rule says are words, beginnings ("gpt-4o*") and ends ("*-mini"). */
#ifndef POLICY_MATCHER_H
#define POLICY_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"

/* Longer texts are not compared: nobody's name is. */
#define MATCHER_TEXT_MAX 512

/* A set of rules, by number. */
struct bits {
	uint64_t *words;
	size_t n; /* words */
};

int bits_make(struct bits *bits, size_t nbits);
void bits_free(struct bits *bits);
static inline void bits_set(struct bits *bits, size_t i)
{
	bits->words[i / 64] |= UINT64_C(1) << (i % 64);
}

struct matcher_entry;

struct matcher {
	struct matcher_entry *entries;
	size_t n, room;
	uint32_t *slots; /* number of the entry plus one; 0: none */
	size_t nslots;	 /* a power of two */
	uint64_t seed;
	/* The lengths that beginnings, and ends, have; of addresses, of the prefixes. */
	uint64_t starts[MATCHER_TEXT_MAX / 64 + 1], ends[MATCHER_TEXT_MAX / 64 + 1];
	struct bits silent; /* the rules that say nothing of it */
	bool used;	    /* there is a rule that does */
};

/* For rules 0 … nrules - 1, all silent at first. 0 or -ENOMEM; matcher_free is right after both. */
int matcher_init(struct matcher *matcher, size_t nrules);
void matcher_free(struct matcher *matcher);
/* The rule fits that pattern, besides what it fits already. 0 or -ENOMEM. */
int matcher_add(struct matcher *matcher, struct slice pattern, uint32_t rule);
int matcher_add_prefix(struct matcher *matcher, const struct prefix *prefix, uint32_t rule);

/* Adds to the set those that fit: not the silent ones. */
void matcher_find(const struct matcher *matcher, struct slice text, struct bits *found);
void matcher_find_address(
	const struct matcher *matcher, const struct address *address, struct bits *found);

#endif
