// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "collector/query_internal.h"

struct slowest {
	struct query *query;
	const struct query_filter *filter;
	int64_t limit;
	struct why *why;
};

/* The slowest of the attached day into temp.slow, which keeps the slowest of all. */
static int slowest_of_day(const struct slowest *s, int32_t day)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *statement = NULL;
	int error = buf_printf(&sql,
		"INSERT INTO temp.slow SELECT :day, event.id, duration_ns FROM day.event");

	if (!error)
		error = query_where(&sql, s->filter);
	if (!error)
		error = buf_printf(&sql,
			" AND duration_ns IS NOT NULL AND time_ns >= :since AND time_ns < :until"
			" ORDER BY duration_ns DESC LIMIT :limit");
	if (error)
		error = why_set(s->why, ENOMEM, "out of memory");
	else
		error = query_prepare(s->query, &sql, s->filter, &statement, s->why);
	if (!error) {
		query_bind_number(statement, ":day", day);
		query_bind_number(statement, ":limit", s->limit);
		query_bind_number(statement, ":since", (int64_t)s->filter->since_ns);
		query_bind_number(statement, ":until",
			s->filter->until_ns ? (int64_t)s->filter->until_ns : INT64_MAX);
		if (sqlite3_step(statement) != SQLITE_DONE)
			error = query_error(s->query, s->why);
	}
	sqlite3_finalize(statement);
	buf_clear(&sql);
	if (!error && buf_printf(&sql,
			      "DELETE FROM temp.slow WHERE rowid NOT IN (SELECT rowid FROM temp.slow"
			      " ORDER BY duration DESC LIMIT %lld)%c",
			      (long long)s->limit, '\0') < 0)
		error = why_set(s->why, ENOMEM, "out of memory");
	if (!error)
		error = query_execute(s->query, buf_slice(&sql).data, s->why);
	buf_free(&sql);
	return error;
}

/* Which event is the n-th. -ENOENT: there are not so many. */
static int slowest_which(const struct slowest *s, int64_t n, int32_t *day, int64_t *event)
{
	sqlite3_stmt *statement = NULL;
	int step = SQLITE_ERROR;

	if (sqlite3_prepare_v2(s->query->database,
		    "SELECT day, event FROM temp.slow ORDER BY duration DESC, event DESC LIMIT 1 OFFSET ?",
		    -1, &statement, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(statement, 1, n);
		step = sqlite3_step(statement);
	}
	if (step == SQLITE_ROW) {
		*day = sqlite3_column_int(statement, 0);
		*event = sqlite3_column_int64(statement, 1);
	}
	sqlite3_finalize(statement);
	return step == SQLITE_ROW ? 0 : step == SQLITE_DONE ? -ENOENT : query_error(s->query, s->why);
}

/* Reads one event; -ENOENT: its day went away meanwhile. */
static int slowest_read(
	const struct slowest *s, int32_t day, int64_t event, struct query_row *row)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *rows = NULL, *blocks = NULL;
	int error = query_attach(s->query, day, s->why);

	if (error)
		return error;
	error = buf_printf(&sql, "%s WHERE event.id = :id", query_event_columns) < 0
			? why_set(s->why, ENOMEM, "out of memory")
			: query_prepare(s->query, &sql, s->filter, &rows, s->why);
	if (!error && sqlite3_prepare_v2(s->query->database, "SELECT data FROM day.block WHERE id = ?",
			      -1, &blocks, NULL) != SQLITE_OK)
		error = query_error(s->query, s->why);
	if (!error) {
		query_bind_number(rows, ":id", event);
		error = sqlite3_step(rows) == SQLITE_ROW
				? query_row_read(s->query, row, rows, blocks, s->why)
				: -ENOENT;
	}
	sqlite3_finalize(rows);
	sqlite3_finalize(blocks);
	query_detach(s->query);
	buf_free(&sql);
	return error;
}

int query_slowest(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context, struct why *why)
{
	const struct slowest s = {query, filter, limit < INT32_MAX ? (int64_t)limit : INT32_MAX, why};
	struct query_row found = {0};
	size_t from, to;
	int error = query_begin(query, why);

	if (!error)
		error = query_execute(query,
			"DROP TABLE IF EXISTS temp.slow;"
			"CREATE TEMP TABLE slow(day INTEGER, event INTEGER, duration INTEGER)",
			why);
	query_range(query, filter, &from, &to);
	for (; from < to && !error; from++) {
		error = query_attach(query, query->days[from], why);
		if (!error) {
			error = slowest_of_day(&s, query->days[from]);
			query_detach(query);
		} else if (error == -ENOENT) {
			error = 0;
		}
	}
	for (int64_t n = 0; n < s.limit && !error; n++) {
		int64_t event = 0;
		int32_t day = 0;

		error = slowest_which(&s, n, &day, &event);
		if (error)
			break;
		error = slowest_read(&s, day, event, &found);
		if (!error) {
			query_row_point(&found);
			error = row(context, &found.event);
		} else if (error == -ENOENT) {
			error = 0;
		}
	}
	buf_wipe(&found.text);
	return error == -ENOENT ? 0 : error;
}
