// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/day.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/day_internal.h"
#include "collector/layout.h"

#define DAY_CHECKPOINT 2000 /* pages of the log between two checkpoints */

enum day_column {
#define DAY_ENUM(column, field) DAY_##column,
	LAYOUT_COLUMNS(DAY_ENUM, DAY_ENUM)
#undef DAY_ENUM
		DAY_COLUMNS
};

static const struct {
	const char *column;
	enum schema_id field;
	bool name;
} day_columns[DAY_COLUMNS] = {
#define DAY_NAME(column, field)	   {#column, SCHEMA_ID_##field, true},
#define DAY_INTEGER(column, field) {#column, SCHEMA_ID_##field, false},
	LAYOUT_COLUMNS(DAY_NAME, DAY_INTEGER)
#undef DAY_NAME
#undef DAY_INTEGER
};

/* What is rare among calls: without it, who looks for one would read all of an hour. */
#define DAY_RARE                                                                                   \
	"CREATE INDEX event_failed ON event(status, time_ns)"                        \
	" WHERE kind = 1 AND status >= 400;"                                                       \
	"CREATE INDEX event_error ON event(error_type, time_ns)"                     \
	" WHERE kind = 1 AND error_type IS NOT NULL;"                                              \
	"CREATE INDEX event_user ON event(request_user, time_ns)"                    \
	" WHERE kind = 1 AND request_user IS NOT NULL;"                                            \
	"CREATE INDEX event_subject ON event(subject, time_ns)"                                    \
	" WHERE kind = 1 AND subject IS NOT NULL;"                                                 \
	"CREATE INDEX event_again ON event(time_ns) WHERE kind = 1 AND attempts > 1;"

/* A resend, or a place that is taken, shows itself at the unique indexes: only then is more asked. */
static const char day_schema[] =
	"CREATE TABLE event(id INTEGER PRIMARY KEY, event_id TEXT NOT NULL, digest INTEGER NOT NULL,"
	" time_ns INTEGER NOT NULL, source BLOB, model INTEGER, conflict INTEGER"
#define DAY_DEFINE(column, field) ", " #column " INTEGER"
	LAYOUT_COLUMNS(DAY_DEFINE, DAY_DEFINE)
#undef DAY_DEFINE
		", link BLOB, record BLOB NOT NULL, content BLOB);"
		"CREATE UNIQUE INDEX event_identity ON event(event_id);"
		"CREATE UNIQUE INDEX event_place ON event(stream, sequence, epoch, coalesce(observer, 0))"
		" WHERE epoch IS NOT NULL AND conflict IS NULL;"
		"CREATE INDEX event_time ON event(time_ns);"
		"CREATE INDEX event_source ON event(source, time_ns) WHERE kind = 1;"
		"CREATE INDEX event_kind ON event(kind, time_ns) WHERE kind <> 1;"
		"CREATE INDEX event_summary ON event(observer, source, time_ns) WHERE kind = 2;"
		"CREATE INDEX event_conflict ON event(id) WHERE conflict IS NOT NULL;"
		DAY_RARE
		"CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
		"INSERT INTO name VALUES(1, 'exchange'), (2, 'source.summary');"
		"CREATE TABLE block(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, data BLOB NOT NULL);"
		"CREATE TABLE dictionary(id INTEGER PRIMARY KEY, number INTEGER NOT NULL UNIQUE,"
		" of_blocks INTEGER, learned INTEGER, data BLOB NOT NULL);"
		"CREATE TABLE hourly(hour INTEGER, model INTEGER, operation INTEGER, outcome INTEGER,"
		" backend INTEGER, calls INTEGER, counted INTEGER, input_tokens INTEGER,"
		" output_tokens INTEGER, total_tokens INTEGER,"
		" PRIMARY KEY(hour, model, operation, outcome, backend)) WITHOUT ROWID;"
		"CREATE TABLE daily(source BLOB, model INTEGER, done INTEGER, calls INTEGER,"
		" counted INTEGER, input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER,"
		" PRIMARY KEY(source, model, done)) WITHOUT ROWID;";

static const char day_insert[] =
	"INSERT INTO event(id, event_id, digest, time_ns, source, model, conflict, link, record, content"
#define DAY_LISTED(column, field) ", " #column
	LAYOUT_COLUMNS(DAY_LISTED, DAY_LISTED)
#undef DAY_LISTED
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
#define DAY_MARK(column, field) ", ?"
	LAYOUT_COLUMNS(DAY_MARK, DAY_MARK)
#undef DAY_MARK
		")";
enum {
	INSERT_ID = 1,
	INSERT_EVENT_ID,
	INSERT_DIGEST,
	INSERT_TIME,
	INSERT_SOURCE,
	INSERT_MODEL,
	INSERT_CONFLICT,
	INSERT_LINK,
	INSERT_RECORD,
	INSERT_CONTENT,
	INSERT_COLUMNS
};

int day_error(struct day *day, struct why *why)
{
	int code = sqlite3_errcode(day->database);
	bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;

	return why_set(
		why, damaged ? EBADMSG : EIO, "%s: %s", day->path, sqlite3_errmsg(day->database));
}

int day_execute(struct day *day, const char *sql, struct why *why)
{
	return sqlite3_exec(day->database, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : day_error(day, why);
}

int day_prepare(struct day *day, const char *sql, sqlite3_stmt **statement, struct why *why)
{
	return sqlite3_prepare_v3(day->database, sql, -1, SQLITE_PREPARE_PERSISTENT, statement,
		       NULL) == SQLITE_OK
		       ? 0
		       : day_error(day, why);
}

int64_t day_ask(struct day *day, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t number = -1;

	if (sqlite3_prepare_v2(day->database, sql, -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

/* ---- opening ---- */

/* SQLite makes its files with the mode of the first one: prompts are nobody else's to read. */
static int day_create_file(const char *path, struct why *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat status;
	int error = 0;

	if (fd < 0)
		return why_set(why, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		error = why_set(why, EINVAL, "%s: not a regular file", path);
	else if (status.st_mode & 077)
		error = why_set(why, EPERM,
			"%s: others may read it; make its mode 0600, it holds prompts", path);
	close(fd);
	return error;
}

static int day_make(struct day *day, struct why *why)
{
	char sql[64];
	int error = day_execute(day, "BEGIN IMMEDIATE", why);

	/* Somebody else may have made it meanwhile. */
	if (error || day_ask(day, "PRAGMA user_version") == LAYOUT_VERSION)
		return error ? error : day_execute(day, "COMMIT", why);
	error = day_execute(day, day_schema, why);
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; COMMIT", LAYOUT_VERSION);
	return error ? error : day_execute(day, sql, why);
}

/* Columns that a file of before they were lacks: they are empty. */
static int day_columns_add(struct day *day, struct why *why)
{
	char sql[128];
	int error = 0;

	for (int i = 0; i < DAY_COLUMNS && !error; i++) {
		snprintf(sql, sizeof(sql),
			"SELECT count(*) FROM pragma_table_info('event') WHERE name = '%s'",
			day_columns[i].column);
		if (day_ask(day, sql) != 0)
			continue;
		snprintf(sql, sizeof(sql), "ALTER TABLE event ADD COLUMN %s INTEGER",
			day_columns[i].column);
		error = day_execute(day, sql, why);
	}
	return error;
}

static int day_set_up(struct day *day, const struct day_options *options, struct why *why)
{
	int64_t version;
	int error = day_execute(day,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
		"PRAGMA cache_size=-32768; PRAGMA journal_size_limit=67108864",
		why);

	if (error)
		return error;
	version = day_ask(day, "PRAGMA user_version");
	if (version != 0 && version != LAYOUT_VERSION)
		return why_set(why, EINVAL,
			"%s: written by another version of the collector (layout %lld, this one knows "
			"%d)",
			day->path, (long long)version, LAYOUT_VERSION);
	error = version == 0 ? day_make(day, why) : day_columns_add(day, why);
	sqlite3_wal_autocheckpoint(day->database, DAY_CHECKPOINT);
	if (!error)
		error = day_chain_open(day, why);
	if (!error)
		error = day_prepare(day, day_insert, &day->insert, why);
	if (!error)
		error = day_prepare(
			day, "SELECT digest FROM event WHERE event_id = ?", &day->same, why);
	if (!error)
		error = day_names_open(day, why);
	if (!error)
		error = day_blocks_open(
			day, options->seal_key, options->directory, version ? -1 : options->before, why);
	return error ? error : day_sums_open(day, why);
}

int day_open(const struct day_options *options, struct day **opened, struct why *why)
{
	struct day *day = calloc(1, sizeof(*day));
	int error;

	if (!day)
		return why_set(why, ENOMEM, "out of memory");
	day->number = options->number;
	day->keyed = options->keyed;
	day->anchors = options->anchors;
	snprintf(day->path, sizeof(day->path), "%s/%s", options->directory,
		layout_day_name(options->number).text);
	error = day_create_file(day->path, why);
	if (!error && sqlite3_open_v2(day->path, &day->database,
			      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		error = day_error(day, why);
	if (!error) {
		sqlite3_busy_timeout(day->database, 10000);
		error = day_set_up(day, options, why);
	}
	if (!error) {
		*opened = day;
		return 0;
	}
	day_close(day);
	return error;
}

void day_close(struct day *day)
{
	day_rollback(day);
	day_chain_close(day);
	day_sums_close(day);
	day_blocks_close(day);
	day_names_close(day);
	sqlite3_finalize(day->insert);
	sqlite3_finalize(day->same);
	sqlite3_close(day->database);
	buf_wipe(&day->packed);
	buf_free(&day->list);
	free(day);
}

int32_t day_number(const struct day *day)
{
	return day->number;
}

int64_t day_last_id(const struct day *day)
{
	return day_ask((struct day *)(uintptr_t)day, "SELECT coalesce(max(id), 0) FROM event");
}

/* ---- one event ---- */

static void day_bind_text(sqlite3_stmt *statement, int parameter, struct slice text)
{
	sqlite3_bind_text(statement, parameter, text.data, (int)text.len, SQLITE_STATIC);
}

/* The blocks of an event's content, stored where they are new, as a list into day->list. */
static int day_content(struct day *day, const struct row *row, struct why *why)
{
	int64_t last = 0, block;
	int error = 0;

	buf_clear(&day->list);
	for (unsigned kind = 0; kind < CONTENT_KINDS && !error; kind++) {
		struct content_list list = {.kind = (enum content_kind)kind};
		struct slice text = row->content[kind], element;
		size_t at = 0;

		if (!text.len)
			continue;
		list.n = content_elements(text);
		list.array = list.n > 0;
		list.n += !list.array;
		error = content_put_list(&day->list, &list);
		for (uint32_t i = 0; i < list.n && !error; i++) {
			if (!list.array)
				element = text;
			else
				content_next(text, &at, &element);
			error = day_block(day, element, &block, why);
			if (!error)
				error = content_put_block(&day->list, block, &last);
		}
	}
	return error;
}

static int day_bind(struct day *day, int64_t id, const struct row *row, int64_t digest,
	int64_t numbers[DAY_COLUMNS], struct why *why)
{
	sqlite3_stmt *insert = day->insert;
	struct slice packed, list;
	int error = 0;

	sqlite3_bind_int64(insert, INSERT_ID, id);
	day_bind_text(insert, INSERT_EVENT_ID, row->id);
	sqlite3_bind_int64(insert, INSERT_DIGEST, digest);
	sqlite3_bind_int64(insert, INSERT_TIME, (sqlite3_int64)(row->time_ns & INT64_MAX));
	if (row->has_source)
		sqlite3_bind_blob(insert, INSERT_SOURCE, row->source.bytes, 16, SQLITE_STATIC);
	if (row->model.len) {
		error = day_name(day, row->model, &day->model, why);
		sqlite3_bind_int64(insert, INSERT_MODEL, day->model);
	}
	for (int i = 0; i < DAY_COLUMNS && !error; i++) {
		const msgpack_object *value = row->fields[day_columns[i].field];
		struct slice text = row_text(value);

		numbers[i] = 0;
		if (day_columns[i].name && text.len)
			error = day_name(day, text, &numbers[i], why);
		else if (day_columns[i].name || !row_number(value, &numbers[i]))
			continue;
		if (i == DAY_input_tokens || i == DAY_output_tokens || i == DAY_total_tokens)
			numbers[i] = layout_tokens(numbers[i]);
		sqlite3_bind_int64(insert, INSERT_COLUMNS + i, numbers[i]);
	}
	if (!error)
		error = day_content(day, row, why);
	if (!error)
		error = day_pack_record(day, row->narrow, why);
	packed = buf_slice(&day->packed);
	list = buf_slice(&day->list);
	sqlite3_bind_blob(insert, INSERT_RECORD, packed.data, (int)packed.len, SQLITE_STATIC);
	if (list.len)
		sqlite3_bind_blob(insert, INSERT_CONTENT, list.data, (int)list.len, SQLITE_STATIC);
	return error;
}

/* What the sums hold of an event: calls alone. */
static int day_count(
	struct day *day, const struct row *row, const int64_t numbers[DAY_COLUMNS], struct why *why)
{
	struct slice operation = row_text(row->fields[SCHEMA_ID_operation]);
	int64_t total;
	struct day_sum sum = {.hour = (int64_t)(row->time_ns / LAYOUT_NS_PER_HOUR),
		.model = row->model.len ? day->model : 0,
		.operation = numbers[DAY_operation],
		.outcome = numbers[DAY_outcome],
		.backend = numbers[DAY_backend],
		.action = numbers[DAY_action],
		.status = numbers[DAY_status],
		.error_type = numbers[DAY_error_type],
		.request_user = numbers[DAY_request_user],
		.subject = numbers[DAY_subject],
		.deployment = numbers[DAY_deployment],
		.tier = numbers[DAY_tier],
		.has_source = row->has_source,
		.source = row->source,
		.done = slice_equal(row_text(row->fields[SCHEMA_ID_outcome]), SLICE("success")) &&
			(slice_equal(operation, SLICE("chat")) ||
				slice_equal(operation, SLICE("text_completion"))),
		.counts = {.calls = 1,
			.counted = row_number(row->fields[SCHEMA_ID_total_tokens], &total),
			.input = numbers[DAY_input_tokens],
			.output = numbers[DAY_output_tokens],
			.total = numbers[DAY_total_tokens]}};

	return numbers[DAY_kind] == LAYOUT_KIND_EXCHANGE ? day_sum(day, &sum, why) : 0;
}

/* An event on its way into the file. */
struct day_adding {
	int64_t id, digest, numbers[DAY_COLUMNS];
	const struct row *row;
	struct day_chain *chain;
	struct keyed_link link;
	char other[ROW_ID_MAX]; /* its id, when another event has it */
	enum day_added added;
};

/* Binds its link under the id that it is stored with. */
static int day_bind_link(
	struct day *day, struct day_adding *adding, struct slice event_id, struct why *why)
{
	const struct row *row = adding->row;
	struct chain_event event = {.id = adding->id,
		.time_ns = row->time_ns & INT64_MAX,
		.conflict = adding->added == DAY_CONFLICT,
		.event_id = event_id,
		.record = row->narrow};

	memcpy(event.content, row->content, sizeof(event.content));
	if (!chain_link(day->keyed, &adding->chain->end.link, &event, &adding->link))
		return why_set(why, ENOMEM, "out of memory");
	sqlite3_bind_blob(
		day->insert, INSERT_LINK, adding->link.bytes, KEYED_LINK, SQLITE_STATIC);
	return 0;
}

/* The index of places or of ids refused the event: 0 with what it is; or an error. An id that another
 * event has gets the digest behind it. */
static int day_refused(struct day *day, struct day_adding *adding, struct why *why)
{
	struct slice id = adding->row->id;
	bool there;
	int error;

	day_bind_text(day->same, 1, id);
	there = sqlite3_step(day->same) == SQLITE_ROW;
	adding->added = there && sqlite3_column_int64(day->same, 0) == adding->digest
				? DAY_DUPLICATE
				: DAY_CONFLICT;
	sqlite3_reset(day->same);
	if (adding->added == DAY_DUPLICATE)
		return 0;
	if (there) {
		int len = snprintf(adding->other, ROW_ID_MAX, "%.*s~%016llx",
			(int)(id.len < ROW_ID_MAX - 18 ? id.len : ROW_ID_MAX - 18), id.data,
			(unsigned long long)adding->digest);

		id = slice_of(adding->other, (size_t)len);
		day_bind_text(day->insert, INSERT_EVENT_ID, id);
		day_bind_text(day->same, 1, id);
		if (sqlite3_step(day->same) == SQLITE_ROW)
			adding->added = DAY_DUPLICATE;
		sqlite3_reset(day->same);
	}
	if (adding->added == DAY_DUPLICATE)
		return 0;
	error = day_bind_link(day, adding, id, why);
	if (error)
		return error;
	sqlite3_bind_int(day->insert, INSERT_CONFLICT, 1);
	return sqlite3_step(day->insert) == SQLITE_DONE ? 0 : day_error(day, why);
}

static int day_begin(struct day *day, struct why *why)
{
	int error = day->in_transaction ? 0 : day_execute(day, "BEGIN IMMEDIATE", why);

	if (!error)
		day->in_transaction = true;
	return error;
}

/* All that is bound of an event is inserted, or is there. */
static int day_insert_event(struct day *day, struct day_adding *adding, struct why *why)
{
	struct slice observer = row_text(adding->row->fields[SCHEMA_ID_observer]);
	int step, error = day_chain(day, adding->numbers[DAY_observer], observer, &adding->chain, why);

	if (!error)
		error = day_bind_link(day, adding, adding->row->id, why);
	if (error)
		return error;
	step = sqlite3_step(day->insert);
	if (step == SQLITE_CONSTRAINT) {
		sqlite3_reset(day->insert);
		error = day_refused(day, adding, why);
	} else if (step != SQLITE_DONE) {
		error = day_error(day, why);
	}
	if (error || adding->added == DAY_DUPLICATE)
		return error;
	if (!day->first_id)
		day->first_id = adding->id;
	day_chain_next(adding->chain, adding->id, &adding->link);
	return error;
}

int day_add(struct day *day, int64_t id, struct row *row, enum day_added *added, struct why *why)
{
	const struct slice texts[] = {row->narrow, row->content[CONTENT_INPUT],
		row->content[CONTENT_OUTPUT], row->content[CONTENT_TOOLS]};
	struct day_adding adding = {.id = id, .row = row, .added = DAY_ADDED};
	int error = day_begin(day, why);

	if (error)
		return error;
	/* When an event came is another time with each resend. */
	if (!keyed_digest(day->keyed, row->untimed ? 0 : row->time_ns, texts, 1 + CONTENT_KINDS,
		    &adding.digest))
		return why_set(why, ENOMEM, "out of memory");
	error = day_bind(day, id, row, adding.digest, adding.numbers, why);
	if (error == -ENOMEM)
		why_set(why, ENOMEM, "out of memory");
	if (!error)
		error = day_insert_event(day, &adding, why);
	sqlite3_reset(day->insert);
	sqlite3_clear_bindings(day->insert);
	if (!error && adding.added == DAY_ADDED)
		error = day_count(day, row, adding.numbers, why);
	*added = adding.added;
	return error;
}

int day_commit(struct day *day, struct why *why)
{
	int error;

	if (!day->in_transaction)
		return 0;
	error = day_sums_write(day, why);
	if (!error)
		error = day_chain_write(day, why);
	if (!error)
		error = day_train(day, why);
	if (!error)
		error = day_execute(day, "COMMIT", why);
	if (error)
		day_rollback(day);
	else
		day_chain_committed(day);
	day->in_transaction = false;
	return error;
}

void day_rollback(struct day *day)
{
	if (!day->in_transaction)
		return;
	sqlite3_exec(day->database, "ROLLBACK", NULL, NULL, NULL);
	day->in_transaction = false;
	/* What they know may be gone. */
	day_names_forget(day);
	day_blocks_forget(day);
	day_sums_forget(day);
	day_chain_forget(day);
}
