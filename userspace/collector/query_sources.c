// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "audit/schema.h"
#include "collector/query_internal.h"

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

/* A row of the attached day, of a source that no later day had told of. */
static int query_source_told(struct query *query, struct query_sources *sources,
	sqlite3_stmt *statement, struct why *why)
{
	struct slice observer = query_text(statement, 0), source_ip = query_text(statement, 1);
	struct query_source_row *row;
	struct buf record = BUF_EMPTY;
	int error = query_unpack(query, query_blob(statement, 3), &record, why);

	if (!error && sources->n == sources->room) {
		size_t room = sources->room ? 2 * sources->room : 64;
		void *rows = reallocarray(sources->rows, room, sizeof(*sources->rows));

		if (rows) {
			sources->rows = rows;
			sources->room = room;
		} else {
			error = -ENOMEM;
		}
	}
	if (!error) {
		row = &sources->rows[sources->n];
		*row = (struct query_source_row){.source.time_ns = query_count(statement, 2)};
		if (!buf_reserve(&row->text, observer.len + source_ip.len + buf_len(&record) + 1))
			error = -ENOMEM;
	}
	if (!error) {
		sources->n++;
		row->source.observer = query_keep(&row->text, observer);
		row->source.source_ip = query_keep(&row->text, source_ip);
		row->source.record = query_keep(&row->text, buf_slice(&record));
		query_source_read(&row->source);
	}
	buf_free(&record);
	return error == -ENOMEM ? why_set(why, ENOMEM, "out of memory") : error;
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

/* 1: the source was not told before, and is now; 0: it was; or negative errno. */
static int query_source_new(
	struct query *query, sqlite3_stmt *seen, sqlite3_stmt *row, struct why *why)
{
	int step;

	for (int i = 0; i < 2; i++)
		sqlite3_bind_value(seen, 1 + i, sqlite3_column_value(row, i));
	step = sqlite3_step(seen);
	sqlite3_reset(seen);
	return step == SQLITE_DONE ? sqlite3_changes(query->database) : query_error(query, why);
}

static int query_sources_of_day(struct query *query, const struct query_filter *filter,
	struct query_sources *sources, struct why *why)
{
	sqlite3_stmt *statement = NULL, *seen = NULL;
	struct buf sql = BUF_EMPTY;
	int step = SQLITE_DONE, error;

	/* The inner one is answered by its index alone, for which SQLite would take another. */
	error = buf_printf(&sql,
		"SELECT coalesce(" QUERY_NAME_OF(
			"event.observer") ", ''),"
					  " coalesce(address(event.source), ''), event.time_ns, event.record FROM"
					  " (SELECT max(time_ns), id AS last FROM day.event INDEXED BY event_summary"
					  "  WHERE kind = 2 AND time_ns >= :since AND time_ns < :until%s"
					  "  GROUP BY observer, source) JOIN day.event ON event.id = last",
		filter->has_source ? " AND source BETWEEN :low AND :high" : "");
	if (error)
		error = why_set(why, ENOMEM, "out of memory");
	else
		error = query_prepare(query, &sql, filter, &statement, why);
	if (!error &&
		sqlite3_prepare_v2(query->database, "INSERT OR IGNORE INTO temp.seen VALUES(?, ?)",
			-1, &seen, NULL) != SQLITE_OK)
		error = query_error(query, why);
	if (!error) {
		query_bind_number(statement, ":since", (int64_t)filter->since_ns);
		query_bind_number(statement, ":until",
			filter->until_ns ? (int64_t)filter->until_ns : INT64_MAX);
	}
	while (!error && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		error = query_source_new(query, seen, statement, why);
		if (error > 0)
			error = query_source_told(query, sources, statement, why);
	}
	if (!error && step != SQLITE_DONE)
		error = query_error(query, why);
	sqlite3_finalize(statement);
	sqlite3_finalize(seen);
	buf_free(&sql);
	return error;
}

int query_sources(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_source *source), void *context,
	struct why *why)
{
	struct query_sources sources = {0};
	size_t from, to;
	int error = query_begin(query, why);

	if (!error)
		error = query_execute(query,
			"DROP TABLE IF EXISTS temp.seen; CREATE TEMP TABLE seen(observer TEXT,"
			" source TEXT, PRIMARY KEY(observer, source)) WITHOUT ROWID",
			why);
	query_range(query, filter, &from, &to);
	while (!error && to > from) {
		error = query_attach(query, query->days[--to], why);
		if (error == -ENOENT) {
			error = 0;
			continue;
		}
		if (!error)
			error = query_sources_of_day(query, filter, &sources, why);
		query_detach(query);
	}
	if (sources.n)
		qsort(sources.rows, sources.n, sizeof(*sources.rows), query_source_compare);
	for (size_t i = 0; i < sources.n; i++) {
		if (!error && (!limit || i < limit))
			error = row(context, &sources.rows[i].source);
		buf_free(&sources.rows[i].text);
	}
	free(sources.rows);
	return error;
}
