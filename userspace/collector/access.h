/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who looked at what was said: a row for each look, in access.db of the store, on disk before the
 * answer. */
#ifndef COLLECTOR_ACCESS_H
#define COLLECTOR_ACCESS_H

#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"

struct access;

struct access_look {
	int64_t id;
	uint64_t time_ns; /* CLOCK_REALTIME */
	struct slice who; /* the user */
	struct slice by;   /* page, socket, command */
	struct slice what; /* show, list, search, export, tail, backup */
	struct slice detail; /* which: an event's id, the filters */
};

/* Of the store in a directory; the file belongs to whom the directory belongs to. NULL with why. */
struct access *access_open(const char *directory, struct why *why);
void access_close(struct access *access);

/* 0: the row is on disk; or -EIO with why: then nothing may be shown. Of detail the first KiB. */
int access_record(struct access *access, const struct access_look *look, struct why *why);
/* Copies it into another directory, which has none. */
int access_copy(struct access *access, const char *directory, struct why *why);
/* Rows below an id (0: from the last on), newest first. */
int access_looks(struct access *access, int64_t below, uint64_t limit,
	int (*row)(void *context, const struct access_look *look), void *context, struct why *why);

#endif
