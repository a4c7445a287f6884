// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/schema.h"
#include "base/log.h"
#include "base/log_limit.h"

#define STORE_SCHEMA	  1
#define STORE_CHECKPOINT  4000 /* pages of the log between two checkpoints */
#define STORE_ID_MAX	  320

/* The columns beside id, time_ns and record: X(column, "type", the field it is taken from). */
#define STORE_COLUMNS(X)                                        \
	X(epoch, "TEXT", epoch)                                 \
	X(stream, "INTEGER", stream)                            \
	X(sequence, "INTEGER", sequence)                        \
	X(kind, "TEXT", kind)                                   \
	X(action, "TEXT", action)                               \
	X(outcome, "TEXT", outcome)                             \
	X(observer, "TEXT", observer)                           \
	X(source_ip, "TEXT", source_ip)                         \
	X(source_port, "INTEGER", source_port)                  \
	X(destination_ip, "TEXT", destination_ip)               \
	X(host, "TEXT", tls_server_name)                        \
	X(backend, "TEXT", backend_name)                        \
	X(operation, "TEXT", operation)                         \
	X(provider, "TEXT", provider)                           \
	X(request_model, "TEXT", request_model)                 \
	X(response_model, "TEXT", response_model)               \
	X(status, "INTEGER", status)                            \
	X(error_type, "TEXT", error_type)                       \
	X(input_tokens, "INTEGER", input_tokens)                \
	X(output_tokens, "INTEGER", output_tokens)              \
	X(total_tokens, "INTEGER", total_tokens)                \
	X(usage_source, "TEXT", usage_source)                   \
	X(request_user, "TEXT", request_user)                   \
	X(duration_ns, "INTEGER", timing_total)                 \
	X(first_byte_ns, "INTEGER", timing_first_byte)          \
	X(input_messages, "TEXT", input_messages)               \
	X(output_messages, "TEXT", output_messages)             \
	/* end */

enum store_column {
#define STORE_ENUM(column, type, field) STORE_##column,
	STORE_COLUMNS(STORE_ENUM)
#undef STORE_ENUM
	STORE_COLUMN_COUNT
};

static const enum schema_id store_fields[STORE_COLUMN_COUNT] = {
#define STORE_FIELD(column, type, field) SCHEMA_ID_##field,
	STORE_COLUMNS(STORE_FIELD)
#undef STORE_FIELD
};

/* model is what answered, or else what was asked for; model_family is it without its date. */
static const char store_schema[] =
	"CREATE TABLE event(id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE,"
	" time_ns INTEGER NOT NULL, model TEXT, model_family TEXT, record BLOB NOT NULL"
#define STORE_DEFINE(column, type, field) ", " #column " " type
	STORE_COLUMNS(STORE_DEFINE)
#undef STORE_DEFINE
	");"
	"CREATE INDEX event_time ON event(time_ns);"
	"CREATE INDEX event_source ON event(source_ip, model, time_ns);";

/* Added to stores that were made without them: those who know them not keep them as well. Summaries
 * of sources are many, and must not be in the way of who looks for exchanges. */
static const char store_indexes[] =
	"CREATE INDEX IF NOT EXISTS event_kind ON event(kind, time_ns);"
	"CREATE INDEX IF NOT EXISTS event_summary ON event(observer, source_ip, time_ns)"
	" WHERE kind = 'source.summary';"
	/* Two events of one place in a stream are both kept: it was unique once. */
	"DROP INDEX IF EXISTS event_sequence;"
	"CREATE INDEX IF NOT EXISTS event_place ON event(observer, epoch, stream, sequence)"
	" WHERE epoch IS NOT NULL;";

static const char store_insert[] =
	"INSERT INTO event(event_id, time_ns, model, model_family, record"
#define STORE_NAME(column, type, field) ", " #column
	STORE_COLUMNS(STORE_NAME)
#undef STORE_NAME
	", conflict) VALUES(?, ?, ?, ?, ?"
#define STORE_MARK(column, type, field) ", ?"
	STORE_COLUMNS(STORE_MARK)
#undef STORE_MARK
	", ?) ON CONFLICT DO NOTHING";
#define STORE_FIXED 5 /* parameters before the columns; that of conflict comes after them */

/* Whether the event is there already (1: as it is; 0: with another content), and whether another
 * has its place in the stream. */
static const char store_known[] =
	"SELECT (SELECT record = ?1 FROM event WHERE event_id = ?2),"
	" EXISTS(SELECT 1 FROM event WHERE observer IS ?3 AND epoch = ?4 AND stream = ?5"
	"  AND sequence = ?6 AND event_id <> ?2)";

struct store {
	sqlite3 *database;
	sqlite3_stmt *insert, *known;
	struct buf record;
	bool in_transaction;
	uint64_t added, duplicates;
	struct log_limit tampered, nameless;
};

static int store_error(struct store *store, const char *what, struct why *why)
{
	return why_set(why, EIO, "%s: %s", what, sqlite3_errmsg(store->database));
}

static int store_execute(struct store *store, const char *sql, struct why *why)
{
	if (sqlite3_exec(store->database, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(store, "store", why);
	return 0;
}

/* SQLite makes its files with the mode of the first one: prompts are nobody else's to read. */
static int store_create_file(const char *path, struct why *why)
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

static int store_version(struct store *store, int *version, struct why *why)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(store->database, "PRAGMA user_version", -1, &statement, NULL) !=
			SQLITE_OK ||
		sqlite3_step(statement) != SQLITE_ROW) {
		sqlite3_finalize(statement);
		return store_error(store, "store", why);
	}
	*version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return 0;
}

static int store_prepare(struct store *store, const char *path, struct why *why)
{
	char sql[64];
	int version = 0;
	int error = store_execute(store,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
		"PRAGMA secure_delete=ON;",
		why);

	if (!error)
		error = store_version(store, &version, why);
	if (error)
		return error;
	if (version > STORE_SCHEMA)
		return why_set(why, EINVAL,
			"%s: written by a newer version of the collector (schema %d, this one knows "
			"%d)",
			path, version, STORE_SCHEMA);
	if (version == 0) {
		snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; COMMIT;", STORE_SCHEMA);
		error = store_execute(store, "BEGIN IMMEDIATE;", why);
		if (!error)
			error = store_execute(store, store_schema, why);
		if (!error)
			error = store_execute(store, sql, why);
		if (error)
			return error;
	}
	error = store_execute(store, store_indexes, why);
	if (!error && sqlite3_table_column_metadata(store->database, NULL, "event", "conflict", NULL,
			      NULL, NULL, NULL, NULL) != SQLITE_OK)
		error = store_execute(store, "ALTER TABLE event ADD COLUMN conflict INTEGER", why);
	if (error)
		return error;
	sqlite3_wal_autocheckpoint(store->database, STORE_CHECKPOINT);
	if (sqlite3_prepare_v3(store->database, store_insert, -1, SQLITE_PREPARE_PERSISTENT,
		    &store->insert, NULL) != SQLITE_OK ||
		sqlite3_prepare_v3(store->database, store_known, -1, SQLITE_PREPARE_PERSISTENT,
			&store->known, NULL) != SQLITE_OK)
		return store_error(store, path, why);
	return 0;
}

int store_open(const char *path, struct store **opened, struct why *why)
{
	struct store *store = calloc(1, sizeof(*store));
	int error;

	if (!store)
		return why_set(why, ENOMEM, "out of memory");
	error = store_create_file(path, why);
	if (!error && sqlite3_open_v2(path, &store->database,
			      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		error = store_error(store, path, why);
	if (!error) {
		sqlite3_busy_timeout(store->database, 10000);
		error = store_prepare(store, path, why);
	}
	if (error) {
		store_close(store);
		return error;
	}
	*opened = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_rollback(store);
	sqlite3_finalize(store->insert);
	sqlite3_finalize(store->known);
	sqlite3_close(store->database);
	buf_wipe(&store->record);
	free(store);
}

/* ---- one entry ---- */

static struct slice store_text(const msgpack_object *object)
{
	if (object && object->type == MSGPACK_OBJECT_STR)
		return slice_of(object->via.str.ptr, object->via.str.size);
	return SLICE_NONE;
}

/* Finds each field of the schema once; of a key that comes twice the first counts. */
static void store_find_fields(
	const msgpack_object *record, const msgpack_object *fields[SCHEMA_COUNT])
{
	size_t next = 0;

	memset(fields, 0, SCHEMA_COUNT * sizeof(*fields));
	for (uint32_t i = 0; i < record->via.map.size; i++) {
		const msgpack_object_kv *pair = &record->via.map.ptr[i];
		struct slice key = store_text(&pair->key);

		/* Our own records come in the order of the schema: mostly the next one fits. */
		for (size_t tried = 0; tried < SCHEMA_COUNT; tried++) {
			size_t id = (next + tried) % SCHEMA_COUNT;

			if (!slice_equal(key, schema_fields[id].name))
				continue;
			if (!fields[id])
				fields[id] = &pair->val;
			next = id + 1;
			break;
		}
	}
}

static void store_bind_text(sqlite3_stmt *statement, int parameter, struct slice text)
{
	if (text.len)
		sqlite3_bind_text(statement, parameter, text.data, (int)text.len, SQLITE_STATIC);
	else
		sqlite3_bind_null(statement, parameter);
}

static void store_bind_object(sqlite3_stmt *statement, int parameter, const msgpack_object *object)
{
	if (!object)
		sqlite3_bind_null(statement, parameter);
	else if (object->type == MSGPACK_OBJECT_STR)
		store_bind_text(statement, parameter, store_text(object));
	else if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
		sqlite3_bind_int64(statement, parameter, (sqlite3_int64)object->via.u64);
	else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		sqlite3_bind_int64(statement, parameter, object->via.i64);
	else if (object->type == MSGPACK_OBJECT_FLOAT)
		sqlite3_bind_double(statement, parameter, object->via.f64);
	else
		sqlite3_bind_null(statement, parameter);
}

static bool store_all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
	return true;
}

/* The name before its date: gpt-4o-2024-08-06, gpt-4-0613, claude-20240620. */
static struct slice store_model_family(struct slice model)
{
	static const size_t tails[] = {11, 9, 5}; /* -YYYY-MM-DD, -YYYYMMDD, -MMDD */

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		struct slice tail;

		if (model.len <= tails[i] || model.data[model.len - tails[i]] != '-')
			continue;
		tail = slice_after(model, model.len - tails[i] + 1);
		if (tails[i] == 11 ? tail.data[4] == '-' && tail.data[7] == '-' &&
					      store_all_digits(slice_first(tail, 4)) &&
					      store_all_digits(slice_of(tail.data + 5, 2)) &&
					      store_all_digits(slice_of(tail.data + 8, 2))
				   : store_all_digits(tail))
			return slice_first(model, model.len - tails[i]);
	}
	return model;
}

static int store_append(void *data, const char *bytes, size_t len)
{
	return buf_append(data, bytes, len);
}

/* The entry's identity: its own, or its place in a chunk of a foreign sender. Static storage is
 * avoided: text holds a made one. */
static struct slice store_event_id(const struct forward_entry *entry,
	const msgpack_object *const *fields, char text[STORE_ID_MAX])
{
	struct slice id = store_text(fields[SCHEMA_ID_id]);
	int len;

	if (id.len && id.len < STORE_ID_MAX)
		return id;
	if (!entry->chunk.len)
		return SLICE_NONE;
	len = snprintf(text, STORE_ID_MAX, "%.*s:%llu", SLICE_ARG(entry->chunk),
		(unsigned long long)entry->index);
	return slice_of(text, len < STORE_ID_MAX ? (size_t)len : STORE_ID_MAX - 1);
}

/* Its content stands behind the id of an event whose id another has: sent again, it is known. */
static struct slice store_other_id(struct store *store, struct slice id, char text[STORE_ID_MAX])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct slice record = buf_slice(&store->record);
	char copy[STORE_ID_MAX];
	size_t len = id.len < STORE_ID_MAX - 18 ? id.len : STORE_ID_MAX - 18;

	SHA256((const unsigned char *)record.data, record.len, digest);
	memcpy(copy, id.data, len);
	copy[len++] = '~';
	for (size_t i = 0; i < 8; i++, len += 2)
		snprintf(copy + len, 3, "%02x", digest[i]);
	memcpy(text, copy, len);
	return slice_of(text, len);
}

/* Whether another event has this one's id, or its place in the stream: 1 or 0, or -EEXIST when it is
 * this one that is there, or -EIO. */
static int store_conflict(struct store *store, const msgpack_object *const *fields, struct slice id,
	bool *other_content)
{
	static const enum schema_id place[] = {
		SCHEMA_ID_observer, SCHEMA_ID_epoch, SCHEMA_ID_stream, SCHEMA_ID_sequence};
	struct slice record = buf_slice(&store->record);
	int result = -EIO;

	sqlite3_bind_blob(store->known, 1, record.data, (int)record.len, SQLITE_STATIC);
	sqlite3_bind_text(store->known, 2, id.data, (int)id.len, SQLITE_STATIC);
	for (int i = 0; i < 4; i++)
		store_bind_object(store->known, 3 + i, fields[place[i]]);
	if (sqlite3_step(store->known) == SQLITE_ROW) {
		bool there = sqlite3_column_type(store->known, 0) != SQLITE_NULL;

		*other_content = there && !sqlite3_column_int(store->known, 0);
		result = there && !*other_content ? -EEXIST
						  : *other_content || sqlite3_column_int(store->known, 1);
	}
	sqlite3_reset(store->known);
	sqlite3_clear_bindings(store->known);
	return result;
}

static void store_tell_conflict(struct store *store, const msgpack_object *const *fields)
{
	const msgpack_object *sequence = fields[SCHEMA_ID_sequence],
			     *stream = fields[SCHEMA_ID_stream];
	uint64_t left_out;

	if (log_limit(&store->tampered, &left_out))
		log_error("tampering? an event came whose identity another event has (%s, stream "
			  "%llu, sequence %llu): both are stored, this one marked (%llu such reports "
			  "left out)",
			log_quote(store_text(fields[SCHEMA_ID_observer])).text,
			stream ? (unsigned long long)stream->via.u64 : 0,
			sequence ? (unsigned long long)sequence->via.u64 : 0,
			(unsigned long long)left_out);
}

/* 0; -EEXIST: it is there already; -EINVAL: it has no identity; or -EIO, -ENOMEM. */
static int store_bind(struct store *store, const struct forward_entry *entry)
{
	const msgpack_object *fields[SCHEMA_COUNT];
	char text[STORE_ID_MAX];
	struct slice id, model;
	msgpack_packer packer;
	bool other_content = false;
	int conflict;

	store_find_fields(entry->record, fields);
	id = store_event_id(entry, fields, text);
	if (!id.len)
		return -EINVAL;
	buf_clear(&store->record);
	msgpack_packer_init(&packer, &store->record, store_append);
	if (msgpack_pack_object(&packer, *entry->record) < 0)
		return -ENOMEM;
	conflict = store_conflict(store, fields, id, &other_content);
	if (conflict < 0)
		return conflict;
	if (other_content) {
		id = store_other_id(store, id, text);
		conflict = store_conflict(store, fields, id, &other_content);
		if (conflict < 0)
			return conflict;
	}
	model = store_text(fields[SCHEMA_ID_response_model]);
	if (!model.len)
		model = store_text(fields[SCHEMA_ID_request_model]);
	sqlite3_bind_text(store->insert, 1, id.data, (int)id.len, SQLITE_TRANSIENT);
	sqlite3_bind_int64(store->insert, 2, (sqlite3_int64)(entry->time_ns & INT64_MAX));
	store_bind_text(store->insert, 3, model);
	store_bind_text(store->insert, 4, store_model_family(model));
	sqlite3_bind_blob(store->insert, 5, buf_slice(&store->record).data,
		(int)buf_len(&store->record), SQLITE_STATIC);
	for (int i = 0; i < STORE_COLUMN_COUNT; i++)
		store_bind_object(store->insert, STORE_FIXED + 1 + i, fields[store_fields[i]]);
	if (conflict) {
		sqlite3_bind_int(store->insert, STORE_FIXED + 1 + STORE_COLUMN_COUNT, 1);
		store_tell_conflict(store, fields);
	}
	return 0;
}

int store_add(struct store *store, const struct forward_entry *entry, struct why *why)
{
	uint64_t left_out;
	int error;

	if (!store->in_transaction) {
		error = store_execute(store, "BEGIN IMMEDIATE", why);
		if (error)
			return error;
		store->in_transaction = true;
	}
	error = store_bind(store, entry);
	if (error == -EEXIST) {
		store->duplicates++;
		return 0;
	}
	if (error == -EINVAL) {
		/* Without an identity a resend could not be told from a new event. */
		if (log_limit(&store->nameless, &left_out))
			log_warning("an entry of %s without event.id and chunk was not stored (%llu "
				    "such reports left out)",
				log_quote(entry->tag).text, (unsigned long long)left_out);
		return 0;
	}
	if (error == -EIO || (!error && sqlite3_step(store->insert) != SQLITE_DONE))
		error = store_error(store, "store", why);
	else if (error)
		why_set(why, -error, "store: out of memory");
	if (!error)
		store->added++;
	sqlite3_reset(store->insert);
	sqlite3_clear_bindings(store->insert);
	if (error)
		store_rollback(store);
	return error;
}

int store_commit(struct store *store, struct why *why)
{
	int error;

	if (!store->in_transaction)
		return 0;
	error = store_execute(store, "COMMIT", why);
	if (error)
		store_rollback(store);
	store->in_transaction = false;
	return error;
}

void store_rollback(struct store *store)
{
	if (store->in_transaction)
		sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
	store->in_transaction = false;
}

bool store_in_transaction(const struct store *store)
{
	return store->in_transaction;
}

uint64_t store_added(const struct store *store)
{
	return store->added;
}

uint64_t store_duplicates(const struct store *store)
{
	return store->duplicates;
}
