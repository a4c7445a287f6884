/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The content of an event (prompts, answers, tools: JSON) as blocks: an array's elements one by one,
 * so that a history that is sent again with each call is the same blocks again; anything else whole.
 * What is joined is, byte for byte, what was split. And the list of an event's blocks, as bytes. */
#ifndef COLLECTOR_CONTENT_H
#define COLLECTOR_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define CONTENT_KINDS 3

/* The fields of an event that are content; these numbers are in stores. */
enum content_kind { CONTENT_INPUT, CONTENT_OUTPUT, CONTENT_TOOLS };

/* How many elements text has, when it is an array that can be taken apart; JSON that is wrong inside
 * an element may be so as well. 0: it is none, or empty. */
uint32_t content_elements(struct slice text);
/* The next element of such a text: *at is 0 first; false: there are no more. */
bool content_next(struct slice text, size_t *at, struct slice *element);

/* ---- the list ---- */

struct content_list {
	enum content_kind kind;
	bool array; /* else one block, which is the text */
	uint32_t n; /* blocks, which follow */
};

/* All append to out; 0 or -ENOMEM. *last begins as 0. */
int content_put_list(struct buf *out, const struct content_list *list);
int content_put_block(struct buf *out, int64_t block, int64_t *last);
/* Both take from the front of *rest; false: there is no such thing. */
bool content_take_list(struct slice *rest, struct content_list *list);
bool content_take_block(struct slice *rest, int64_t *block, int64_t *last);

#endif
