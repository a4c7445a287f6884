// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/layout.h"
#include "collector/query_internal.h"

/* What usage is given by. X("name", as text, in rows, in hourly sums, in those of verdicts, in those of
 * users, in those of subjects, in daily
 * sums, in those of sources by the hour): the first makes a text of what was grouped by, the others are SQL that groups
 * (NULL: the sums do not tell). */
#define QUERY_BY(X)                                                                                \
	X("ip", "address(k)", "source", NULL, NULL, NULL, NULL, "source", "source")                \
	X("subject", QUERY_NAME_OF("k"), "subject", NULL, NULL, NULL, "subject", NULL, NULL)       \
	X("model", QUERY_NAME_OF("k"), "model", "model", NULL, NULL, "model", "model", "model")    \
	X("family", "family(" QUERY_NAME_OF("k") ")", "model", "model", NULL, NULL, "model",       \
		"model", "model")                                                                  \
	X("deployment", QUERY_NAME_OF("k"), "deployment", NULL, NULL, NULL, "deployment", NULL,    \
		NULL)                                                                              \
	X("tier", QUERY_NAME_OF("k"), "tier", NULL, NULL, NULL, "tier", NULL, NULL)                \
	X("operation", QUERY_NAME_OF("k"), "operation", "operation", NULL, NULL, NULL, NULL, NULL) \
	X("outcome", QUERY_NAME_OF("k"), "outcome", "outcome", NULL, NULL, NULL, NULL, NULL)       \
	X("action", QUERY_NAME_OF("k"), "action", NULL, "action", NULL, NULL, NULL, NULL)          \
	X("rule", QUERY_NAME_OF("k"), "rule", NULL, NULL, NULL, NULL, NULL, NULL)                  \
	X("error", QUERY_NAME_OF("k"), "error_type", NULL, "error_type", NULL, NULL, NULL, NULL)   \
	X("provider", QUERY_NAME_OF("k"), "provider", NULL, NULL, NULL, NULL, NULL, NULL)          \
	X("host", QUERY_NAME_OF("k"), "host", NULL, NULL, NULL, NULL, NULL, NULL)                  \
	X("backend", QUERY_NAME_OF("k"), "backend", "backend", NULL, NULL, NULL, NULL, NULL)       \
	X("user", QUERY_NAME_OF("k"), "request_user", NULL, NULL, "request_user", NULL, NULL,      \
		NULL)                                                                              \
	X("observer", QUERY_NAME_OF("k"), "observer", NULL, NULL, NULL, NULL, NULL, NULL)          \
	X("source", QUERY_NAME_OF("k"), "usage_source", NULL, NULL, NULL, NULL, NULL, NULL)        \
	X("status", "k", "status", NULL, "nullif(status, 0)", "nullif(status, 0)", NULL, NULL,     \
		NULL)                                                                              \
	X("attempts", "k", "attempts", NULL, NULL, NULL, NULL, NULL, NULL)                         \
	X("day", "strftime('%Y-%m-%d', k * 86400, 'unixepoch')", "time_ns / 86400000000000",       \
		"hour / 24", "hour / 24", "hour / 24", "hour / 24", ":day", "hour / 24")           \
	X("hour", "strftime('%Y-%m-%dT%H:00Z', k * 3600, 'unixepoch')",                            \
		"time_ns / 3600000000000", "hour", "hour", "hour", "hour", NULL, "hour")           \
	X("minute", "strftime('%Y-%m-%dT%H:%MZ', k * 60, 'unixepoch')", "time_ns / 60000000000",   \
		NULL, NULL, NULL, NULL, NULL, NULL)

enum query_plan { PLAN_ROWS, PLAN_HOURLY, PLAN_VERDICT, PLAN_USER, PLAN_SUBJECT, PLAN_DAILY, PLAN_SOURCE,
	PLANS };

struct query_column {
	const char *name;
	const char *text;
	const char *group[PLANS];
};

static const struct query_column query_columns[] = {
#define QUERY_COLUMN(name, text, ...) {name, text, {__VA_ARGS__}},
	QUERY_BY(QUERY_COLUMN)
#undef QUERY_COLUMN
};

const char query_by_names[] =
#define QUERY_NAME(name, ...) " " name
	QUERY_BY(QUERY_NAME)
#undef QUERY_NAME
	;

static const struct query_column *query_column(const char *name)
{
	for (size_t i = 0; i < sizeof(query_columns) / sizeof(query_columns[0]); i++)
		if (strcmp(query_columns[i].name, name) == 0)
			return &query_columns[i];
	return NULL;
}

bool query_by_known(const char *name)
{
	return query_column(name) != NULL;
}

struct query_summing {
	struct query *query;
	struct query_filter filter;
	const struct query_column *by[QUERY_BY_MAX];
	size_t nby;
	struct why *why;
};

/* The sums that tell what is asked for, those with few rows first, or PLAN_ROWS: none of them. */
static enum query_plan query_plan(const struct query_summing *s)
{
	const struct query_filter *f = &s->filter;
	bool done = f->completions && f->outcome && strcmp(f->outcome, "success") == 0;
	bool ended = f->completions || f->outcome, called = f->operation || f->backend;
	bool denied = f->action || f->error || f->subject || f->attempts;
	bool may[PLANS] = {
		[PLAN_VERDICT] = !f->has_source && !ended && !called && !f->user && !f->subject &&
				 !f->attempts,
		[PLAN_HOURLY] = !f->has_source && !denied && !f->status && !f->user,
		[PLAN_USER] = !f->has_source && !ended && !called && !denied,
		[PLAN_SUBJECT] = !f->has_source && !ended && !called && !f->action && !f->error &&
				 !f->attempts && !f->status && !f->user,
		[PLAN_DAILY] = !called && !denied && !f->status && !f->user && (done || !ended)};

	static const enum query_plan order[] = {
		PLAN_VERDICT, PLAN_HOURLY, PLAN_USER, PLAN_DAILY, PLAN_SUBJECT, PLAN_SOURCE};


	may[PLAN_SOURCE] = may[PLAN_DAILY];
	if (f->model || f->host || f->event_id)
		return PLAN_ROWS;
	for (size_t i = 0; i < s->nby; i++)
		for (int plan = 0; plan < PLANS; plan++)
			may[plan] = may[plan] && s->by[i]->group[plan];
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (may[order[i]])
			return order[i];
	return PLAN_ROWS;
}

/* "GROUPED AS k0, …, sums FROM … WHERE …": the inner question. */
static int query_inner(struct buf *sql, const struct query_summing *s, enum query_plan plan)
{
	static const char *const tables[PLANS] = {[PLAN_ROWS] = "event",
		[PLAN_HOURLY] = "hourly",
		[PLAN_VERDICT] = "hourly_verdict",
		[PLAN_USER] = "hourly_user",
		[PLAN_SUBJECT] = "hourly_subject",
		[PLAN_DAILY] = "daily",
		[PLAN_SOURCE] = "hourly_source"};
	const char *sums = plan == PLAN_ROWS
				   ? "count(*) AS calls, count(total_tokens) AS counted,"
				     " total(input_tokens) AS input, total(output_tokens) AS output,"
				     " total(total_tokens) AS total"
				   : "sum(calls) AS calls, sum(counted) AS counted,"
				     " sum(input_tokens) AS input, sum(output_tokens) AS output,"
				     " sum(total_tokens) AS total";
	const char *times =
		plan == PLAN_ROWS ? " AND conflict IS NULL AND time_ns >= :from AND time_ns < :to"
		: plan == PLAN_DAILY
			? ""
			: " AND hour >= :from / 3600000000000 AND hour < :to / 3600000000000";
	struct query_filter filter = s->filter;
	int error = buf_printf(sql, "SELECT ");

	for (size_t i = 0; i < s->nby && !error; i++)
		error = buf_printf(sql, "%s AS k%zu, ", s->by[i]->group[plan], i);
	if (!error)
		error = buf_printf(sql, "%s FROM day.%s", sums, tables[plan]);
	if (plan != PLAN_ROWS)
		filter.kind = NULL;
	if (plan == PLAN_DAILY || plan == PLAN_SOURCE) {
		if (filter.completions && !error)
			error = buf_printf(sql, " WHERE done = 1%s",
				filter.has_source ? " AND source BETWEEN :low AND :high" : "");
		else if (!error)
			error = buf_printf(sql, " WHERE 1%s",
				filter.has_source ? " AND source BETWEEN :low AND :high" : "");
	} else if (!error) {
		error = query_where(sql, &filter);
	}
	if (!error)
		error = buf_printf(sql, "%s", times);
	for (size_t i = 0; i < s->nby && !error; i++)
		error = buf_printf(sql, "%s k%zu", i ? "," : " GROUP BY", i);
	return error;
}

/* Adds what the plan tells of the attached day between two times to temp.usage. */
static int query_add(const struct query_summing *s, enum query_plan plan, int32_t day,
	uint64_t from_ns, uint64_t to_ns)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *statement = NULL;
	int error = buf_printf(&sql, "INSERT INTO temp.usage SELECT ");

	if (from_ns >= to_ns) {
		buf_free(&sql);
		return 0;
	}
	for (size_t i = 0; i < QUERY_BY_MAX && !error; i++) {
		/* The grouped value is called k where a text is made of it. */
		error = i < s->nby ? buf_printf(&sql,
					     "coalesce((SELECT %s FROM (SELECT k%zu AS k)), ''), ",
					     s->by[i]->text, i)
				   : buf_printf(&sql, "'', ");
	}
	if (!error)
		error = buf_printf(&sql, "calls, counted, input, output, total FROM (");
	if (!error)
		error = query_inner(&sql, s, plan);
	if (!error)
		error = buf_printf(&sql,
			") WHERE calls > 0 ON CONFLICT(k0, k1, k2, k3, k4, k5) DO UPDATE SET"
			" calls = calls + excluded.calls, counted = counted + excluded.counted,"
			" input = input + excluded.input, output = output + excluded.output,"
			" total = total + excluded.total");
	if (error)
		error = why_set(s->why, ENOMEM, "out of memory");
	else
		error = query_prepare(s->query, &sql, &s->filter, &statement, s->why);
	if (!error) {
		query_bind_number(statement, ":from", (int64_t)from_ns);
		query_bind_number(statement, ":to", (int64_t)to_ns);
		query_bind_number(statement, ":day", day);
		if (sqlite3_step(statement) != SQLITE_DONE)
			error = query_error(s->query, s->why);
	}
	sqlite3_finalize(statement);
	buf_free(&sql);
	return error;
}

/* Whether the attached day has the sums: one that was written before they were has not. */
static bool query_has_table(const struct query_summing *s, enum query_plan plan)
{
	static const char *const asks[PLANS] = {
		[PLAN_VERDICT] = "SELECT 1 FROM day.hourly_verdict",
		[PLAN_USER] = "SELECT 1 FROM day.hourly_user",
		[PLAN_SUBJECT] = "SELECT 1 FROM day.hourly_subject",
		[PLAN_SOURCE] = "SELECT 1 FROM day.hourly_source"};
	sqlite3_stmt *statement = NULL;
	bool has = !asks[plan] || sqlite3_prepare_v2(s->query->database, asks[plan], -1, &statement,
					  NULL) == SQLITE_OK;

	sqlite3_finalize(statement);
	return has;
}

/* One day: what its sums tell as a whole, and the rest of its rows. */
static int query_add_day(const struct query_summing *s, enum query_plan plan, int32_t day)
{
	uint64_t begin = query_day_ns(day), end = query_day_ns(day + 1), from = begin, to = end;
	uint64_t grain, low, high;
	int error;

	if (s->filter.since_ns > from)
		from = s->filter.since_ns;
	if (s->filter.until_ns && s->filter.until_ns < to)
		to = s->filter.until_ns;
	/* Of a part of a day the hours of its sources tell. */
	if (plan == PLAN_DAILY && (from > begin || to < end))
		plan = PLAN_SOURCE;
	if (!query_has_table(s, plan))
		plan = PLAN_ROWS;
	grain = plan == PLAN_DAILY ? LAYOUT_NS_PER_DAY : LAYOUT_NS_PER_HOUR;
	low = (from + grain - 1) / grain * grain;
	high = to / grain * grain;
	if (plan == PLAN_ROWS || low >= high)
		return query_add(s, PLAN_ROWS, day, from, to);
	error = query_add(s, PLAN_ROWS, day, from, low);
	if (!error)
		error = query_add(s, plan, day, low, high);
	return error ? error : query_add(s, PLAN_ROWS, day, high, to);
}

static int query_sum_days(const struct query_summing *s)
{
	enum query_plan plan = query_plan(s);
	size_t from, to;
	int error = query_execute(s->query,
		"DROP TABLE IF EXISTS temp.usage;"
		"CREATE TEMP TABLE usage(k0 TEXT, k1 TEXT, k2 TEXT, k3 TEXT, k4 TEXT, k5 TEXT,"
		" calls REAL, counted REAL, input REAL, output REAL, total REAL,"
		" PRIMARY KEY(k0, k1, k2, k3, k4, k5)) WITHOUT ROWID",
		s->why);

	query_range(s->query, &s->filter, &from, &to);
	for (; from < to && !error; from++) {
		error = query_attach(s->query, s->query->days[from], s->why);
		if (error == -ENOENT) {
			error = 0;
			continue;
		}
		if (!error)
			error = query_add_day(s, plan, s->query->days[from]);
		query_detach(s->query);
	}
	return error;
}

/* Columns from at on. */
static void query_usage_read(sqlite3_stmt *statement, int at, struct query_usage *usage)
{
	double counted = sqlite3_column_double(statement, at + 1);

	usage->calls = query_count(statement, at);
	usage->input_tokens = query_count(statement, at + 2);
	usage->output_tokens = query_count(statement, at + 3);
	usage->total_tokens = query_count(statement, at + 4);
	usage->average_total = counted > 0 ? sqlite3_column_double(statement, at + 4) / counted : 0;
}

static int query_totals(
	struct query *query, struct query_usage *total, uint64_t *rows, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int error = 0;

	*total = (struct query_usage){0};
	if (sqlite3_prepare_v2(query->database,
		    "SELECT sum(calls), sum(counted), sum(input), sum(output), sum(total), count(*)"
		    " FROM temp.usage",
		    -1, &statement, NULL) != SQLITE_OK ||
		sqlite3_step(statement) != SQLITE_ROW) {
		error = query_error(query, why);
	} else {
		query_usage_read(statement, 0, total);
		*rows = query_count(statement, 5);
	}
	sqlite3_finalize(statement);
	return error;
}

static int query_usage_told(struct query *query, size_t nby, uint64_t limit,
	int (*row)(void *context, const struct query_usage *usage), void *context, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int step = SQLITE_DONE, error = 0;

	if (sqlite3_prepare_v2(query->database,
		    "SELECT k0, k1, k2, k3, k4, k5, calls, counted, input, output, total FROM temp.usage"
		    " ORDER BY total DESC, k0, k1, k2, k3, k4, k5 LIMIT ?",
		    -1, &statement, NULL) != SQLITE_OK)
		return query_error(query, why);
	sqlite3_bind_int64(statement, 1, limit && limit < INT64_MAX ? (int64_t)limit : -1);
	while (!error && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		struct query_usage usage = {.nby = nby};

		for (size_t i = 0; i < nby; i++)
			usage.by[i] = query_text(statement, (int)i);
		query_usage_read(statement, QUERY_BY_MAX, &usage);
		error = row(context, &usage);
	}
	if (!error && step != SQLITE_DONE)
		error = query_error(query, why);
	sqlite3_finalize(statement);
	return error;
}

int query_usage(struct query *query, const char *const *by, size_t nby,
	const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_usage *usage), void *context,
	struct query_usage *total, uint64_t *rows, struct why *why)
{
	struct query_summing s = {.query = query, .filter = *filter, .nby = nby, .why = why};
	int error = query_begin(query, why);

	s.filter.kind = "exchange";
	for (size_t i = 0; i < nby; i++)
		s.by[i] = query_column(by[i]);
	if (!error)
		error = query_sum_days(&s);
	if (!error)
		error = query_totals(query, total, rows, why);
	return error ? error : query_usage_told(query, nby, limit, row, context, why);
}
