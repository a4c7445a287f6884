/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The chains of a store, walked while its events are read one after the other, day by day. All return
 * 0, -EIO or -ENOMEM with why, or what an operation returned when that was not 0. */
#ifndef COLLECTOR_QUERY_CHAIN_H
#define COLLECTOR_QUERY_CHAIN_H

#include "collector/chain.h"
#include "collector/query_internal.h"

/* An appliance's chain, as far as it was walked on the attached day. */
struct query_chain_at {
	int64_t observer; /* number of its name, 0: none; -1: nothing was walked yet */
	struct chain_place end;
	struct keyed_link before; /* what its first event follows */
};

struct query_chain {
	struct query *query;
	struct keyed *keyed;
	const struct query_filter *filter; /* its times: days outside are not missed */
	const struct query_integrity_ops *ops;
	void *context;
	struct query_integrity *found;
	struct why *why;
	sqlite3_stmt *load, *save; /* of temp.walked */
	struct query_chain_at at;
};

/* Begins; what the anchors say is read before any event, so that it is never ahead of a day. */
int query_chain_begin(struct query_chain *chain);
/* A day begins. */
int query_chain_day(struct query_chain *chain);
/* The attached day's next event, in the order of ids. link: as stored, empty: it has none. damaged: it
 * is not what the link was made of, which was told. */
int query_chain_event(struct query_chain *chain, const struct query_event *event, int64_t observer,
	struct slice link, bool damaged);
/* All events of the attached day were told, in one view of it that still stands. chained: it has a
 * table of chains. */
int query_chain_day_end(struct query_chain *chain, bool chained);
/* All days were walked: what is between them, and what is not there at all. */
int query_chain_end(struct query_chain *chain);
void query_chain_free(struct query_chain *chain);

#endif
