/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a store is asked: the one layer under the commands and whoever else shows events. A store may
 * be asked while a collector writes to it. No answer holds a view of the store while it is taken. */
#ifndef COLLECTOR_QUERY_H
#define COLLECTOR_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"
#include "base/why.h"
#include "collector/content.h"
#include "collector/keyed.h"

#define QUERY_BY_MAX 6

struct query;

/* NULL, 0 or false: any. Texts are compared exactly. */
struct query_filter {
	const char *model, *host, *operation, *outcome, *action, *error, *kind, *user, *backend,
		*subject, *event_id;
	struct prefix source; /* with has_source */
	bool has_source;
	bool completions;	     /* chat and text completions only */
	uint64_t since_ns, until_ns; /* CLOCK_REALTIME; until is exclusive … */
	int64_t before_id;	     /* … but of that moment, events below this id: where a page ended */
	int64_t status;
	int64_t attempts; /* of sending it to an origin: so many at least */
};

/* Opens a store for reading. NULL with why. */
struct query *query_open(const char *path, struct why *why);
void query_close(struct query *query);
/* The longest that one question may work, in ns; 0: as long as it takes. 10 s at first. */
void query_patience(struct query *query, uint64_t ns);

/* All questions return 0; -EIO with why, also when their time was over; or what row returned when
 * that was not 0. */

/* Tokens by columns. */
struct query_usage {
	struct slice by[QUERY_BY_MAX]; /* empty: the events have none */
	size_t nby;
	uint64_t calls, input_tokens, output_tokens, total_tokens;
	double average_total; /* of the calls that have a usage */
};
/* "ip", "model", "family" …: whether usage can be given by it; query_by_names lists them. */
bool query_by_known(const char *name);
extern const char query_by_names[];
/* Calls, most tokens first; limit 0: all rows. by are names that query_by_known. *total is of all
 * rows, those beyond the limit included, and *rows is their number. The filter's kind has no
 * meaning here. */
int query_usage(struct query *query, const char *const *by, size_t nby,
	const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_usage *usage), void *context,
	struct query_usage *total, uint64_t *rows, struct why *why);

struct query_event {
	int64_t id; /* ascends in the order of storing */
	uint64_t time_ns;
	struct slice event_id, kind, source_ip, host, operation, model, outcome, error_type,
		usage_source;
	int64_t status;
	uint64_t input_tokens, output_tokens;
	uint64_t duration_ns;		     /* from the first byte to the last; 0: not told */
	struct slice content[CONTENT_KINDS]; /* JSON */
	struct slice record; /* msgpack map: all of it but content */
	bool conflict;	     /* another event has its identity: one of them is forged */
	int64_t digest;	     /* keyed, of its time, record and content */
};
/* Newest first, by the time of the events. limit 0: all. */
int query_events(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context, struct why *why);
/* Those that took longest, the slowest first; limit is more than 0. */
int query_slowest(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context, struct why *why);
/* Follows a store: at first from the last n events on, and with each call from where the last one
 * ended; of one day in the order of storing. Times of the filter are not looked at. */
int query_follow_begin(struct query *query, uint64_t n, struct why *why);
int query_follow(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context, struct why *why);

/* Events whose content has all the words in one block of it, the newest first. A word may be several
 * in their order ("a phrase"), or end in * after three letters or more. A text that is sent again and
 * again (a history) is found where an address sent it first on each day. -EINVAL with why: words in which nothing is to be found. *lag tells what the index
 * has not taken in yet. */
struct query_lag {
	uint64_t events;   /* that cannot be found yet; 0: none */
	uint64_t until_ns; /* the time of the last that can */
};
int query_search(struct query *query, const char *const *words, size_t nwords,
	const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context,
	struct query_lag *lag, struct why *why);

/* Whether the store is as it was written, and whole: the days between the filter's times, each event
 * of them against its keyed digest and its link to the one before; the ends of the chains against
 * what the anchors say; and the numbers of each stream of an appliance, which follow each other from
 * 1. All operations tell what is wrong, as it is found; head tells where each chain ends. */
struct query_integrity {
	uint64_t events, damaged, conflicts;
	uint64_t chains, chained, broken; /* chains of a day, their events, and what is wrong with them */
	uint64_t unchained;		  /* events of before there were chains */
	uint64_t retired;		  /* events of chains whose days were removed by --retain */
	uint64_t streams, missing, twice; /* numbers of events that are not there, or there twice */
	uint64_t removed; /* numbers before the first that is there */
};
struct query_gap {
	struct slice observer, epoch;
	int64_t stream, first, last; /* numbers that are missing; of twice: the one */
	bool twice;		     /* on two days */
};
/* The last event of an appliance's chain. */
struct query_head {
	struct slice observer;
	int32_t day;
	int64_t id;
	struct keyed_link link;
};
struct query_integrity_ops {
	int (*damaged)(void *context, const char *what); /* NULL: events are not read, only numbers */
	int (*broken)(void *context, const char *what);
	int (*head)(void *context, const struct query_head *head);
	int (*gap)(void *context, const struct query_gap *gap);
};
int query_verify(struct query *query, const struct query_filter *filter,
	const struct query_integrity_ops *ops, void *context, struct query_integrity *found,
	struct why *why);
/* Whether a head that was told once, whose observer does not matter, is in the store still: 1; 0: it is
 * not; -ENOENT: its day was removed by --retain, and nothing is known of it; -EIO with why. */
int query_has_head(struct query *query, const struct query_head *head, struct why *why);

/* Copies the store to a directory, which is made for it, while a collector may write to the store: each
 * day as it is in one moment, and the key. The index is made anew where it is used. *days counts the
 * files. A copy that failed stays where it is. */
int query_backup(struct query *query, const char *to, uint64_t *days, struct why *why);

/* How often each value is there among the newest events that the filter leaves, at most sample of
 * them: per field, the most frequent first, at most top of each. *sampled counts the events. */
struct query_facet {
	const char *field; /* as the filter calls it */
	struct slice value;
	uint64_t events;
};
int query_facets(struct query *query, const struct query_filter *filter, uint64_t sample,
	unsigned top, int (*row)(void *context, const struct query_facet *facet), void *context,
	uint64_t *sampled, struct why *why);

/* What a call belongs to: a conversation is sent again with each call of it, so that the messages of
 * one call stand at the beginning of the next, from the same address. Empty: there is none within
 * the calls of that day that were looked at. */
struct query_neighbours {
	struct buf before, after; /* event ids; the caller's to free */
	size_t shared;		  /* messages of the one before, which this begins with */
};
int query_neighbours(struct query *query, const struct query_event *event,
	struct query_neighbours *neighbours, struct why *why);

/* Calls of an address, of one day, that begin with the messages of the same call: the newest conversation
 * first, of at most limit. *cut: there are more calls than were looked at. */
struct query_conversation {
	struct slice event_id;	      /* of its last call */
	struct slice model, question; /* of that; and the last message of the call that began it */
	struct address source;
	bool has_source;
	uint64_t first_ns, last_ns, calls, messages, input_tokens, output_tokens;
};
int query_conversations(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_conversation *conversation), void *context,
	bool *cut, struct why *why);

/* The files of a store, oldest day first. */
struct query_day_state {
	struct slice day; /* 2026-01-31 */
	uint64_t events, unindexed, conflicts;
	uint64_t bytes, index_bytes; /* with their logs */
	uint64_t last_ns;	     /* the time of the event that was stored last */
};
int query_days(struct query *query,
	int (*row)(void *context, const struct query_day_state *day), void *context,
	struct why *why);

/* What a source address had done in all when it was told last. */
struct query_source {
	uint64_t time_ns;
	struct slice observer, source_ip;
	uint64_t packets, bytes, packets_received, bytes_received;
	uint64_t syns, opened, active, steered, passed;
	struct slice drops;  /* JSON object of reasons; empty: none */
	struct slice record; /* of the source.summary event */
};
/* The last summary of each source address and appliance, most bytes (both ways) first. Of the filter
 * only source and the times count. limit 0: all. */
int query_sources(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_source *source), void *context,
	struct why *why);

#endif
