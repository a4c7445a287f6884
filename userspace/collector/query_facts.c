// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/query_facts.h"

#include <errno.h>
#include <string.h>

/* Columns of before there were these five are in every file; theirs are empty in what was stored before. */
#define FACTS_ADDED "subject deployment tier rule attempts "

enum { FACT_SOURCE, FACT_MODEL, FACT_COLUMNS };

static const struct {
	const char *column;
	enum schema_id field;
	bool name;
} facts[] = {
#define FACT_NAME(column, field)    {#column, SCHEMA_ID_##field, true},
#define FACT_INTEGER(column, field) {#column, SCHEMA_ID_##field, false},
	LAYOUT_COLUMNS(FACT_NAME, FACT_INTEGER)
#undef FACT_NAME
#undef FACT_INTEGER
};
#define FACTS (sizeof(facts) / sizeof(facts[0]))

sqlite3_stmt *query_facts_prepare(struct query *query)
{
	static const char sql[] =
		"SELECT source, " QUERY_NAME_OF("model")
#define FACT_NAME(column, field)    ", " QUERY_NAME_OF(#column)
#define FACT_INTEGER(column, field) ", " #column
		LAYOUT_COLUMNS(FACT_NAME, FACT_INTEGER)
#undef FACT_NAME
#undef FACT_INTEGER
		" FROM day.event WHERE event.id = ?";
	sqlite3_stmt *statement = NULL;

	return sqlite3_prepare_v2(query->database, sql, -1, &statement, NULL) == SQLITE_OK ? statement
											   : NULL;
}

static bool fact_differs(sqlite3_stmt *statement, size_t i, const struct row *row)
{
	const msgpack_object *value = row->fields[facts[i].field];
	int column = FACT_COLUMNS + (int)i;
	bool stored = sqlite3_column_type(statement, column) != SQLITE_NULL;
	int64_t number = 0;

	if (!stored && strstr(FACTS_ADDED, facts[i].column))
		return false;
	if (facts[i].name)
		return !slice_equal(query_text(statement, column), row_text(value));
	if (row_number(value, &number) != stored)
		return true;
	if (facts[i].field == SCHEMA_ID_input_tokens || facts[i].field == SCHEMA_ID_output_tokens ||
		facts[i].field == SCHEMA_ID_total_tokens)
		number = layout_tokens(number);
	return stored && sqlite3_column_int64(statement, column) != number;
}

static const char *facts_of_row(sqlite3_stmt *statement, const struct row *row)
{
	struct slice source = query_blob(statement, FACT_SOURCE);

	if (source.len != (row->has_source ? sizeof(row->source.bytes) : 0) ||
		(source.len && memcmp(source.data, row->source.bytes, source.len) != 0))
		return "source";
	if (!slice_equal(query_text(statement, FACT_MODEL), row->model))
		return "model";
	for (size_t i = 0; i < FACTS; i++)
		if (fact_differs(statement, i, row))
			return facts[i].column;
	return NULL;
}

const char *query_facts_differ(
	sqlite3_stmt *statement, const struct query_event *event, struct row *row)
{
	struct forward_entry entry = {
		.time_ns = event->time_ns, .raw = event->record, .id = event->event_id};
	const char *differs = "record";
	msgpack_unpacked unpacked;

	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, event->record.data, event->record.len, NULL) ==
			MSGPACK_UNPACK_SUCCESS &&
		unpacked.data.type == MSGPACK_OBJECT_MAP) {
		entry.record = &unpacked.data;
		sqlite3_bind_int64(statement, 1, event->id);
		if (row_read(row, &entry) == 0 && sqlite3_step(statement) == SQLITE_ROW)
			differs = facts_of_row(statement, row);
		sqlite3_reset(statement);
	}
	msgpack_unpacked_destroy(&unpacked);
	return differs;
}

/* ---- sums ---- */

#define FACTS_CALLS " FROM day.event WHERE kind = 1 AND conflict IS NULL GROUP BY "
#define FACTS_COUNTS                                                                               \
	"count(*), count(total_tokens), coalesce(sum(input_tokens), 0),"                           \
	" coalesce(sum(output_tokens), 0), coalesce(sum(total_tokens), 0)"
#define FACTS_HOUR "SELECT time_ns / 3600000000000, "
#define FACTS_SOURCE                                                                               \
	"coalesce(source, x''), coalesce(model, 0), coalesce(outcome = (SELECT id FROM day.name"   \
	" WHERE text = 'success') AND operation IN (SELECT id FROM day.name WHERE text IN"         \
	" ('chat', 'text_completion')), 0), "

static const struct {
	const char *table, *rows;
} facts_sums[] = {
	{"hourly", FACTS_HOUR "coalesce(model, 0), coalesce(operation, 0), coalesce(outcome, 0),"
			      " coalesce(backend, 0), " FACTS_COUNTS FACTS_CALLS "1, 2, 3, 4, 5"},
	{"hourly_verdict", FACTS_HOUR "coalesce(action, 0), coalesce(status, 0),"
				      " coalesce(error_type, 0), " FACTS_COUNTS FACTS_CALLS "1, 2, 3, 4"},
	{"hourly_user", FACTS_HOUR "coalesce(request_user, 0), coalesce(status, 0), " FACTS_COUNTS
				   FACTS_CALLS "1, 2, 3"},
	{"hourly_subject", FACTS_HOUR "coalesce(subject, 0), coalesce(model, 0),"
				      " coalesce(deployment, 0), coalesce(tier, 0), " FACTS_COUNTS
				      FACTS_CALLS "1, 2, 3, 4, 5"},
	{"daily", "SELECT " FACTS_SOURCE FACTS_COUNTS FACTS_CALLS "1, 2, 3"},
	{"hourly_source", FACTS_HOUR FACTS_SOURCE FACTS_COUNTS FACTS_CALLS "1, 2, 3, 4"},
};

/* 1: they agree, or there are none in this file; 0: they do not. */
static int facts_sum_agrees(struct query *query, size_t i, struct why *why)
{
	struct buf sql = BUF_EMPTY;
	int64_t n;
	int error = buf_printf(&sql,
		"SELECT (SELECT count(*) FROM (%s EXCEPT SELECT * FROM day.%s)) +"
		" (SELECT count(*) FROM (SELECT * FROM day.%s EXCEPT %s))%c",
		facts_sums[i].rows, facts_sums[i].table, facts_sums[i].table, facts_sums[i].rows, '\0');

	n = error ? -1 : query_number(query, buf_slice(&sql).data);
	buf_free(&sql);
	if (n < 0)
		return error ? why_set(why, ENOMEM, "out of memory") : query_error(query, why);
	return n == 0;
}

int query_facts_sums(struct query *query,
	int (*tell)(void *context, const char *table), void *context,
	struct why *why)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(facts_sums) / sizeof(facts_sums[0]) && error >= 0; i++) {
		struct buf sql = BUF_EMPTY;
		bool there = buf_printf(&sql,
				     "SELECT count(*) FROM day.sqlite_master WHERE name = '%s'%c",
				     facts_sums[i].table, '\0') == 0 &&
			     query_number(query, buf_slice(&sql).data) > 0;

		buf_free(&sql);
		if (!there)
			continue;
		error = facts_sum_agrees(query, i, why);
		if (error == 0)
			error = tell(context, facts_sums[i].table);
	}
	return error < 0 ? error : 0;
}
