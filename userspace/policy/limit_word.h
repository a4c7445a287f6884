/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An amount and the period that it belongs to, in one word, so that both change at once. */
#ifndef POLICY_LIMIT_WORD_H
#define POLICY_LIMIT_WORD_H

#include <stdbool.h>
#include <stdint.h>

/* The greatest amount: enough for 281 TB, 281 billion tokens, 2.8 million of a currency (limit.h says
 * in which units). */
#define LIMIT_AMOUNT_MAX ((UINT64_C(1) << 48) - 1)
/* Clocks of workers that look at the same time differ by less; what is further ahead is of long ago. */
#define LIMIT_AHEAD 4

static inline uint64_t limit_word(uint16_t epoch, uint64_t amount)
{
	return (uint64_t)epoch << 48 | (amount < LIMIT_AMOUNT_MAX ? amount : LIMIT_AMOUNT_MAX);
}

static inline uint16_t limit_word_epoch(uint64_t word)
{
	return (uint16_t)(word >> 48);
}

/* What a word says of a period: nothing, unless it is of that one. */
static inline uint64_t limit_word_in(uint64_t word, uint16_t epoch)
{
	return limit_word_epoch(word) == epoch ? word & LIMIT_AMOUNT_MAX : 0;
}

/* Whether the word is of a period that has begun after that one, a moment ago. */
static inline bool limit_word_is_ahead(uint64_t word, uint16_t epoch)
{
	uint16_t by = (uint16_t)(limit_word_epoch(word) - epoch);

	return by && by <= LIMIT_AHEAD;
}

#endif
