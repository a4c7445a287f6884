// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/keyed.h"
#include "collector/query_chain.h"
#include "collector/query_facts.h"
#include "collector/query_internal.h"

#define VERIFY_BATCH 500 /* events that are read while a day is held */

struct verifying {
	struct query *query;
	struct keyed *keyed;
	const struct query_filter *filter;
	const struct query_integrity_ops *ops;
	void *context;
	struct query_integrity *found;
	struct query_chain chain;
	bool chained; /* the attached day has chains */
	struct query_row row;
	struct row fields; /* of its record */
	struct why *why;
};

/* ---- events ---- */

/* NULL, or what is wrong with the event that was read. */
static const char *verify_event(struct verifying *v)
{
	const struct query_event *event = &v->row.event;
	struct slice texts[1 + CONTENT_KINDS];
	const uint64_t times[] = {event->time_ns, 0 /* of one whose clock was wrong */};
	int64_t digest;

	texts[0] = event->record;
	memcpy(texts + 1, event->content, sizeof(event->content));
	for (size_t i = 0; i < 2; i++) {
		if (!keyed_digest(v->keyed, times[i], texts, 1 + CONTENT_KINDS, &digest))
			return "out of memory";
		if (digest == event->digest)
			return NULL;
	}
	return "it is not as it was stored";
}

static int verify_damaged(struct verifying *v, const char *wrong)
{
	char text[sizeof(struct why) + 256];

	v->found->damaged++;
	snprintf(text, sizeof(text), "%s: event %lld (%s): %s", v->query->shown,
		(long long)v->row.event.id, log_quote(v->row.event.event_id).text, wrong);
	return v->ops->damaged(v->context, text);
}

/* Its link, which only files of a store with chains have. */
static int verify_link(struct verifying *v, sqlite3_stmt *links, bool damaged)
{
	int error;

	if (!links) {
		v->found->unchained++;
		return 0;
	}
	sqlite3_bind_int64(links, 1, v->row.event.id);
	if (sqlite3_step(links) == SQLITE_ROW)
		error = query_chain_event(&v->chain, &v->row.event, sqlite3_column_int64(links, 1),
			query_blob(links, 0), damaged);
	else
		error = query_error(v->query, v->why);
	sqlite3_reset(links);
	return error;
}

/* What a batch asks: of events, of their blocks, and of their links and columns, where there are any. */
struct verify_statements {
	sqlite3_stmt *rows, *blocks, *links, *facts;
};

/* The row that the statement is at. */
static int verify_row(struct verifying *v, const struct verify_statements *of)
{
	struct why problem = {""};
	const char *wrong = NULL, *column;
	int error = 0;

	v->found->events++;
	if (query_row_read(v->query, &v->row, of->rows, of->blocks, &problem) < 0)
		wrong = problem.text;
	query_row_point(&v->row);
	if (!wrong)
		wrong = verify_event(v);
	if (!wrong && of->facts) {
		column = query_facts_differ(of->facts, &v->row.event, &v->fields);
		if (column)
			why_set(&problem, EIO, "its column %s is not what its record says", column);
		if (column)
			error = verify_damaged(v, problem.text);
	}
	v->found->conflicts += v->row.event.conflict;
	if (!error && wrong)
		error = verify_damaged(v, wrong);
	return error ? error : verify_link(v, of->links, wrong);
}

static int verify_prepare(struct verifying *v, struct verify_statements *of, int64_t after)
{
	struct buf sql = BUF_EMPTY;
	sqlite3 *database = v->query->database;
	int error = buf_printf(&sql, "%s NOT INDEXED WHERE event.id > :after ORDER BY event.id LIMIT %d",
		query_event_columns, VERIFY_BATCH);

	if (error)
		error = why_set(v->why, ENOMEM, "out of memory");
	else
		error = query_prepare(v->query, &sql, v->filter, &of->rows, v->why);
	if (!error &&
		(sqlite3_prepare_v2(database, "SELECT data FROM day.block WHERE id = ?", -1,
			 &of->blocks, NULL) != SQLITE_OK ||
			(v->chained &&
				sqlite3_prepare_v2(database,
					"SELECT link, coalesce(observer, 0) FROM day.event WHERE id = ?",
					-1, &of->links, NULL) != SQLITE_OK)))
		error = query_error(v->query, v->why);
	if (!error && v->chained)
		of->facts = query_facts_prepare(v->query);
	if (!error)
		query_bind_number(of->rows, ":after", after);
	buf_free(&sql);
	return error;
}

static int verify_sums(void *context, const char *table)
{
	struct verifying *v = context;
	char text[256];

	v->found->damaged++;
	snprintf(text, sizeof(text), "%s: the sums in its table %s are not those of its events",
		v->query->shown, table);
	return v->ops->damaged(v->context, text);
}

/* The next events of the attached day after an id; *after is the last of them, or 0: that was the last
 * of the day, and its chains were compared in the same view of it. */
static int verify_batch(struct verifying *v, int64_t *after)
{
	struct verify_statements of = {0};
	int step = SQLITE_DONE, n = 0;
	int error = query_execute(v->query, "BEGIN", v->why);

	v->chained = query_number(v->query, "SELECT count(*) FROM day.sqlite_master"
					    " WHERE name = 'chain'") > 0;
	if (!error)
		error = verify_prepare(v, &of, *after);
	for (; !error && (step = sqlite3_step(of.rows)) == SQLITE_ROW; n++) {
		error = verify_row(v, &of);
		*after = v->row.event.id;
	}
	if (!error && step != SQLITE_DONE)
		error = query_error(v->query, v->why);
	sqlite3_finalize(of.rows);
	sqlite3_finalize(of.blocks);
	sqlite3_finalize(of.links);
	sqlite3_finalize(of.facts);
	if (!error && n < VERIFY_BATCH) {
		*after = 0;
		error = query_chain_day_end(&v->chain, v->chained);
		if (!error)
			error = query_facts_sums(v->query, verify_sums, v, v->why);
	}
	sqlite3_exec(v->query->database, "COMMIT", NULL, NULL, NULL);
	return error;
}

/* ---- streams ---- */

/* The streams of the attached day, with those of earlier days. */
static int verify_streams_of_day(struct verifying *v)
{
	return query_execute(v->query,
		"INSERT INTO temp.stream SELECT coalesce(" QUERY_NAME_OF("observer") ", ''), " QUERY_NAME_OF(
			"epoch") ", stream, events, low, high FROM"
				 " (SELECT observer, epoch, stream, count(*) AS events, min(sequence) AS low,"
				 "  max(sequence) AS high FROM day.event"
				 "  WHERE epoch IS NOT NULL AND conflict IS NULL AND stream IS NOT NULL"
				 "  AND sequence IS NOT NULL GROUP BY stream, epoch, observer) WHERE 1"
				 " ON CONFLICT(observer, epoch, stream) DO UPDATE SET events = events + excluded.events,"
				 " low = min(low, excluded.low), high = max(high, excluded.high)",
		v->why);
}

/* One of them: no statement is open while days are attached for it. */
struct verify_stream {
	sqlite3_value *key[3]; /* observer, epoch, stream; NULL: before the first */
	int64_t events, low, high;
};

static void verify_stream_forget(struct verify_stream *stream)
{
	for (int i = 0; i < 3; i++)
		sqlite3_value_free(stream->key[i]);
	*stream = (struct verify_stream){0};
}

/* The stream after this one: 1; 0: there is none; or negative errno. */
static int verify_stream_next(struct verifying *v, struct verify_stream *stream)
{
	sqlite3_stmt *next = NULL;
	int step = SQLITE_ERROR;

	if (sqlite3_prepare_v2(v->query->database,
		    "SELECT observer, epoch, stream, events, low, high FROM temp.stream"
		    " WHERE ?1 IS NULL OR (observer, epoch, stream) > (?1, ?2, ?3)"
		    " ORDER BY observer, epoch, stream LIMIT 1",
		    -1, &next, NULL) == SQLITE_OK) {
		for (int i = 0; i < 3 && stream->key[i]; i++)
			sqlite3_bind_value(next, 1 + i, stream->key[i]);
		step = sqlite3_step(next);
	}
	verify_stream_forget(stream);
	if (step == SQLITE_ROW) {
		for (int i = 0; i < 3; i++)
			stream->key[i] = sqlite3_value_dup(sqlite3_column_value(next, i));
		stream->events = sqlite3_column_int64(next, 3);
		stream->low = sqlite3_column_int64(next, 4);
		stream->high = sqlite3_column_int64(next, 5);
	} else if (step != SQLITE_DONE) {
		query_error(v->query, v->why);
	}
	sqlite3_finalize(next);
	if (step == SQLITE_ROW && !(stream->key[0] && stream->key[1] && stream->key[2]))
		return why_set(v->why, ENOMEM, "out of memory");
	return step == SQLITE_ROW ? 1 : step == SQLITE_DONE ? 0 : -EIO;
}

/* The numbers of one stream on all days, into temp.number; how often each is there. */
static int verify_numbers(struct verifying *v, const struct verify_stream *stream)
{
	static const char add[] =
		"INSERT INTO temp.number SELECT sequence, 1 FROM day.event WHERE stream = ?3"
		" AND conflict IS NULL AND epoch = (SELECT id FROM day.name WHERE text = ?2)"
		" AND coalesce(" QUERY_NAME_OF(
			"observer") ", '') = ?1 AND sequence IS NOT NULL"
				    " ON CONFLICT(number) DO UPDATE SET times = times + 1";
	size_t from, to;
	int error = query_execute(v->query, "DELETE FROM temp.number", v->why);

	query_range(v->query, v->filter, &from, &to);
	for (; from < to && !error; from++) {
		sqlite3_stmt *statement = NULL;

		error = query_attach(v->query, v->query->days[from], v->why);
		if (error == -ENOENT) {
			error = 0;
			continue;
		}
		if (!error && sqlite3_prepare_v2(v->query->database, add, -1, &statement, NULL) !=
				      SQLITE_OK)
			error = query_error(v->query, v->why);
		for (int i = 0; i < 3 && !error; i++)
			sqlite3_bind_value(statement, 1 + i, stream->key[i]);
		if (!error && sqlite3_step(statement) != SQLITE_DONE)
			error = query_error(v->query, v->why);
		sqlite3_finalize(statement);
		query_detach(v->query);
	}
	return error;
}

static struct slice verify_text(sqlite3_value *value)
{
	const char *text = (const char *)sqlite3_value_text(value);

	return slice_of(text, text ? (size_t)sqlite3_value_bytes(value) : 0);
}

static int verify_gaps(struct verifying *v, const struct verify_stream *stream)
{
	struct query_gap gap = {.observer = verify_text(stream->key[0]),
		.epoch = verify_text(stream->key[1]),
		.stream = sqlite3_value_int64(stream->key[2])};
	sqlite3_stmt *gaps = NULL;
	int step = SQLITE_DONE, error = verify_numbers(v, stream);

	if (!error &&
		sqlite3_prepare_v2(v->query->database,
			"SELECT before + 1, number - 1, 0 FROM (SELECT number, lag(number) OVER"
			" (ORDER BY number) AS before FROM temp.number) WHERE number > before + 1"
			" UNION ALL SELECT number, number, times FROM temp.number WHERE times > 1"
			" ORDER BY 1",
			-1, &gaps, NULL) != SQLITE_OK)
		error = query_error(v->query, v->why);
	while (!error && (step = sqlite3_step(gaps)) == SQLITE_ROW) {
		gap.first = sqlite3_column_int64(gaps, 0);
		gap.last = sqlite3_column_int64(gaps, 1);
		gap.twice = sqlite3_column_int(gaps, 2) > 0;
		if (gap.twice)
			v->found->twice++;
		else
			v->found->missing += (uint64_t)(gap.last - gap.first + 1);
		error = v->ops->gap(v->context, &gap);
	}
	if (!error && step != SQLITE_DONE)
		error = query_error(v->query, v->why);
	sqlite3_finalize(gaps);
	return error;
}

/* Only those whose numbers do not add up are looked at one by one. */
static int verify_streams(struct verifying *v)
{
	struct verify_stream stream = {0};
	int error = 0;

	while (!error && (error = verify_stream_next(v, &stream)) > 0) {
		error = 0;
		v->found->streams++;
		if (stream.low > 1)
			v->found->removed += (uint64_t)(stream.low - 1);
		if (stream.events != stream.high - stream.low + 1)
			error = verify_gaps(v, &stream);
	}
	verify_stream_forget(&stream);
	return error;
}

static int verify_day(struct verifying *v, int32_t day)
{
	int64_t after = -1;
	int error = query_attach(v->query, day, v->why);

	if (!error) {
		error = verify_streams_of_day(v);
		query_detach(v->query);
	}
	if (!error && v->ops->damaged)
		error = query_chain_day(&v->chain);
	while (!error && after && v->ops->damaged) {
		error = query_attach(v->query, day, v->why);
		if (error)
			break;
		error = verify_batch(v, &after);
		query_detach(v->query);
	}
	return error == -ENOENT ? 0 : error;
}

int query_verify(struct query *query, const struct query_filter *filter,
	const struct query_integrity_ops *ops, void *context, struct query_integrity *found,
	struct why *why)
{
	struct verifying v = {.query = query,
		.filter = filter,
		.ops = ops,
		.context = context,
		.found = found,
		.why = why};
	size_t from, to;
	int error = query_begin(query, why);

	*found = (struct query_integrity){0};
	if (!error && !(v.keyed = keyed_open(query->path, false, why)))
		error = -EIO;
	/* What is sorted of all events of a day are numbers; they may be more than memory holds. */
	if (!error && ops->damaged)
		error = query_execute(query, "PRAGMA temp_store=FILE", why);
	if (!error)
		error = query_execute(query,
			"DROP TABLE IF EXISTS temp.stream; DROP TABLE IF EXISTS temp.number;"
			"CREATE TEMP TABLE stream(observer TEXT, epoch TEXT, stream INTEGER,"
			" events INTEGER, low INTEGER, high INTEGER,"
			" PRIMARY KEY(observer, epoch, stream)) WITHOUT ROWID;"
			"CREATE TEMP TABLE number(number INTEGER PRIMARY KEY, times INTEGER)",
			why);
	v.chain = (struct query_chain){.query = query,
		.keyed = v.keyed,
		.filter = filter,
		.ops = ops,
		.context = context,
		.found = found,
		.why = why};
	if (!error && ops->damaged)
		error = query_chain_begin(&v.chain);
	query_range(query, filter, &from, &to);
	for (; from < to && !error; from++)
		error = verify_day(&v, query->days[from]);
	if (!error && ops->damaged)
		error = query_chain_end(&v.chain);
	if (!error)
		error = verify_streams(&v);
	query_chain_free(&v.chain);
	buf_wipe(&v.row.text);
	row_free(&v.fields);
	keyed_close(v.keyed);
	return error;
}

int query_has_head(struct query *query, const struct query_head *head, struct why *why)
{
	sqlite3_stmt *find = NULL;
	int error = query_begin(query, why), has = 0;

	if (!error)
		error = query_attach(query, head->day, why);
	if (error)
		return error;
	if (sqlite3_prepare_v2(query->database, "SELECT link FROM day.event WHERE id = ?", -1, &find,
		    NULL) == SQLITE_OK) {
		sqlite3_bind_int64(find, 1, head->id);
		if (sqlite3_step(find) == SQLITE_ROW) {
			struct slice link = query_blob(find, 0);

			has = link.len == KEYED_LINK &&
			      memcmp(link.data, head->link.bytes, KEYED_LINK) == 0;
		}
	}
	sqlite3_finalize(find);
	query_detach(query);
	return has;
}
