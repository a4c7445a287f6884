/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is kept of a JSON array of messages when not all of it fits: its beginning, where the system's
 * prompt stands, and its end, where the new words are, with the last message of the user wherever it
 * stands. The middle goes. A message that alone does not fit is abridged (abridge.h). */
#ifndef OPENAI_NEWEST_H
#define OPENAI_NEWEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "openai/abridge.h"

struct newest {
	size_t max;	    /* bytes of the array that are kept, but for closing what is cut */
	struct buf json;    /* of each element a "," and what it is */
	size_t begun;	    /* where in json the newest element has its "," */
	struct abridge alone; /* the newest element, once it is longer than max */
	struct buf lengths; /* of the elements from tail on: uint32_t, the highest bit: a user's */
	bool shed;	    /* something was cut … */
	size_t head, tail;  /* … then this part of json is gone */
	uint64_t elements, last_user; /* how many came; which of them, from 1, or 0 */
	struct buf user;    /* the last message of the user, after it left the tail */
	uint64_t cut;	    /* bytes that were cut */
	bool no_memory;	    /* something was lost for want of it */
	uint64_t spent;	    /* on abridging */
};

void newest_init(struct newest *newest, size_t max);
/* Forgets everything and gives the memory back. */
void newest_free(struct newest *newest);
/* An element begins: its bytes are to be appended to newest->json, at most max of them … */
void newest_begin(struct newest *newest);
/* … and from the first that does not fit given to this, if there is room enough to abridge it
 * (alone.max). */
void newest_overflow(struct newest *newest, struct slice bytes);
/* It has ended; written: its bytes as they came (what is missing then was lost for want of memory);
 * user: it is a message of the user. */
void newest_add(struct newest *newest, uint64_t written, bool user);
/* It will not end: what there is of it is kept. */
void newest_add_unfinished(struct newest *newest);
/* What was done beside looking at the bytes, as of base/work.h, since the last call. */
uint64_t newest_spent(struct newest *newest);
/* Makes the array of what is kept: valid JSON, of at most max bytes but for what closes an element
 * that is unfinished. */
void newest_end(struct newest *newest, struct buf *array);

#endif
