/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cuts an input into pieces, each in memory of exactly its size, so that a parser can be shown to
 * read the same whatever the cuts, and a sanitizer sees one byte too many. */
#ifndef SUPPORT_CUT_H
#define SUPPORT_CUT_H

#include <stdint.h>

#include "base/slice.h"

enum { CUT_WHOLE = 0, CUT_BYTES = 1 }; /* other seeds: random lengths, often short ones */

struct cut {
	struct slice rest;
	uint64_t seed;
	char *piece;
};

void cut_start(struct cut *cut, struct slice input, uint64_t seed);
/* The next piece, valid until the next call; false (and all memory freed) at the end. An empty
 * input is no piece. */
bool cut_next(struct cut *cut, struct slice *piece);

#endif
