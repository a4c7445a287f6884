// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "collector/query_internal.h"

/* X(field, column of day.event, text of k) */
#define FACETS(X)                                                                                  \
	X("action", "action", QUERY_NAME_OF("k"))                                                  \
	X("outcome", "outcome", QUERY_NAME_OF("k"))                                                \
	X("status", "status", "k")                                                                 \
	X("error", "error_type", QUERY_NAME_OF("k"))                                               \
	X("model", "model", QUERY_NAME_OF("k"))                                                    \
	X("operation", "operation", QUERY_NAME_OF("k"))                                            \
	X("ip", "source", "address(k)")                                                            \
	X("subject", "subject", QUERY_NAME_OF("k"))                                                \
	X("user", "request_user", QUERY_NAME_OF("k"))                                              \
	X("host", "host", QUERY_NAME_OF("k"))                                                      \
	X("backend", "backend", QUERY_NAME_OF("k"))

static const struct facet {
	const char *field, *column, *text;
} facets[] = {
#define FACET(field, column, text) {field, column, text},
	FACETS(FACET)
#undef FACET
};
#define FACETS_N (sizeof(facets) / sizeof(facets[0]))

/* The newest events of a window of the attached day into temp.sample; *left goes down by them. */
static int facets_sample_window(struct query *query, const struct query_filter *filter,
	const struct query_window *window, uint64_t *left, struct why *why)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *statement = NULL;
	int error = buf_printf(&sql, "INSERT INTO temp.sample SELECT "
#define FACET(field, column, text) column ", "
		FACETS(FACET) "0 FROM day.event"
#undef FACET
	);

	if (!error)
		error = query_where(&sql, filter);
	if (!error)
		error = buf_printf(&sql,
			" AND time_ns >= :since AND time_ns < :until"
			" ORDER BY time_ns DESC LIMIT %llu",
			(unsigned long long)*left);
	if (error)
		error = why_set(why, ENOMEM, "out of memory");
	else
		error = query_prepare(query, &sql, filter, &statement, why);
	if (!error) {
		query_bind_number(statement, ":since", (int64_t)window->since_ns);
		query_bind_number(statement, ":until", (int64_t)window->before_ns);
		if (sqlite3_step(statement) != SQLITE_DONE)
			error = query_error(query, why);
		else
			*left -= (uint64_t)sqlite3_changes(query->database);
	}
	sqlite3_finalize(statement);
	buf_free(&sql);
	return error;
}

/* Names are numbers of one day: what they are is added up as text. */
static int facets_add(struct query *query, struct why *why)
{
	int error = 0;

	for (size_t i = 0; i < FACETS_N && !error; i++) {
		struct buf sql = BUF_EMPTY;

		error = buf_printf(&sql,
			"INSERT INTO temp.facet SELECT %zu, %s, n FROM"
			" (SELECT %s AS k, count(*) AS n FROM temp.sample GROUP BY 1)"
			" WHERE k IS NOT NULL"
			" ON CONFLICT(field, value) DO UPDATE SET n = n + excluded.n%c",
			i, facets[i].text, facets[i].column, '\0');
		error = error ? why_set(why, ENOMEM, "out of memory")
			      : query_execute(query, buf_slice(&sql).data, why);
		buf_free(&sql);
	}
	return error ? error : query_execute(query, "DELETE FROM temp.sample", why);
}

static int facets_day(struct query *query, int32_t day, const struct query_filter *filter,
	uint64_t *left, struct why *why)
{
	struct query_window window;
	uint32_t hours = 0;
	int error = query_attach(query, day, why);

	if (error)
		return error == -ENOENT ? 0 : error;
	error = query_hours(query, filter, &hours, why);
	while (!error && *left && query_next_hours(day, &hours, filter, &window))
		error = facets_sample_window(query, filter, &window, left, why);
	if (!error)
		error = facets_add(query, why);
	query_detach(query);
	return error;
}

static int facets_tell(struct query *query, unsigned top,
	int (*row)(void *context, const struct query_facet *facet), void *context, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int step = SQLITE_DONE, error = 0;

	if (sqlite3_prepare_v2(query->database,
		    "SELECT field, value, n FROM (SELECT *, row_number() OVER"
		    " (PARTITION BY field ORDER BY n DESC, value) AS place FROM temp.facet)"
		    " WHERE place <= ? ORDER BY field, place",
		    -1, &statement, NULL) != SQLITE_OK)
		return query_error(query, why);
	sqlite3_bind_int64(statement, 1, top);
	while (!error && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		struct query_facet facet = {
			.field = facets[(size_t)sqlite3_column_int64(statement, 0) % FACETS_N].field,
			.value = query_text(statement, 1),
			.events = query_count(statement, 2)};

		error = row(context, &facet);
	}
	if (!error && step != SQLITE_DONE)
		error = query_error(query, why);
	sqlite3_finalize(statement);
	return error;
}

int query_facets(struct query *query, const struct query_filter *filter, uint64_t sample,
	unsigned top, int (*row)(void *context, const struct query_facet *facet), void *context,
	uint64_t *sampled, struct why *why)
{
	uint64_t left = sample;
	size_t from, to;
	int error = query_begin(query, why);

	if (!error)
		error = query_execute(query,
			"DROP TABLE IF EXISTS temp.sample; DROP TABLE IF EXISTS temp.facet;"
			"CREATE TEMP TABLE sample("
#define FACET(field, column, text) column ", "
			FACETS(FACET) "filler);"
#undef FACET
			"CREATE TEMP TABLE facet(field INTEGER, value TEXT, n INTEGER,"
			" PRIMARY KEY(field, value)) WITHOUT ROWID",
			why);
	query_range(query, filter, &from, &to);
	while (!error && to > from && left)
		error = facets_day(query, query->days[--to], filter, &left, why);
	*sampled = sample - left;
	return error ? error : facets_tell(query, top, row, context, why);
}
