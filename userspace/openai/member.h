/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON of a member of a body, kept as it is read; once it is too long, it is abridged. */
#ifndef OPENAI_MEMBER_H
#define OPENAI_MEMBER_H

#include "openai/abridge.h"
#include "openai/json_scan.h"

struct member {
	struct buf into;
	struct json_keep keep;
	struct abridge abridge;
	size_t max;
};

/* max: most bytes that are kept; 0 keeps none. */
void member_init(struct member *member, size_t max);
void member_free(struct member *member);
/* Forgets what one of the same name before has left. */
void member_forget(struct member *member);
/* From enter (json_scan.h): keeps the value that begins; of two with the same name the last. */
void member_keep(struct json_scan *scan, struct member *member);
/* The body has ended: the JSON that is kept, valid as long as the member. unfinished: the body ended
 * too early, perhaps inside of it. Sets *truncated where something is missing, and adds the bytes
 * that are to *cut. */
struct slice member_end(struct member *member, const struct json_scan *scan, bool unfinished,
	bool *truncated, uint64_t *cut);

#endif
