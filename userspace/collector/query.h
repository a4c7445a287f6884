/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store is asked. */
#ifndef COLLECTOR_QUERY_H
#define COLLECTOR_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"

#define QUERY_BY_MAX 6

struct query;

/* NULL or 0: any. Texts are compared exactly. */
struct query_filter {
	const char *source_ip, *model, *host, *operation, *outcome, *kind, *user, *event_id;
	uint64_t since_ns, until_ns; /* CLOCK_REALTIME; until is exclusive */
	int64_t status;
	int64_t after_id;	     /* events stored after that row */
	bool completions;	     /* chat and text completions only */
};

/* Opens the store of a collector, which may be running, for reading. NULL with why. */
struct query *query_open(const char *path, struct why *why);
void query_close(struct query *query);

/* Tokens by columns. */
struct query_usage {
	struct slice by[QUERY_BY_MAX]; /* empty: the events have none */
	size_t nby;
	uint64_t calls, input_tokens, output_tokens, total_tokens;
	double average_total;	       /* of the calls that have a usage */
};
/* "ip", "model", "family" …: whether usage can be given by it; query_by_names lists them. */
bool query_by_known(const char *name);
extern const char query_by_names[];
/* Most tokens first. by are names that query_by_known. 0, or -EIO with why, or what row returned
 * when that was not 0. */
int query_usage(struct query *query, const char *const *by, size_t nby,
	const struct query_filter *filter,
	int (*row)(void *context, const struct query_usage *usage), void *context, struct why *why);

struct query_event {
	int64_t id;		/* row, ascending in the order of storing */
	uint64_t time_ns;
	struct slice kind, source_ip, host, operation, model, outcome, error_type, usage_source;
	int64_t status;
	uint64_t input_tokens, output_tokens;
	struct slice input_messages, output_messages; /* JSON */
	struct slice record;	/* msgpack map: all of it */
	bool conflict;		/* another event has its identity: one of them is forged */
};
/* limit 0: all. oldest_first: in the order of storing, else newest first by time. As query_usage. */
int query_events(struct query *query, const struct query_filter *filter, uint64_t limit,
	bool oldest_first, int (*row)(void *context, const struct query_event *event),
	void *context, struct why *why);
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
 * only source_ip and the times count. limit 0: all. As query_usage. */
int query_sources(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_source *source), void *context,
	struct why *why);
/* The last row's id, or 0. */
int query_last_id(struct query *query, int64_t *id, struct why *why);

#endif
