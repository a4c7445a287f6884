// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/query.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "collector/anchor.h"
#include "collector/layout.h"
#include "collector/query_internal.h"
#include "collector/row.h"

#define QUERY_PATIENCE (10 * NS_PER_S)
#define QUERY_BUSY_MS  5000
#define QUERY_MEMORY   (256 << 20) /* of all questions of a process: groups of an answer are held in it */

/* ---- functions that questions call ---- */

/* address(blob): as text. */
static void query_sql_address(sqlite3_context *context, int n, sqlite3_value **values)
{
	struct address address;
	struct address_text text;

	(void)n;
	if (sqlite3_value_bytes(values[0]) != sizeof(address.bytes)) {
		sqlite3_result_null(context);
		return;
	}
	memcpy(address.bytes, sqlite3_value_blob(values[0]), sizeof(address.bytes));
	text = address_format(&address);
	sqlite3_result_text(context, text.text, -1, SQLITE_TRANSIENT);
}

/* family(model) */
static void query_sql_family(sqlite3_context *context, int n, sqlite3_value **values)
{
	const char *text = (const char *)sqlite3_value_text(values[0]);
	struct slice family =
		row_family(slice_of(text, text ? (size_t)sqlite3_value_bytes(values[0]) : 0));

	(void)n;
	if (text)
		sqlite3_result_text(context, family.data, (int)family.len, SQLITE_TRANSIENT);
}

static int query_progress(void *data)
{
	struct query *query = data;

	query->looks++;
	return query->until_ns && clock_monotonic_ns() > query->until_ns;
}

/* ---- opening ---- */

static int query_open_store(struct query *query, struct why *why)
{
	struct stat status;

	if (stat(query->path, &status) < 0)
		return why_set(why, errno, "%s: %s; is it the store of a sallyport-collector?",
			query->path, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return why_set(why, EINVAL,
			"%s: not the directory of a store; one of an older version is taken over when "
			"sallyport-collector starts",
			query->path);
	if (sqlite3_open_v2(":memory:", &query->database,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			    SQLITE_OPEN_URI,
		    NULL) != SQLITE_OK ||
		sqlite3_create_function(query->database, "address", 1,
			SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, query_sql_address, NULL,
			NULL) != SQLITE_OK ||
		sqlite3_create_function(query->database, "family", 1,
			SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, query_sql_family, NULL,
			NULL) != SQLITE_OK)
		return query_error(query, why);
	sqlite3_hard_heap_limit64(QUERY_MEMORY);
	sqlite3_busy_timeout(query->database, QUERY_BUSY_MS);
	sqlite3_progress_handler(query->database, QUERY_STEPS, query_progress, query);
	return query_execute(query, "PRAGMA temp_store=MEMORY", why);
}

struct query *query_open(const char *path, struct why *why)
{
	struct query *query = calloc(1, sizeof(*query));

	if (!query || !(query->path = strdup(path)) || !(query->squeeze = squeeze_new())) {
		why_set(why, ENOMEM, "out of memory");
		query_close(query);
		return NULL;
	}
	query->patience_ns = QUERY_PATIENCE;
	if (query_open_store(query, why) == 0 && query_begin(query, why) == 0)
		return query;
	query_close(query);
	return NULL;
}

void query_close(struct query *query)
{
	if (!query)
		return;
	sqlite3_close(query->database);
	squeeze_free(query->squeeze);
	seal_free(query->seal);
	free(query->cursors);
	free(query->days);
	free(query->path);
	free(query);
}

void query_patience(struct query *query, uint64_t ns)
{
	query->patience_ns = ns;
}

/* ---- days ---- */

int query_begin(struct query *query, struct why *why)
{
	int error;

	free(query->days);
	error = layout_days(query->path, &query->days, &query->ndays);
	if (error)
		return why_set(why, -error, "%s: %s", query->path, strerror(-error));
	query->until_ns = query->patience_ns ? clock_monotonic_ns() + query->patience_ns : 0;
	return 0;
}

uint64_t query_day_ns(int32_t day)
{
	return (uint64_t)(uint32_t)day * LAYOUT_NS_PER_DAY;
}

void query_range(
	const struct query *query, const struct query_filter *filter, size_t *from, size_t *to)
{
	/* Of the moment itself, events below before_id. */
	uint64_t until_ns = filter->until_ns ? filter->until_ns + (filter->before_id > 0) : 0;

	*from = 0;
	*to = query->ndays;
	while (*from < *to && query_day_ns(query->days[*from] + 1) <= filter->since_ns)
		++*from;
	while (until_ns && *to > *from && query_day_ns(query->days[*to - 1]) >= until_ns)
		--*to;
}

/* The file's name as a URI (RFC 3986). */
static int query_uri(const struct query *query, const char *name, const char *mode, struct buf *uri)
{
	int error = buf_printf(uri, "file:");

	for (const char *at = query->path; *at && !error; at++)
		error = strchr("%?#", *at) ? buf_printf(uri, "%%%02X", (unsigned char)*at)
					   : buf_append(uri, at, 1);
	return error ? error : buf_printf(uri, "/%s?mode=%s", name, mode);
}

static int query_attach_file(
	struct query *query, const char *name, const char *as, const char *mode, struct why *why)
{
	struct buf uri = BUF_EMPTY;
	sqlite3_stmt *attach = NULL;
	char path[4200];
	int error = query_uri(query, name, mode, &uri);

	snprintf(path, sizeof(path), "%s/%s", query->path, name);
	if (error) {
		error = why_set(why, ENOMEM, "out of memory");
	} else if (sqlite3_prepare_v2(query->database, "ATTACH ? AS ?", -1, &attach, NULL) !=
		   SQLITE_OK) {
		error = query_error(query, why);
	} else {
		sqlite3_bind_text(
			attach, 1, buf_slice(&uri).data, (int)buf_len(&uri), SQLITE_STATIC);
		sqlite3_bind_text(attach, 2, as, -1, SQLITE_STATIC);
		if (sqlite3_step(attach) != SQLITE_DONE)
			error = strcmp(mode, "ro") == 0 && access(path, F_OK) < 0 && errno == ENOENT
					? -ENOENT
					: query_error(query, why);
	}
	sqlite3_finalize(attach);
	buf_free(&uri);
	return error;
}

int64_t query_number(struct query *query, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t number = -1;

	if (sqlite3_prepare_v2(query->database, sql, -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

int query_attach(struct query *query, int32_t day, struct why *why)
{
	int64_t version;
	int error;

	snprintf(query->shown, sizeof(query->shown), "%s", layout_day_name(day).text);
	error = query_attach_file(query, query->shown, "day", "ro", why);
	if (error)
		return error;
	version = query_number(query, "PRAGMA day.user_version");
	/* One that is being made has none yet, and no events. */
	if (version == LAYOUT_VERSION)
		return 0;
	error = version == 0 ? -ENOENT
		: version < 0
			? query_error(query, why)
			: why_set(why, EINVAL,
				  "%s/%s: written by another version of the collector (layout "
				  "%lld, this one knows %d)",
				  query->path, query->shown, (long long)version, LAYOUT_VERSION);
	query_detach(query);
	return error;
}

void query_detach_index(struct query *query)
{
	sqlite3_exec(query->database, "DETACH fts", NULL, NULL, NULL);
}

void query_detach(struct query *query)
{
	squeeze_seal(query->squeeze, NULL);
	seal_free(query->seal);
	query->seal = NULL;
	sqlite3_exec(query->database, "DETACH day", NULL, NULL, NULL);
	query->shown[0] = '\0';
}

int query_attach_index(struct query *query, int32_t day, bool write, struct why *why)
{
	int error;

	snprintf(query->shown, sizeof(query->shown), "%s", layout_index_name(day).text);
	error = query_attach_file(query, query->shown, "fts", write ? "rwc" : "ro", why);
	/* One that is being made is none yet. */
	if (!error && !write && query_number(query, "PRAGMA fts.user_version") == 0) {
		query_detach_index(query);
		error = -ENOENT;
	}
	return error;
}

int query_attach_anchors(struct query *query, struct why *why)
{
	snprintf(query->shown, sizeof(query->shown), "%s", ANCHOR_FILE);
	return query_attach_file(query, ANCHOR_FILE, "anchors", "ro", why);
}

void query_detach_anchors(struct query *query)
{
	sqlite3_exec(query->database, "DETACH anchors", NULL, NULL, NULL);
	query->shown[0] = '\0';
}

/* ---- statements ---- */

int query_error(struct query *query, struct why *why)
{
	const char *gap = query->shown[0] ? "/" : "";

	if (sqlite3_errcode(query->database) == SQLITE_NOMEM)
		return why_set(why, EIO,
			"%s: the answer takes more memory than %d MiB: ask for less, by fewer names or "
			"of a shorter time",
			query->path, QUERY_MEMORY >> 20);
	if (sqlite3_errcode(query->database) == SQLITE_INTERRUPT)
		return why_set(why, EIO,
			"%s: the answer takes longer than %llu s: ask for less, for example with --since "
			"or --ip",
			query->path, (unsigned long long)(query->patience_ns / NS_PER_S));
	return why_set(why, EIO, "%s%s%s: %s", query->path, gap, query->shown,
		sqlite3_errmsg(query->database));
}

int query_execute(struct query *query, const char *sql, struct why *why)
{
	return sqlite3_exec(query->database, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : query_error(query, why);
}

/* The conditions that compare a name, with the parameter of that name. */
#define QUERY_NAMED(X)                                                                             \
	X(host, "host")                                                                            \
	X(operation, "operation")                                                                  \
	X(outcome, "outcome")                                                                      \
	X(action, "action")                                                                        \
	X(error, "error_type")                                                                     \
	X(user, "request_user")                                                                    \
	X(subject, "subject")                                                                      \
	X(backend, "backend")

int query_where(struct buf *sql, const struct query_filter *filter)
{
	int error = buf_printf(sql, " WHERE 1");

	if (!error && filter->kind && strcmp(filter->kind, "exchange") == 0)
		error = buf_printf(sql, " AND kind = %d", LAYOUT_KIND_EXCHANGE);
	else if (!error && filter->kind && strcmp(filter->kind, "source.summary") == 0)
		error = buf_printf(sql, " AND kind = %d", LAYOUT_KIND_SUMMARY);
	else if (!error && filter->kind)
		error = buf_printf(sql,
			" AND kind <> %d AND kind = (SELECT id FROM day.name WHERE text = :kind)",
			LAYOUT_KIND_EXCHANGE);
	if (!error && filter->has_source)
		error = buf_printf(sql, filter->source.bits == 128
						? " AND source = :low" /* in the index, by time */
						: " AND source BETWEEN :low AND :high");
	if (!error && filter->model)
		error = buf_printf(sql,
			" AND (model = (SELECT id FROM day.name WHERE text = :model)"
			" OR request_model = (SELECT id FROM day.name WHERE text = :model))");
#define QUERY_CONDITION(member, column)                                                            \
	if (!error && filter->member)                                                              \
		error = buf_printf(sql,                                                            \
			" AND " column " = (SELECT id FROM day.name WHERE text = :" #member ")");
	QUERY_NAMED(QUERY_CONDITION)
#undef QUERY_CONDITION
	if (!error && filter->completions)
		error = buf_printf(sql, " AND operation IN (SELECT id FROM day.name"
					" WHERE text IN ('chat', 'text_completion'))");
	if (!error && filter->status)
		error = buf_printf(sql, " AND status = :status%s",
			filter->status >= 400 ? " AND status >= 400" : "");
	/* The index of those that were tried again is of more than one attempt. */
	if (!error && filter->attempts)
		error = buf_printf(sql, " AND attempts >= :attempts%s",
			filter->attempts > 1 ? " AND attempts > 1" : "");
	if (!error && filter->event_id)
		error = buf_printf(sql, " AND event_id = :event_id");
	return error;
}

static void query_bind_text(sqlite3_stmt *statement, const char *name, const char *text)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at && text)
		sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

void query_bind_number(sqlite3_stmt *statement, const char *name, int64_t number)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at)
		sqlite3_bind_int64(statement, at, number);
}

/* The first and the last address of the prefix. */
static void query_bind_source(sqlite3_stmt *statement, const struct prefix *prefix)
{
	int low = sqlite3_bind_parameter_index(statement, ":low"),
	    high = sqlite3_bind_parameter_index(statement, ":high");
	struct address last = prefix->address;

	for (unsigned bit = prefix->bits; bit < 128; bit++)
		last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (low)
		sqlite3_bind_blob(statement, low, prefix->address.bytes, 16, SQLITE_TRANSIENT);
	if (high)
		sqlite3_bind_blob(statement, high, last.bytes, 16, SQLITE_TRANSIENT);
}

int query_prepare(struct query *query, struct buf *sql, const struct query_filter *filter,
	sqlite3_stmt **statement, struct why *why)
{
	struct slice text = buf_slice(sql);

	if (sqlite3_prepare_v2(query->database, text.data, (int)text.len, statement, NULL) !=
		SQLITE_OK)
		return query_error(query, why);
	query_bind_text(*statement, ":kind", filter->kind);
	query_bind_text(*statement, ":model", filter->model);
#define QUERY_BIND(member, column) query_bind_text(*statement, ":" #member, filter->member);
	QUERY_NAMED(QUERY_BIND)
#undef QUERY_BIND
	query_bind_text(*statement, ":event_id", filter->event_id);
	query_bind_number(*statement, ":status", filter->status);
	query_bind_number(*statement, ":attempts", filter->attempts);
	query_bind_source(*statement, &filter->source);
	return 0;
}

struct slice query_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return slice_of(text, text ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

struct slice query_blob(sqlite3_stmt *statement, int column)
{
	const char *blob = sqlite3_column_blob(statement, column);

	return slice_of(blob, blob ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

uint64_t query_count(sqlite3_stmt *statement, int column)
{
	sqlite3_int64 value = sqlite3_column_int64(statement, column);

	return value > 0 ? (uint64_t)value : 0;
}

/* ---- what is packed ---- */

/* The attached day's seal is needed. */
static int query_unseal(struct query *query, struct why *why)
{
	sqlite3_stmt *ask = NULL;
	struct seal_key key;
	struct slice salt = SLICE_NONE;
	int error = seal_key_find(query->path, &key, why);

	if (error == -ENOENT)
		error = why_set(why, EACCES,
			"%s/%s: contents are encrypted: " SEAL_LINK " beside it is to be a link to the "
			"key file",
			query->path, query->shown);
	if (error)
		return error;
	if (sqlite3_prepare_v2(query->database, "SELECT salt FROM day.seal", -1, &ask, NULL) ==
			SQLITE_OK &&
		sqlite3_step(ask) == SQLITE_ROW)
		salt = query_blob(ask, 0);
	if (salt.len != SEAL_SALT)
		error = why_set(why, EIO, "%s/%s: the salt of its contents is missing", query->path,
			query->shown);
	else if (!(query->seal = seal_new(&key, (const uint8_t *)salt.data)))
		error = why_set(why, ENOMEM, "out of memory");
	squeeze_seal(query->squeeze, query->seal);
	sqlite3_finalize(ask);
	OPENSSL_cleanse(&key, sizeof(key));
	return error;
}

static int query_dictionary(struct query *query, uint32_t id, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int error = -EBADMSG;

	if (sqlite3_prepare_v2(query->database, "SELECT data FROM day.dictionary WHERE number = ?",
		    -1, &statement, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(statement, 1, id);
		if (sqlite3_step(statement) == SQLITE_ROW)
			error = squeeze_use(query->squeeze, query_blob(statement, 0), NULL);
	}
	sqlite3_finalize(statement);
	return error ? why_set(why, EIO, "%s/%s: dictionary %u is missing or damaged", query->path,
			       query->shown, id)
		     : 0;
}

int query_unpack(struct query *query, struct slice packed, struct buf *out, struct why *why)
{
	uint32_t id;
	int error = squeeze_unpack(query->squeeze, packed, LAYOUT_RECORD_MAX, out, &id);

	if (error == -EACCES && !query->seal) {
		error = query_unseal(query, why);
		if (error)
			return error;
		error = squeeze_unpack(query->squeeze, packed, LAYOUT_RECORD_MAX, out, &id);
	}
	if (error == -ENOENT) {
		error = query_dictionary(query, id, why);
		if (error)
			return error;
		error = squeeze_unpack(query->squeeze, packed, LAYOUT_RECORD_MAX, out, &id);
	}
	return error ? why_set(why, EIO, "%s/%s: a record is damaged", query->path, query->shown)
		     : 0;
}
