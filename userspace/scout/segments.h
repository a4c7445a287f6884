/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The beginning of a stream of bytes, put together from pieces in any order: TCP segments, or the
 * CRYPTO frames of QUIC. Bounded in bytes and in pieces. */
#ifndef SCOUT_SEGMENTS_H
#define SCOUT_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Gaps of a stream under way: more than an honest sender's network makes. */
#define SEGMENTS_PIECES_MAX 16

struct segments {
	char *memory; /* NULL: empty */
	size_t capacity;
	struct segments_piece {
		size_t start, end;
	} pieces[SEGMENTS_PIECES_MAX]; /* sorted, apart from each other */
	size_t npieces;
};

#define SEGMENTS_EMPTY ((struct segments){.memory = NULL})

/* Takes bytes that stand at this offset of the stream. Of bytes that come twice the first ones
 * count. 0; -EMSGSIZE: they end beyond limit; -ENOBUFS: too many pieces; -ENOMEM: then nothing was
 * taken. */
int segments_add(struct segments *segments, size_t offset, struct slice bytes, size_t limit);
/* Whether these bytes are the same as those that are there already of this place. */
bool segments_agree(const struct segments *segments, size_t offset, struct slice bytes);
/* What there is from offset 0 on without a gap; valid until the next call. */
struct slice segments_front(const struct segments *segments);
/* Takes the first len bytes away, which must be there: what follows is offset 0 from then on. */
void segments_consume(struct segments *segments, size_t len);
void segments_free(struct segments *segments);

#endif
