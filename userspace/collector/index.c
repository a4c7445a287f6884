// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/index.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "collector/query_internal.h"

#define INDEX_BATCH    1000	 /* events of a transaction */
#define INDEX_PAUSE_NS 500000000 /* between two looks, when nothing was to be done */
#define INDEX_WORD_MAX 1000	 /* bytes: a longer text without a space is data (images) */

/* block's rowid is that of the day's block. use: the first event of each source that has it. */
static const char index_schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE VIRTUAL TABLE IF NOT EXISTS fts.text USING fts5(body, content='',"
	" tokenize='unicode61');"
	"CREATE TABLE IF NOT EXISTS fts.use(block INTEGER, source BLOB, event INTEGER NOT NULL,"
	" PRIMARY KEY(block, source)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS fts.state(one INTEGER PRIMARY KEY CHECK(one = 1),"
	" last_event INTEGER NOT NULL, last_block INTEGER NOT NULL);"
	"INSERT OR IGNORE INTO fts.state VALUES(1, 0, 0);"
	"PRAGMA fts.user_version = 1;"
	"COMMIT";

/* ---- text ---- */

/* Names and values that the JSON of messages has everywhere. */
static bool index_is_common(const char *text)
{
	static const char *const common[] = {"role", "content", "type", "text", "user", "assistant",
		"system", "developer", "tool", "name", "function", "arguments", "tool_calls", "id",
		"tool_call_id", "input_text", "output_text", "image_url", "url", "detail",
		"refusal", "parameters", "properties", "description", "required", "object",
		"string"};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (strcmp(text, common[i]) == 0)
			return true;
	return false;
}

static bool index_is_data(struct slice text)
{
	return text.len > INDEX_WORD_MAX && !memchr(text.data, ' ', text.len);
}

int index_text(struct slice block, struct buf *out)
{
	yyjson_doc *doc = yyjson_read(block.data, block.len, 0);
	yyjson_val *values = yyjson_doc_get_root(doc);
	size_t n = doc ? yyjson_doc_get_val_count(doc) : 0;
	int error = 0;

	if (!doc)
		return index_is_data(block) ? 0 : buf_append_slice(out, block);
	/* The values of a document lie one behind the other: its depth does not matter. */
	for (size_t i = 0; i < n && !error; i++) {
		struct slice text =
			slice_of(yyjson_get_str(&values[i]), yyjson_get_len(&values[i]));

		if (!yyjson_is_str(&values[i]) || index_is_common(text.data) || index_is_data(text))
			continue;
		error = buf_append_slice(out, text);
		if (!error)
			error = buf_append(out, "\n", 1);
	}
	yyjson_doc_free(doc);
	return error;
}

/* ---- one step ---- */

struct index_step {
	struct query *query;
	sqlite3_stmt *blocks, *add, *use;
	int64_t last_event, last_block, new_block;
	struct buf plain, words;
	struct why *why;
};

static int index_block(struct index_step *step, int64_t block)
{
	int error = 0;

	sqlite3_bind_int64(step->blocks, 1, block);
	buf_clear(&step->plain);
	buf_clear(&step->words);
	/* A block that is damaged has no words; audit verify tells of it. */
	if (sqlite3_step(step->blocks) == SQLITE_ROW)
		(void)query_unpack(step->query, query_blob(step->blocks, 0), &step->plain, NULL);
	sqlite3_reset(step->blocks);
	if (index_text(buf_slice(&step->plain), &step->words) < 0)
		return why_set(step->why, ENOMEM, "out of memory");
	sqlite3_bind_int64(step->add, 1, block);
	sqlite3_bind_text(step->add, 2, buf_slice(&step->words).data, (int)buf_len(&step->words),
		SQLITE_STATIC);
	if (sqlite3_step(step->add) != SQLITE_DONE)
		error = query_error(step->query, step->why);
	sqlite3_reset(step->add);
	if (block > step->new_block)
		step->new_block = block;
	return error;
}

static int index_use(struct index_step *step, int64_t block, struct slice source, int64_t event)
{
	int error = 0;

	sqlite3_bind_int64(step->use, 1, block);
	/* An event without an address has an empty one. */
	sqlite3_bind_blob(
		step->use, 2, source.len ? source.data : "", (int)source.len, SQLITE_STATIC);
	sqlite3_bind_int64(step->use, 3, event);
	if (sqlite3_step(step->use) != SQLITE_DONE)
		error = query_error(step->query, step->why);
	sqlite3_reset(step->use);
	return error;
}

static int index_event(struct index_step *step, sqlite3_stmt *rows)
{
	int64_t event = sqlite3_column_int64(rows, 0), block, last = 0;
	struct slice source = query_blob(rows, 1), rest = query_blob(rows, 2);
	struct content_list list;
	int error = 0;

	while (!error && rest.len && content_take_list(&rest, &list))
		for (uint32_t i = 0; i < list.n && !error; i++) {
			if (!content_take_block(&rest, &block, &last))
				break;
			/* A day's blocks get their numbers in the order in which they come. */
			if (block > step->new_block)
				error = index_block(step, block);
			if (!error)
				error = index_use(step, block, source, event);
		}
	step->last_event = event;
	return error;
}

static int index_prepare(struct index_step *step, const char *sql, sqlite3_stmt **statement)
{
	return sqlite3_prepare_v2(step->query->database, sql, -1, statement, NULL) == SQLITE_OK
		       ? 0
		       : query_error(step->query, step->why);
}

static int index_state_read(struct index_step *step)
{
	sqlite3_stmt *state = NULL;
	int error = index_prepare(step, "SELECT last_event, last_block FROM fts.state", &state);

	if (!error && sqlite3_step(state) == SQLITE_ROW) {
		step->last_event = sqlite3_column_int64(state, 0);
		step->last_block = step->new_block = sqlite3_column_int64(state, 1);
	} else if (!error) {
		error = query_error(step->query, step->why);
	}
	sqlite3_finalize(state);
	return error;
}

static int index_state_write(struct index_step *step)
{
	sqlite3_stmt *state = NULL;
	int error =
		index_prepare(step, "UPDATE fts.state SET last_event = ?, last_block = ?", &state);

	if (!error) {
		sqlite3_bind_int64(state, 1, step->last_event);
		sqlite3_bind_int64(state, 2, step->new_block);
		if (sqlite3_step(state) != SQLITE_DONE)
			error = query_error(step->query, step->why);
	}
	sqlite3_finalize(state);
	return error;
}

static int index_rows(struct index_step *step, uint64_t n, uint64_t *done)
{
	sqlite3_stmt *rows = NULL;
	int result = SQLITE_DONE;
	int error = index_prepare(step, "SELECT data FROM day.block WHERE id = ?", &step->blocks);

	if (!error)
		error = index_prepare(
			step, "INSERT INTO fts.text(rowid, body) VALUES(?, ?)", &step->add);
	if (!error)
		error = index_prepare(
			step, "INSERT OR IGNORE INTO fts.use VALUES(?, ?, ?)", &step->use);
	if (!error)
		error = index_prepare(step,
			"SELECT id, source, content FROM day.event WHERE id > ? ORDER BY id LIMIT ?",
			&rows);
	if (!error) {
		sqlite3_bind_int64(rows, 1, step->last_event);
		sqlite3_bind_int64(rows, 2, (int64_t)n);
	}
	while (!error && (result = sqlite3_step(rows)) == SQLITE_ROW) {
		error = index_event(step, rows);
		++*done;
	}
	if (!error && result != SQLITE_DONE)
		error = query_error(step->query, step->why);
	sqlite3_finalize(rows);
	sqlite3_finalize(step->use);
	sqlite3_finalize(step->add);
	sqlite3_finalize(step->blocks);
	return error;
}

static int index_attached(struct query *query, uint64_t n, uint64_t *done, struct why *why)
{
	struct index_step step = {.query = query, .why = why};
	int error = query_execute(query,
		"PRAGMA fts.journal_mode=WAL; PRAGMA fts.synchronous=NORMAL;"
		"PRAGMA fts.journal_size_limit=67108864",
		why);

	if (!error)
		error = query_execute(query, index_schema, why);
	if (!error)
		error = query_execute(query, "BEGIN", why);
	if (error)
		return error;
	error = index_state_read(&step);
	/* Words are gathered in memory, and written and merged in larger pieces. */
	if (!error && !step.last_event)
		error = query_execute(query,
			"INSERT INTO fts.text(text, rank) VALUES('hashsize', 33554432)", why);
	if (!error)
		error = index_rows(&step, n, done);
	if (!error && *done)
		error = index_state_write(&step);
	if (!error)
		error = query_execute(query, "COMMIT", why);
	if (error)
		sqlite3_exec(query->database, "ROLLBACK", NULL, NULL, NULL);
	buf_wipe(&step.plain);
	buf_wipe(&step.words);
	return error;
}

int index_step(struct query *query, int32_t day, uint64_t n, uint64_t *done, struct why *why)
{
	int error = query_attach(query, day, why);

	*done = 0;
	if (error)
		return error == -ENOENT ? 0 : error;
	error = query_attach_index(query, day, true, why);
	if (!error) {
		error = index_attached(query, n, done, why);
		query_detach_index(query);
	}
	query_detach(query);
	if (error)
		*done = 0;
	return error;
}

/* ---- the process ---- */

struct index_process {
	struct query *query;
	struct log_limit failing;
	int32_t remade; /* the day whose index was made anew last: it is not for ever */
};

/* A damaged index is made anew. */
static void index_remove(const struct query *query, int32_t day)
{
	static const char *const suffixes[] = {"-wal", "-shm", ""};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char path[4200];

		snprintf(path, sizeof(path), "%s/%s%s", query->path, layout_index_name(day).text,
			suffixes[i]);
		unlink(path);
	}
}

/* All days once: whether there is nothing more to be done. */
static bool index_all(struct index_process *process)
{
	struct query *query = process->query;
	struct why why = {""};
	uint64_t done, left_out;
	bool idle = true;

	if (query_begin(query, &why) < 0)
		return true;
	/* Today first: what was just said is looked for most. */
	for (size_t i = query->ndays; i--;) {
		if (!query_has_changed(query, query->days[i]))
			continue;
		if (index_step(query, query->days[i], INDEX_BATCH, &done, &why) < 0) {
			if (log_limit(&process->failing, &left_out))
				log_error("index: %s (%llu such reports left out)", why.text,
					(unsigned long long)left_out);
			if (process->remade != query->days[i])
				index_remove(query, query->days[i]);
			process->remade = query->days[i];
		}
		if (done == INDEX_BATCH)
			idle = false;
		else
			query_was_seen(query, query->days[i]);
	}
	return idle;
}

int index_run(const char *path)
{
	static const struct timespec pause = {0, INDEX_PAUSE_NS};
	struct why why = {""};
	struct index_process process = {.query = query_open(path, &why), .remade = -1};

	if (!process.query) {
		log_error("index: %s", why.text);
		return EXIT_FAILURE;
	}
	query_patience(process.query, 0);
	/* The collector's work comes first. */
	if (nice(10) < 0)
		log_info("index: works at the collector's priority");
	for (;;)
		if (index_all(&process))
			nanosleep(&pause, NULL);
}
