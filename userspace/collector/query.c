// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/query.h"

#include <errno.h>
#include <msgpack.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/schema.h"
#include "base/buf.h"

/* X("name", "SQL") */
#define QUERY_BY(X)                                                                                \
	X("ip", "source_ip")                                                                       \
	X("model", "model")                                                                        \
	X("family", "model_family")                                                                \
	X("operation", "operation")                                                                \
	X("provider", "provider")                                                                  \
	X("host", "host")                                                                          \
	X("backend", "backend")                                                                    \
	X("user", "request_user")                                                                  \
	X("observer", "observer")                                                                  \
	X("source", "usage_source")                                                                \
	X("status", "status")                                                                      \
	X("day", "strftime('%Y-%m-%d', time_ns / 1000000000, 'unixepoch')")                        \
	X("hour", "strftime('%Y-%m-%dT%H:00Z', time_ns / 1000000000, 'unixepoch')")

static const struct {
	const char *name, *sql;
} query_columns[] = {
#define QUERY_COLUMN(name, sql) {name, sql},
	QUERY_BY(QUERY_COLUMN)
#undef QUERY_COLUMN
};

const char query_by_names[] =
#define QUERY_NAME(name, sql) " " name
	QUERY_BY(QUERY_NAME)
#undef QUERY_NAME
	;

struct query {
	sqlite3 *database;
	char *path;
};

struct query *query_open(const char *path, struct why *why)
{
	struct query *query = calloc(1, sizeof(*query));

	if (!query || !(query->path = strdup(path))) {
		free(query);
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	if (sqlite3_open_v2(path, &query->database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK) {
		why_set(why, EIO, "%s: %s; is it the store of a sallyport-collector?", path,
			sqlite3_errmsg(query->database));
		query_close(query);
		return NULL;
	}
	sqlite3_busy_timeout(query->database, 5000);
	return query;
}

void query_close(struct query *query)
{
	if (!query)
		return;
	sqlite3_close(query->database);
	free(query->path);
	free(query);
}

static int query_error(struct query *query, struct why *why)
{
	return why_set(why, EIO, "%s: %s", query->path, sqlite3_errmsg(query->database));
}

/* ---- filters ---- */

/* The WHERE clause without kind: parameters ?1 … are bound by query_bind, in the same order. */
static const char query_where[] =
	" WHERE (?1 IS NULL OR source_ip = ?1) AND (?2 IS NULL OR model = ?2 OR request_model = ?2)"
	" AND (?3 IS NULL OR host = ?3) AND (?4 IS NULL OR operation = ?4)"
	" AND (?5 IS NULL OR outcome = ?5)"
	" AND (?7 IS NULL OR request_user = ?7) AND (?8 IS NULL OR event_id = ?8)"
	" AND time_ns >= ?9 AND time_ns < ?10 AND (?11 = 0 OR status = ?11) AND id > ?12"
	" AND (?13 = 0 OR operation IN ('chat', 'text_completion'))";

/* The rest of it: a comparison that an index can be used for. */
static const char *query_where_kind(const struct query_filter *filter)
{
	return filter->kind ? " AND kind = ?6" : " AND ?6 IS NULL";
}

static void query_bind(sqlite3_stmt *statement, const struct query_filter *filter)
{
	const char *const texts[] = {filter->source_ip, filter->model, filter->host,
		filter->operation, filter->outcome, filter->kind, filter->user, filter->event_id};
	int at = 1;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		sqlite3_bind_text(statement, at++, texts[i], -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, at++, (sqlite3_int64)filter->since_ns);
	sqlite3_bind_int64(
		statement, at++, filter->until_ns ? (sqlite3_int64)filter->until_ns : INT64_MAX);
	sqlite3_bind_int64(statement, at++, filter->status);
	sqlite3_bind_int64(statement, at++, filter->after_id);
	sqlite3_bind_int(statement, at, filter->completions);
}

static int query_prepare(struct query *query, struct buf *sql, const struct query_filter *filter,
	sqlite3_stmt **statement, struct why *why)
{
	struct slice text = buf_slice(sql);

	if (sqlite3_prepare_v2(query->database, text.data, (int)text.len, statement, NULL) !=
		SQLITE_OK)
		return query_error(query, why);
	query_bind(*statement, filter);
	return 0;
}

/* Runs to the end: each row is told. */
static int query_run(struct query *query, sqlite3_stmt *statement,
	int (*row)(void *context, sqlite3_stmt *statement), void *context, struct why *why)
{
	int result, error = 0;

	while ((result = sqlite3_step(statement)) == SQLITE_ROW && !error)
		error = row(context, statement);
	if (!error && result != SQLITE_DONE)
		error = query_error(query, why);
	return error;
}

static struct slice query_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return slice_of(text, text ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

static uint64_t query_count(sqlite3_stmt *statement, int column)
{
	sqlite3_int64 value = sqlite3_column_int64(statement, column);

	return value > 0 ? (uint64_t)value : 0;
}

/* ---- usage ---- */

static const char *query_by_sql(const char *name)
{
	for (size_t i = 0; i < sizeof(query_columns) / sizeof(query_columns[0]); i++)
		if (strcmp(query_columns[i].name, name) == 0)
			return query_columns[i].sql;
	return NULL;
}

bool query_by_known(const char *name)
{
	return query_by_sql(name) != NULL;
}

struct query_usage_row {
	size_t nby;
	int (*row)(void *context, const struct query_usage *usage);
	void *context;
};

static int query_usage_told(void *context, sqlite3_stmt *statement)
{
	struct query_usage_row *told = context;
	struct query_usage usage = {.nby = told->nby};
	int at = 0;

	for (size_t i = 0; i < told->nby; i++)
		usage.by[i] = query_text(statement, at++);
	usage.calls = query_count(statement, at++);
	usage.input_tokens = query_count(statement, at++);
	usage.output_tokens = query_count(statement, at++);
	usage.total_tokens = query_count(statement, at++);
	usage.average_total = sqlite3_column_double(statement, at);
	return told->row(told->context, &usage);
}

int query_usage(struct query *query, const char *const *by, size_t nby,
	const struct query_filter *filter,
	int (*row)(void *context, const struct query_usage *usage), void *context, struct why *why)
{
	struct query_usage_row told = {nby, row, context};
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *statement = NULL;
	int error = buf_printf(&sql, "SELECT ");

	for (size_t i = 0; i < nby && !error; i++)
		error = buf_printf(&sql, "%s, ", query_by_sql(by[i]));
	if (!error)
		error = buf_printf(&sql,
			"count(*), sum(input_tokens), sum(output_tokens), sum(total_tokens),"
			" avg(total_tokens) FROM event%s%s",
			query_where, query_where_kind(filter));
	for (size_t i = 0; i < nby && !error; i++)
		error = buf_printf(&sql, "%s %zu", i ? "," : " GROUP BY", i + 1);
	if (!error)
		error = buf_printf(&sql, " ORDER BY sum(total_tokens) DESC");
	for (size_t i = 0; i < nby && !error; i++)
		error = buf_printf(&sql, ", %zu", i + 1);
	if (!error)
		error = query_prepare(query, &sql, filter, &statement, why);
	else
		why_set(why, ENOMEM, "out of memory");
	if (!error)
		error = query_run(query, statement, query_usage_told, &told, why);
	sqlite3_finalize(statement);
	buf_free(&sql);
	return error;
}

/* ---- events ---- */

struct query_event_row {
	int (*row)(void *context, const struct query_event *event);
	void *context;
};

static int query_event_told(void *context, sqlite3_stmt *statement)
{
	struct query_event_row *told = context;
	struct query_event event = {
		.id = sqlite3_column_int64(statement, 0),
		.time_ns = query_count(statement, 1),
		.source_ip = query_text(statement, 2),
		.host = query_text(statement, 3),
		.operation = query_text(statement, 4),
		.model = query_text(statement, 5),
		.outcome = query_text(statement, 6),
		.error_type = query_text(statement, 7),
		.usage_source = query_text(statement, 8),
		.status = sqlite3_column_int64(statement, 9),
		.input_tokens = query_count(statement, 10),
		.output_tokens = query_count(statement, 11),
		.input_messages = query_text(statement, 12),
		.output_messages = query_text(statement, 13),
		.kind = query_text(statement, 15),
	};

	event.conflict = sqlite3_column_int(statement, 16) != 0;
	event.record = slice_of(
		sqlite3_column_blob(statement, 14), (size_t)sqlite3_column_bytes(statement, 14));
	return told->row(told->context, &event);
}

int query_events(struct query *query, const struct query_filter *filter, uint64_t limit,
	bool oldest_first, int (*row)(void *context, const struct query_event *event),
	void *context, struct why *why)
{
	struct query_event_row told = {row, context};
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *statement = NULL;
	int error = buf_printf(&sql,
		"SELECT id, time_ns, source_ip, host, operation, model, outcome, error_type,"
		" usage_source, status, input_tokens, output_tokens, input_messages,"
		" output_messages, record, kind, conflict FROM event%s%s%s ORDER BY %s LIMIT %lld",
		/* From a certain row on, in the order of storing. */
		oldest_first ? " NOT INDEXED" : "", query_where, query_where_kind(filter),
		oldest_first ? "id" : "time_ns DESC, id DESC",
		limit && limit < INT64_MAX ? (long long)limit : -1LL);

	if (!error)
		error = query_prepare(query, &sql, filter, &statement, why);
	else
		why_set(why, ENOMEM, "out of memory");
	if (!error)
		error = query_run(query, statement, query_event_told, &told, why);
	sqlite3_finalize(statement);
	buf_free(&sql);
	return error;
}

/* ---- sources ---- */

/* A row with text of its own. */
struct query_source_row {
	struct query_source source;
	struct buf text;
};

struct query_sources {
	struct query_source_row *rows;
	size_t n, room;
};

static struct slice query_keep(struct buf *text, struct slice slice)
{
	size_t at = buf_len(text);

	/* Room for all of it was made before: nothing moves. */
	buf_append_slice(text, slice);
	return slice_of(buf_slice(text).data + at, slice.len);
}

/* The members that are told, by the names of the schema. */
static void query_source_field(
	struct query_source *source, struct slice name, const msgpack_object *value)
{
	const struct {
		enum schema_id id;
		uint64_t *number;
	} numbers[] = {
		{SCHEMA_ID_source_packets, &source->packets},
		{SCHEMA_ID_source_bytes, &source->bytes},
		{SCHEMA_ID_source_packets_received, &source->packets_received},
		{SCHEMA_ID_source_bytes_received, &source->bytes_received},
		{SCHEMA_ID_source_syns, &source->syns},
		{SCHEMA_ID_source_opened, &source->opened},
		{SCHEMA_ID_source_active, &source->active},
		{SCHEMA_ID_source_steered, &source->steered},
		{SCHEMA_ID_source_passed, &source->passed},
	};

	if (value->type == MSGPACK_OBJECT_STR &&
		slice_equal(name, schema_fields[SCHEMA_ID_source_drops].name))
		source->drops = slice_of(value->via.str.ptr, value->via.str.size);
	if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (slice_equal(name, schema_fields[numbers[i].id].name))
			*numbers[i].number = value->via.u64;
}

/* A record that is none gives zeros. */
static void query_source_read(struct query_source *source)
{
	msgpack_unpacked unpacked;
	size_t offset = 0;

	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, source->record.data, source->record.len, &offset) ==
			MSGPACK_UNPACK_SUCCESS &&
		unpacked.data.type == MSGPACK_OBJECT_MAP) {
		for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
			const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];

			if (pair->key.type == MSGPACK_OBJECT_STR)
				query_source_field(source,
					slice_of(pair->key.via.str.ptr, pair->key.via.str.size),
					&pair->val);
		}
	}
	/* Texts of the record lie in it, not in what is freed here. */
	msgpack_unpacked_destroy(&unpacked);
}

static int query_source_told(void *context, sqlite3_stmt *statement)
{
	struct query_sources *sources = context;
	struct slice observer = query_text(statement, 0), source_ip = query_text(statement, 1);
	struct slice record = slice_of(
		sqlite3_column_blob(statement, 3), (size_t)sqlite3_column_bytes(statement, 3));
	struct query_source_row *row;

	if (sources->n == sources->room) {
		size_t room = sources->room ? 2 * sources->room : 64;
		void *rows = reallocarray(sources->rows, room, sizeof(*sources->rows));

		if (!rows)
			return -ENOMEM;
		sources->rows = rows;
		sources->room = room;
	}
	row = &sources->rows[sources->n];
	*row = (struct query_source_row){.source.time_ns = query_count(statement, 2)};
	if (!buf_reserve(&row->text, observer.len + source_ip.len + record.len + 1))
		return -ENOMEM;
	sources->n++;
	row->source.observer = query_keep(&row->text, observer);
	row->source.source_ip = query_keep(&row->text, source_ip);
	row->source.record = query_keep(&row->text, record);
	query_source_read(&row->source);
	return 0;
}

static int query_source_compare(const void *a, const void *b)
{
	const struct query_source *x = &((const struct query_source_row *)a)->source;
	const struct query_source *y = &((const struct query_source_row *)b)->source;
	uint64_t of_x = x->bytes + x->bytes_received, of_y = y->bytes + y->bytes_received;

	if (of_x != of_y)
		return of_x > of_y ? -1 : 1;
	/* The texts are of one piece: address after observer. */
	of_x = x->observer.len + x->source_ip.len;
	of_y = y->observer.len + y->source_ip.len;
	return memcmp(x->observer.data, y->observer.data, of_x < of_y ? of_x : of_y);
}

/* The inner one is answered by its index alone, for which SQLite would take another; the store of
 * an older collector has neither. */
static int query_sources_prepare(struct query *query, const char *indexed, sqlite3_stmt **statement)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
		"SELECT event.observer, event.source_ip, event.time_ns, event.record FROM"
		" (SELECT max(time_ns), id AS last FROM event%s WHERE kind = 'source.summary'"
		"  AND (?1 IS NULL OR source_ip = ?1) AND time_ns >= ?2 AND time_ns < ?3"
		"  GROUP BY observer, source_ip) JOIN event ON event.id = last",
		indexed);
	return sqlite3_prepare_v2(query->database, sql, -1, statement, NULL);
}

int query_sources(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_source *source), void *context,
	struct why *why)
{
	struct query_sources sources = {0};
	sqlite3_stmt *statement = NULL;
	int error = 0;

	if (query_sources_prepare(query, " INDEXED BY event_summary", &statement) != SQLITE_OK &&
		query_sources_prepare(query, "", &statement) != SQLITE_OK) {
		error = query_error(query, why);
	} else {
		sqlite3_bind_text(statement, 1, filter->source_ip, -1, SQLITE_STATIC);
		sqlite3_bind_int64(statement, 2, (sqlite3_int64)filter->since_ns);
		sqlite3_bind_int64(statement, 3,
			filter->until_ns ? (sqlite3_int64)filter->until_ns : INT64_MAX);
		error = query_run(query, statement, query_source_told, &sources, why);
		if (error == -ENOMEM)
			why_set(why, ENOMEM, "out of memory");
	}
	if (sources.n)
		qsort(sources.rows, sources.n, sizeof(*sources.rows), query_source_compare);
	for (size_t i = 0; i < sources.n; i++) {
		if (!error && (!limit || i < limit))
			error = row(context, &sources.rows[i].source);
		buf_free(&sources.rows[i].text);
	}
	free(sources.rows);
	sqlite3_finalize(statement);
	return error;
}

int query_last_id(struct query *query, int64_t *id, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int error = 0;

	if (sqlite3_prepare_v2(query->database, "SELECT coalesce(max(id), 0) FROM event", -1,
		    &statement, NULL) != SQLITE_OK ||
		sqlite3_step(statement) != SQLITE_ROW)
		error = query_error(query, why);
	else
		*id = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return error;
}
