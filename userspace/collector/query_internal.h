/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the questions share: a connection of its own, to which one day after the other is attached
 * under the name of day. */
#ifndef COLLECTOR_QUERY_INTERNAL_H
#define COLLECTOR_QUERY_INTERNAL_H

#include <sqlite3.h>

#include "base/buf.h"
#include "base/log.h"
#include "collector/layout.h"
#include "collector/query.h"
#include "collector/squeeze.h"

#define QUERY_STEPS 20000 /* of SQLite, between two looks at the clock */

struct query_cursor {
	int32_t day;
	int64_t after;	 /* the id of its last event that was told */
	int64_t changed; /* its files, when they were looked at last */
};

struct query {
	sqlite3 *database;
	char *path;
	int32_t *days; /* that there are, ascending */
	size_t ndays;
	struct squeeze *squeeze;
	struct seal *seal; /* of the attached day, once it was needed */
	uint64_t patience_ns, until_ns; /* CLOCK_MONOTONIC; 0: no end */
	uint64_t looks; /* at the clock, one each QUERY_STEPS steps of SQLite */
	struct query_cursor *cursors;
	size_t ncursors;
	char shown[32]; /* the name of the day that is attached, for messages */
};

/* Looks which days there are, and begins the time of a question. */
int query_begin(struct query *query, struct why *why);
/* Days that may hold events between the filter's times: from and to of query->days; to is exclusive. */
void query_range(
	const struct query *query, const struct query_filter *filter, size_t *from, size_t *to);
/* When the day begins. */
uint64_t query_day_ns(int32_t day);
/* 0, or -ENOENT: it went away meanwhile, which is no failure; or -EIO with why. */
int query_attach(struct query *query, int32_t day, struct why *why);
void query_detach(struct query *query);
/* The index of the day that is attached, under the name of fts. With write it is made when there is
 * none; -ENOENT as above. */
int query_attach_index(struct query *query, int32_t day, bool write, struct why *why);
void query_detach_index(struct query *query);
/* Where the chains of all days end, under the name of anchors; -ENOENT as above. */
int query_attach_anchors(struct query *query, struct why *why);
void query_detach_anchors(struct query *query);

/* Whether a day's files have changed since it was seen. */
bool query_has_changed(struct query *query, int32_t day);
void query_was_seen(struct query *query, int32_t day);

/* The number that a question has for an answer; -1: none. */
int64_t query_number(struct query *query, const char *sql);
int query_error(struct query *query, struct why *why);
int query_execute(struct query *query, const char *sql, struct why *why);
/* Prepares, and binds what query_where named. */
int query_prepare(struct query *query, struct buf *sql, const struct query_filter *filter,
	sqlite3_stmt **statement, struct why *why);
/* Appends a condition for all that the filter asks but times: " WHERE …". */
int query_where(struct buf *sql, const struct query_filter *filter);
void query_bind_number(sqlite3_stmt *statement, const char *name, int64_t number);

struct slice query_text(sqlite3_stmt *statement, int column);
struct slice query_blob(sqlite3_stmt *statement, int column);
uint64_t query_count(sqlite3_stmt *statement, int column);
/* Appends what a blob of the attached day unpacks to. */
int query_unpack(struct query *query, struct slice packed, struct buf *out, struct why *why);

/* Texts of an event, in the order of the columns; then those that are unpacked. */
enum query_part {
	PART_EVENT_ID,
	PART_SOURCE,
	PART_KIND,
	PART_HOST,
	PART_OPERATION,
	PART_MODEL,
	PART_OUTCOME,
	PART_ERROR,
	PART_USAGE,
	PART_COLUMNS,
	PART_RECORD = PART_COLUMNS,
	PART_CONTENT,
	PARTS = PART_CONTENT + CONTENT_KINDS,
};
struct query_row {
	struct query_event event;
	struct buf text;
	size_t begin[PARTS], end[PARTS];
};

/* "SELECT … FROM day.event", what query_row_read reads. */
extern const char query_event_columns[];
/* Reads the row that the statement is at; blocks is "SELECT data FROM day.block WHERE id = ?". The
 * event's texts are there after query_row_point. -EIO with why: it is damaged. */
int query_row_read(struct query *query, struct query_row *row, sqlite3_stmt *rows,
	sqlite3_stmt *blocks, struct why *why);
void query_row_point(struct query_row *row);

/* The hours (bits, the first of the day is the lowest) of the attached day in which there may be events
 * that the filter asks for, as its sums tell. */
#define QUERY_ALL_HOURS 0xffffffu
int query_hours(struct query *query, const struct query_filter *filter, uint32_t *hours,
	struct why *why);

/* A window of times: what comes before a place in it is still wanted. */
struct query_window {
	uint64_t since_ns, before_ns;
	int64_t before_id;
};
/* The latest run of those hours that is left, within the filter's times, is taken out of them; false: none
 * is left. */
bool query_next_hours(int32_t day, uint32_t *hours, const struct query_filter *filter,
	struct query_window *window);

/* Events on their way to who asks, a page of them at a time. */
struct query_reading {
	struct query *query;
	const struct query_filter *filter;
	uint64_t left; /* events that are still wanted */
	int (*row)(void *context, const struct query_event *event);
	void *context;
	struct query_page *page;
	struct why *why;
};

/* Begins a question for at most limit events (0: all); all other members are set. */
int query_reading_begin(struct query_reading *reading, uint64_t limit);
void query_reading_end(struct query_reading *reading);
/* Tells the events of temp.hit (event, shown), whose ids are of that day, that were not shown. */
int query_read_hits(struct query_reading *reading, int32_t day);

/* The text of a name's number in a column of the attached day. */
#define QUERY_NAME_OF(column) "(SELECT text FROM day.name WHERE name.id = " column ")"

#endif
