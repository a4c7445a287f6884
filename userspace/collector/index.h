/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of a store's content, for search: of each day a file of its own, DAY.fts, written by a
 * process of its own, which may lag behind. It can be made anew from the day at any time. */
#ifndef COLLECTOR_INDEX_H
#define COLLECTOR_INDEX_H

#include <stdint.h>

#include "base/buf.h"
#include "base/why.h"

struct query;

/* Indexes the next events of a day, at most n of them; *done counts them. 0, or -EIO with why: then
 * the day's index is as it was. */
int index_step(struct query *query, int32_t day, uint64_t n, uint64_t *done, struct why *why);
/* Keeps the index of a store up to date until the process is ended; returns the exit status. */
int index_run(const char *path);

/* Appends what is to be found of a block: the texts in its JSON, without names that every message
 * has; or all of it, when it is no JSON. 0 or -ENOMEM. */
int index_text(struct slice block, struct buf *out);

#endif
