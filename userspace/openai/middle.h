/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the middle out of a JSON text (RFC 8259) that is fed in pieces: what stays is its beginning
 * and its end, each about half of max, and JSON again: what is open at the end of the beginning is
 * closed, what is open at the start of the end is opened again, with the names of its members. The
 * outcome does not depend on how the text was cut into pieces. Memory is bounded by max. */
#ifndef OPENAI_MIDDLE_H
#define OPENAI_MIDDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct middle_place;

struct middle {
	size_t max;
	struct buf head, tail;
	struct middle_place *place; /* where in the text the tail begins; NULL: middle_begin was not called */
	bool lost;	/* no memory, or no JSON: nothing of the end is kept */
	uint64_t cut;	/* bytes that are not kept */
	uint64_t spent; /* on looking at what goes, as of base/work.h: its owner takes it */
};

/* Takes over text, the beginning, which is at least max long; its memory is given back in any case.
 * -ENOMEM: the middle is as it was before. */
int middle_begin(struct middle *middle, struct buf *text, size_t max);
static inline bool middle_begun(const struct middle *middle)
{
	return middle->place != NULL;
}
void middle_free(struct middle *middle);
void middle_feed(struct middle *middle, struct slice piece);
/* Appends what is kept and frees the rest but for `cut`: at most max bytes, or half of them and
 * JSON_SCAN_DEPTH. It is JSON as far as what was fed is. 0, or -ENOMEM with nothing appended. */
int middle_end(struct middle *middle, struct buf *into);

#endif
