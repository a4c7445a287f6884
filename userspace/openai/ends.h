/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a JSON string (RFC 8259 section 7) that may be too long to be kept: it is whole, or
 * its beginning and its end, about as long, with a "…" for the middle. */
#ifndef OPENAI_ENDS_H
#define OPENAI_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Bytes that the mark of a cut takes. */
#define ENDS_MARK 3

struct ends {
	struct buf head, tail;
	uint64_t cut; /* bytes that went from the middle */
};

void ends_free(struct ends *ends);
/* Where the next bytes are to be appended. */
static inline struct buf *ends_into(struct ends *ends)
{
	return ends->cut ? &ends->tail : &ends->head;
}
/* Bytes that are kept, the mark not among them. */
static inline size_t ends_len(const struct ends *ends)
{
	return buf_len(&ends->head) + buf_len(&ends->tail);
}
/* Takes at least n bytes from the middle, whole characters and escapes, as far as there are such;
 * returns how many went. Without memory the end goes as well. */
size_t ends_shed(struct ends *ends, size_t n);
/* Appends what is kept, with its mark, at most ends_len + ENDS_MARK bytes. 0, or -ENOMEM. */
int ends_append_to(const struct ends *ends, struct buf *into);

#endif
