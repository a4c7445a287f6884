/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shortens a JSON text (RFC 8259) that is fed in pieces: the longest of its strings lose their
 * middles (ends.h), whatever is around them stays; when no string is left to shorten, the text loses
 * its own (middle.h). Memory is bounded by max; the outcome does not depend on how the text was cut
 * into pieces. */
#ifndef OPENAI_ABRIDGE_H
#define OPENAI_ABRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "openai/middle.h"

struct abridge_part;

struct abridge {
	size_t max;
	struct abridge_part *parts;
	size_t nparts, room_for_parts;
	size_t kept; /* bytes, the marks of cuts not among them */
	bool in_string, escaped;
	struct middle middle; /* once no string is left to shorten */
	bool full;    /* no memory, or the text is no JSON: what comes is not kept */
	uint64_t cut; /* bytes that are not kept; marks of cuts that went later are counted as well */
	uint64_t spent; /* what it did besides looking at what came, as of base/work.h: its owner takes it */
};

/* What is to be given to abridge_init for an outcome of at most so many bytes, the marks of cuts and
 * what json_mend adds to one that is `full` among them; 0: there is no such. */
size_t abridge_within(size_t bytes);

void abridge_init(struct abridge *abridge, size_t max);
void abridge_free(struct abridge *abridge);
/* Whether something was fed. */
bool abridge_begun(const struct abridge *abridge);
void abridge_feed(struct abridge *abridge, struct slice piece);
/* Appends what is kept and frees the rest but for `cut`: at most max bytes and ENDS_MARK for each
 * string that was shortened. It is JSON as far as what was fed is, unless `full`: then its end is
 * missing. 0, or -ENOMEM with nothing appended. */
int abridge_end(struct abridge *abridge, struct buf *into);

#endif
