/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the columns of a day's events, by which they are found and counted, say what their records say,
 * and its sums what its events say: neither is what digests and links are made of. */
#ifndef COLLECTOR_QUERY_FACTS_H
#define COLLECTOR_QUERY_FACTS_H

#include "collector/query_internal.h"
#include "collector/row.h"

/* The statement that query_facts_differ reads a row of, by its id; NULL: the attached day has not all of
 * these columns. */
sqlite3_stmt *query_facts_prepare(struct query *query);
/* The name of the column of an event that differs from its record, which is whole; NULL: none does. row is
 * used for reading. */
const char *query_facts_differ(
	sqlite3_stmt *facts, const struct query_event *event, struct row *row);

/* Tells each table of the attached day's sums that is not the sum of its events. 0; -EIO with why; or what
 * tell returned. */
int query_facts_sums(struct query *query,
	int (*tell)(void *context, const char *table), void *context,
	struct why *why);

#endif
