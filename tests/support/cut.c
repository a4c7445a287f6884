// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/cut.h"

#include <stdlib.h>

/* SplitMix64 */
static uint64_t next_random(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void cut_start(struct cut *cut, struct slice input, uint64_t seed)
{
	*cut = (struct cut){input, seed, NULL};
}

static size_t piece_length(struct cut *cut)
{
	uint64_t random;

	if (cut->seed == CUT_WHOLE)
		return cut->rest.len;
	if (cut->seed == CUT_BYTES)
		return 1;
	random = next_random(&cut->seed);
	return 1 + (size_t)((random >> 8) % (random & 1 ? 4 : cut->rest.len));
}

bool cut_next(struct cut *cut, struct slice *piece)
{
	size_t length;

	free(cut->piece);
	cut->piece = NULL;
	if (!cut->rest.len)
		return false;
	length = piece_length(cut);
	*piece = slice_first(cut->rest, length);
	cut->rest = slice_after(cut->rest, length);
	cut->piece = malloc(piece->len);
	if (!cut->piece)
		abort();
	memcpy(cut->piece, piece->data, piece->len);
	piece->data = cut->piece;
	return true;
}
