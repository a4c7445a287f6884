/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text on its way into an event: one pass that repairs UTF-8 and takes credentials out. */
#ifndef AUDIT_TEXT_H
#define AUDIT_TEXT_H

#include "base/buf.h"
#include "base/slice.h"

/* The bytes begin … end (exclusive) must not go into an event: insert goes in their place. */
struct text_edit {
	size_t begin, end;
	struct slice insert;
};

/* Finds the first edit of s at or after from; false: none, the rest can be taken as it is. */
bool text_edit_next(struct slice s, size_t from, struct text_edit *edit);

/* Appends s repaired (U+FFFD for what is not UTF-8) and redacted. 0, or -ENOMEM and nothing is
 * appended. */
int text_append(struct slice s, struct buf *out);

#endif
