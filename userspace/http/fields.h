/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields of a message that outlive the reader which read them. */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include "base/buf.h"
#include "http/head.h"

struct fields {
	struct buf text; /* what the slices of list point into */
	struct header *list;
	size_t count;
};

/* Copies them; what fields held before is gone. 0 or -ENOMEM. */
int fields_copy(struct fields *fields, const struct header *list, size_t count);
/* Forgets them: they may be secrets. */
void fields_wipe(struct fields *fields);

#endif
