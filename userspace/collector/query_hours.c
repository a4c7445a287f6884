// SPDX-License-Identifier: GPL-2.0-or-later
/* Which hours of a day are worth reading: sums tell what there was in each. */
#include <errno.h>
#include <string.h>

#include "collector/layout.h"
#include "collector/query_internal.h"

/* A condition of the filter that a table of sums can answer. */
struct hours_condition {
	const char *value; /* NULL: not asked for */
	const char *column;
	const char *parameter;
};

/* Whether a name of the filter is in the attached day at all; no event has one that is not. */
static bool hours_knows(struct query *query, const char *name)
{
	sqlite3_stmt *ask = NULL;
	bool knows = true;

	if (!name)
		return true;
	if (sqlite3_prepare_v2(query->database, "SELECT 1 FROM day.name WHERE text = ?", -1, &ask,
		    NULL) == SQLITE_OK) {
		sqlite3_bind_text(ask, 1, name, -1, SQLITE_STATIC);
		knows = sqlite3_step(ask) != SQLITE_DONE;
	}
	sqlite3_finalize(ask);
	return knows;
}

static uint32_t hours_bits(sqlite3_stmt *rows)
{
	uint32_t bits = 0;

	while (sqlite3_step(rows) == SQLITE_ROW)
		bits |= 1u << sqlite3_column_int64(rows, 0) % 24;
	return bits;
}

/* The hours that a table of sums has with all of the conditions that are asked for; all of them when none
 * is, or the table is not there. */
static int hours_of(struct query *query, const struct query_filter *filter, const char *table,
	const struct hours_condition *conditions, size_t n, uint32_t *hours, struct why *why)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *rows = NULL;
	bool asked = false;
	int error = buf_printf(&sql, "SELECT DISTINCT hour FROM day.%s WHERE 1", table);

	for (size_t i = 0; i < n && !error; i++) {
		if (!conditions[i].value)
			continue;
		asked = true;
		error = buf_printf(&sql, " AND %s = (SELECT id FROM day.name WHERE text = :%s)",
			conditions[i].column, conditions[i].parameter);
	}
	if (!error && filter->status && strcmp(table, "hourly_verdict") == 0) {
		asked = true;
		error = buf_printf(&sql, " AND status = :status");
	}
	if (error)
		error = why_set(why, ENOMEM, "out of memory");
	else if (asked && query_prepare(query, &sql, filter, &rows, NULL) == 0)
		*hours &= hours_bits(rows);
	sqlite3_finalize(rows);
	buf_free(&sql);
	return error;
}

/* An event in conflict counts nowhere. */
static uint32_t hours_of_conflicts(struct query *query)
{
	sqlite3_stmt *rows = NULL;
	uint32_t bits = 0;

	if (sqlite3_prepare_v2(query->database,
		    "SELECT time_ns / 3600000000000 FROM day.event WHERE conflict IS NOT NULL", -1,
		    &rows, NULL) == SQLITE_OK)
		bits = hours_bits(rows);
	sqlite3_finalize(rows);
	return bits;
}

int query_hours(struct query *query, const struct query_filter *filter, uint32_t *hours,
	struct why *why)
{
	const struct hours_condition calls[] = {{filter->operation, "operation", "operation"},
		{filter->outcome, "outcome", "outcome"}, {filter->backend, "backend", "backend"}};
	const struct hours_condition verdicts[] = {
		{filter->action, "action", "action"}, {filter->error, "error_type", "error"}};
	const struct hours_condition users[] = {{filter->user, "request_user", "user"}};
	const struct hours_condition subjects[] = {{filter->subject, "subject", "subject"}};
	const char *const names[] = {filter->model, filter->host, filter->subject, filter->operation, filter->outcome,
		filter->action, filter->error, filter->user, filter->backend, filter->kind};
	int error;

	*hours = QUERY_ALL_HOURS;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (hours_knows(query, names[i]))
			continue;
		*hours = 0;
		return 0;
	}
	/* Sums are of calls alone. */
	if (!filter->kind || strcmp(filter->kind, "exchange") != 0)
		return 0;
	error = hours_of(query, filter, "hourly", calls, 3, hours, why);
	if (!error)
		error = hours_of(query, filter, "hourly_verdict", verdicts, 2, hours, why);
	if (!error)
		error = hours_of(query, filter, "hourly_user", users, 1, hours, why);
	if (!error)
		error = hours_of(query, filter, "hourly_subject", subjects, 1, hours, why);
	if (*hours != QUERY_ALL_HOURS)
		*hours |= hours_of_conflicts(query);
	return error;
}

bool query_next_hours(
	int32_t day, uint32_t *hours, const struct query_filter *filter, struct query_window *window)
{
	int last = 23, first;

	while (last >= 0 && !(*hours & 1u << last))
		last--;
	if (last < 0)
		return false;
	for (first = last; first > 0 && *hours & 1u << (first - 1); first--)
		;
	*hours &= (1u << first) - 1;
	*window = (struct query_window){
		.since_ns = query_day_ns(day) + (unsigned)first * LAYOUT_NS_PER_HOUR,
		.before_ns = query_day_ns(day) + (unsigned)(last + 1) * LAYOUT_NS_PER_HOUR};
	if (filter->since_ns > window->since_ns)
		window->since_ns = filter->since_ns;
	if (filter->until_ns && filter->until_ns <= window->before_ns) {
		window->before_ns = filter->until_ns;
		window->before_id = filter->before_id;
	}
	return true;
}
