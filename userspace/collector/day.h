/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of one day of a store, open for writing. */
#ifndef COLLECTOR_DAY_H
#define COLLECTOR_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/why.h"
#include "collector/anchor.h"
#include "collector/keyed.h"
#include "collector/row.h"
#include "collector/seal.h"

struct day;

struct day_options {
	const char *directory;
	int32_t number;	     /* of the day, from 1970-01-01 */
	int32_t before;	     /* a day whose dictionaries are taken along to a new file; -1: none */
	struct keyed *keyed; /* both the store's, outlive the day */
	struct anchors *anchors;
	const struct seal_key *seal_key; /* NULL: contents are not sealed */
};

/* Opens the file, made with mode 0600 where it is missing. -EIO, -EPERM … with why; here and in all
 * that follows -EBADMSG says that the file is damaged. */
int day_open(const struct day_options *options, struct day **day, struct why *why);
/* What was not committed is gone. */
void day_close(struct day *day);

int32_t day_number(const struct day *day);
/* The highest id of its events, 0: none. */
int64_t day_last_id(const struct day *day);

enum day_added {
	DAY_ADDED,
	DAY_CONFLICT,  /* added and marked: another event has its id, or its place in the stream */
	DAY_DUPLICATE, /* it is there already, as it is */
};
/* Adds an event under this id, in a transaction that this begins. 0; or -EIO, -EBADMSG or -ENOMEM with why: the
 * transaction is to be rolled back. */
int day_add(struct day *day, int64_t id, struct row *row, enum day_added *added, struct why *why);
/* Makes what was added durable. 0, or -EIO with why: all of it is gone. */
int day_commit(struct day *day, struct why *why);
void day_rollback(struct day *day);

#endif
