// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/query_internal.h"
#include "collector/seal.h"

#define SEARCH_STEP	  500 /* blocks that are looked at a time, the newest first */
#define SEARCH_PREFIX_MIN 3

/* ---- words ---- */

/* Whether there is anything in it that an index holds. */
static bool search_has_letters(struct slice word)
{
	for (size_t i = 0; i < word.len; i++) {
		unsigned char c = (unsigned char)word.data[i];

		if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z'))
			return true;
	}
	return false;
}

/* One word as FTS5 takes it: in quotes, so that nothing in it is an operator. */
static int search_word(struct slice word, struct buf *match, struct why *why)
{
	bool prefix = word.len && word.data[word.len - 1] == '*';
	int error = buf_printf(match, "%s\"", buf_len(match) ? " " : "");

	if (prefix)
		word.len--;
	if (!search_has_letters(word) || (prefix && word.len < SEARCH_PREFIX_MIN))
		return why_set(why, EINVAL, "%s: expected words with letters or digits%s",
			log_quote(word).text, prefix ? ", three at least before *" : "");
	for (size_t i = 0; i < word.len && !error; i++)
		error = word.data[i] == '"' ? buf_append(match, "\"\"", 2)
					    : buf_append(match, word.data + i, 1);
	if (!error)
		error = buf_printf(match, prefix ? "\"*" : "\"");
	return error ? why_set(why, ENOMEM, "out of memory") : 0;
}

/* ---- one day ---- */

struct search {
	struct query *query;
	struct slice match;
	struct query_reading *reading;
	struct query_lag *lag;
};

static int search_lag(const struct search *s)
{
	sqlite3_stmt *statement = NULL;
	int error = 0;

	if (sqlite3_prepare_v2(s->query->database,
		    "SELECT (SELECT count(*) FROM day.event WHERE id > last_event),"
		    " (SELECT time_ns FROM day.event WHERE id = last_event) FROM fts.state",
		    -1, &statement, NULL) != SQLITE_OK ||
		sqlite3_step(statement) != SQLITE_ROW) {
		error = query_error(s->query, s->reading->why);
	} else if (query_count(statement, 0)) {
		s->lag->events += query_count(statement, 0);
		s->lag->until_ns = query_count(statement, 1);
	}
	sqlite3_finalize(statement);
	return error;
}

/* A day without an index. */
static int search_lag_of_day(const struct search *s)
{
	sqlite3_stmt *statement = NULL;
	int error = 0;

	if (sqlite3_prepare_v2(s->query->database, "SELECT count(*) FROM day.event", -1, &statement,
		    NULL) != SQLITE_OK ||
		sqlite3_step(statement) != SQLITE_ROW)
		error = query_error(s->query, s->reading->why);
	else
		s->lag->events += query_count(statement, 0);
	sqlite3_finalize(statement);
	return error;
}

/* The next blocks that match, into temp.found; *below is the lowest of them, 0: there are no more. */
static int search_found(const struct search *s, int64_t *below)
{
	sqlite3_stmt *find = NULL, *least = NULL;
	int error = query_execute(s->query, "DELETE FROM temp.found", s->reading->why);

	if (!error &&
		(sqlite3_prepare_v2(s->query->database,
			 "INSERT INTO temp.found SELECT rowid FROM fts.text WHERE text MATCH ?"
			 " AND rowid < ? ORDER BY rowid DESC LIMIT ?",
			 -1, &find, NULL) != SQLITE_OK ||
			sqlite3_prepare_v2(s->query->database,
				"SELECT coalesce(min(block), 0) FROM temp.found", -1, &least,
				NULL) != SQLITE_OK))
		error = query_error(s->query, s->reading->why);
	if (!error) {
		sqlite3_bind_text(find, 1, s->match.data, (int)s->match.len, SQLITE_STATIC);
		sqlite3_bind_int64(find, 2, *below);
		sqlite3_bind_int64(find, 3, SEARCH_STEP);
		if (sqlite3_step(find) != SQLITE_DONE || sqlite3_step(least) != SQLITE_ROW)
			error = query_error(s->query, s->reading->why);
		else
			*below = sqlite3_column_int64(least, 0);
	}
	sqlite3_finalize(find);
	sqlite3_finalize(least);
	return error;
}

/* The events in which they came first, from each address, into temp.hit; those of earlier steps are
 * there already. */
static int search_hits(const struct search *s)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *hit = NULL;
	int error = buf_printf(&sql,
		"INSERT OR IGNORE INTO temp.hit SELECT use.event, 0 FROM temp.found"
		" JOIN fts.use ON use.block = found.block%s",
		s->reading->filter->has_source ? " WHERE use.source BETWEEN :low AND :high" : "");

	if (error)
		error = why_set(s->reading->why, ENOMEM, "out of memory");
	else
		error = query_prepare(s->query, &sql, s->reading->filter, &hit, s->reading->why);
	if (!error && sqlite3_step(hit) != SQLITE_DONE)
		error = query_error(s->query, s->reading->why);
	sqlite3_finalize(hit);
	buf_free(&sql);
	return error;
}

static int search_day(const struct search *s, int32_t day)
{
	struct query_reading *reading = s->reading;
	int64_t below = INT64_MAX;
	int error = query_execute(s->query, "DELETE FROM temp.hit", reading->why);

	while (!error && below && reading->left) {
		error = query_attach(s->query, day, reading->why);
		if (error)
			return error == -ENOENT ? 0 : error;
		error = query_attach_index(s->query, day, false, reading->why);
		if (error) {
			if (error == -ENOENT)
				error = search_lag_of_day(s);
			query_detach(s->query);
			return error;
		}
		if (below == INT64_MAX)
			error = search_lag(s);
		if (!error)
			error = search_found(s, &below);
		if (!error)
			error = search_hits(s);
		query_detach_index(s->query);
		query_detach(s->query);
		if (!error)
			error = query_read_hits(reading, day);
	}
	return error;
}

/* Whether words are kept: not where contents are encrypted, unless that was asked for. */
static bool search_is_kept(const struct query *query)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/" SEAL_LINK, query->path);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return true;
	for (size_t i = 0; i < query->ndays; i++) {
		snprintf(path, sizeof(path), "%s/%s", query->path,
			layout_index_name(query->days[i]).text);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

int query_search(struct query *query, const char *const *words, size_t nwords,
	const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context,
	struct query_lag *lag, struct why *why)
{
	struct query_reading reading = {
		.query = query, .filter = filter, .row = row, .context = context, .why = why};
	struct search s = {.query = query, .reading = &reading, .lag = lag};
	struct buf match = BUF_EMPTY;
	int error = 0;
	size_t from, to;

	*lag = (struct query_lag){0};
	for (size_t i = 0; i < nwords && !error; i++)
		error = search_word(slice_of_string(words[i]), &match, why);
	s.match = buf_slice(&match);
	if (!error)
		error = query_reading_begin(&reading, limit);
	if (!error && !search_is_kept(query))
		error = why_set(why, EINVAL,
			"%s: nothing can be found: contents are encrypted, and so their words are not "
			"kept (sallyport-collector --searchable)",
			query->path);
	if (!error)
		error = query_execute(query,
			"CREATE TEMP TABLE IF NOT EXISTS found(block INTEGER PRIMARY KEY);"
			"CREATE TEMP TABLE IF NOT EXISTS hit(event INTEGER PRIMARY KEY, shown INTEGER)",
			why);
	query_range(query, filter, &from, &to);
	while (!error && to > from && reading.left)
		error = search_day(&s, query->days[--to]);
	query_reading_end(&reading);
	buf_free(&match);
	return error;
}
