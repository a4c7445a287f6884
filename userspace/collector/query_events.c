// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "collector/layout.h"
#include "collector/query_internal.h"

/* Events that are read at a time, and roughly the bytes of theirs. */
#define QUERY_PAGE	 200
#define QUERY_PAGE_BYTES (8u << 20)

enum { COLUMN_ID = PART_COLUMNS, COLUMN_TIME, COLUMN_CONFLICT, COLUMN_STATUS, COLUMN_INPUT,
	COLUMN_OUTPUT, COLUMN_RECORD, COLUMN_CONTENT, COLUMN_DIGEST, COLUMN_DURATION };

const char query_event_columns[] =
	"SELECT event_id, address(source), " QUERY_NAME_OF("kind") ", " QUERY_NAME_OF("host") ", "
	QUERY_NAME_OF("operation") ", " QUERY_NAME_OF("model") ", " QUERY_NAME_OF("outcome") ", "
	QUERY_NAME_OF("error_type") ", " QUERY_NAME_OF("usage_source")
	", event.id, time_ns, conflict, status, input_tokens, output_tokens, record, content, digest,"
	" duration_ns FROM day.event";

struct query_page {
	struct query_row rows[QUERY_PAGE];
	size_t n, bytes;
};

static int query_block(struct query *query, sqlite3_stmt *blocks, int64_t block, struct buf *out,
	struct why *why)
{
	int error;

	sqlite3_bind_int64(blocks, 1, block);
	if (sqlite3_step(blocks) == SQLITE_ROW)
		error = query_unpack(query, query_blob(blocks, 0), out, why);
	else
		error = why_set(why, EIO, "%s/%s: block %lld is missing", query->path, query->shown,
			(long long)block);
	sqlite3_reset(blocks);
	return error;
}

/* One text of the list, of the blocks that follow. */
static int query_join(struct query *query, sqlite3_stmt *blocks, struct slice *rest,
	const struct content_list *list, int64_t *last, struct buf *out, struct why *why)
{
	int error = list->array ? buf_append(out, "[", 1) : 0;
	int64_t block;

	for (uint32_t i = 0; i < list->n && !error; i++) {
		if (!content_take_block(rest, &block, last))
			return why_set(why, EIO, "%s/%s: an event's list of blocks is damaged",
				query->path, query->shown);
		if (i)
			error = buf_append(out, ",", 1);
		if (!error)
			error = query_block(query, blocks, block, out, why);
	}
	return error || !list->array ? error : buf_append(out, "]", 1);
}

static int query_content(struct query *query, struct query_row *row, struct slice rest,
	sqlite3_stmt *blocks, struct why *why)
{
	struct content_list list;
	int64_t last = 0;
	int error = 0;

	while (rest.len && !error) {
		if (!content_take_list(&rest, &list))
			return why_set(why, EIO, "%s/%s: an event's list of blocks is damaged",
				query->path, query->shown);
		row->begin[PART_CONTENT + list.kind] = buf_len(&row->text);
		error = query_join(query, blocks, &rest, &list, &last, &row->text, why);
		row->end[PART_CONTENT + list.kind] = buf_len(&row->text);
	}
	return error;
}

int query_row_read(struct query *query, struct query_row *row, sqlite3_stmt *rows,
	sqlite3_stmt *blocks, struct why *why)
{
	int error = 0;

	memset(row->begin, 0, sizeof(row->begin));
	memset(row->end, 0, sizeof(row->end));
	buf_clear(&row->text);
	row->event = (struct query_event){.id = sqlite3_column_int64(rows, COLUMN_ID),
		.time_ns = query_count(rows, COLUMN_TIME),
		.conflict = sqlite3_column_int(rows, COLUMN_CONFLICT) != 0,
		.digest = sqlite3_column_int64(rows, COLUMN_DIGEST),
		.status = sqlite3_column_int64(rows, COLUMN_STATUS),
		.input_tokens = query_count(rows, COLUMN_INPUT),
		.output_tokens = query_count(rows, COLUMN_OUTPUT),
		.duration_ns = query_count(rows, COLUMN_DURATION)};
	for (int i = 0; i < PART_COLUMNS && !error; i++) {
		row->begin[i] = buf_len(&row->text);
		error = buf_append_slice(&row->text, query_text(rows, i));
		row->end[i] = buf_len(&row->text);
	}
	row->begin[PART_RECORD] = buf_len(&row->text);
	if (!error)
		error = query_unpack(query, query_blob(rows, COLUMN_RECORD), &row->text, why);
	row->end[PART_RECORD] = buf_len(&row->text);
	if (!error)
		error = query_content(query, row, query_blob(rows, COLUMN_CONTENT), blocks, why);
	return error;
}

/* Its texts, now that they do not move any more. */
void query_row_point(struct query_row *row)
{
	struct query_event *event = &row->event;
	struct slice *const parts[PARTS] = {[PART_EVENT_ID] = &event->event_id,
		[PART_SOURCE] = &event->source_ip, [PART_KIND] = &event->kind,
		[PART_HOST] = &event->host, [PART_OPERATION] = &event->operation,
		[PART_MODEL] = &event->model, [PART_OUTCOME] = &event->outcome,
		[PART_ERROR] = &event->error_type, [PART_USAGE] = &event->usage_source,
		[PART_RECORD] = &event->record, [PART_CONTENT] = &event->content[0],
		[PART_CONTENT + 1] = &event->content[1], [PART_CONTENT + 2] = &event->content[2]};

	for (int i = 0; i < PARTS; i++)
		*parts[i] = slice_of(buf_slice(&row->text).data + row->begin[i],
			row->end[i] - row->begin[i]);
}

/* Reads the rows of the statement that fit the page; *more: there are others behind them. */
static int query_page_read(struct query *query, struct query_page *page, sqlite3_stmt *rows,
	bool *more, struct why *why)
{
	sqlite3_stmt *blocks = NULL;
	int step = SQLITE_DONE, error = 0;

	page->n = page->bytes = 0;
	*more = false;
	if (sqlite3_prepare_v2(query->database, "SELECT data FROM day.block WHERE id = ?", -1, &blocks,
		    NULL) != SQLITE_OK)
		return query_error(query, why);
	while (!error && !*more && (step = sqlite3_step(rows)) == SQLITE_ROW) {
		struct query_row *row = &page->rows[page->n];

		*more = page->n == QUERY_PAGE || page->bytes >= QUERY_PAGE_BYTES;
		if (*more)
			break;
		error = query_row_read(query, row, rows, blocks, why);
		if (error == -ENOMEM)
			why_set(why, ENOMEM, "out of memory");
		if (error)
			break;
		page->bytes += buf_len(&row->text);
		page->n++;
	}
	if (!error && step != SQLITE_ROW && step != SQLITE_DONE)
		error = query_error(query, why);
	sqlite3_finalize(blocks);
	return error;
}

static int query_tell(struct query_reading *reading)
{
	int error = 0;

	for (size_t i = 0; i < reading->page->n && reading->left && !error; i++) {
		query_row_point(&reading->page->rows[i]);
		error = reading->row(reading->context, &reading->page->rows[i].event);
		reading->left--;
	}
	return error;
}

int query_reading_begin(struct query_reading *reading, uint64_t limit)
{
	int error = query_begin(reading->query, reading->why);

	reading->left = limit ? limit : UINT64_MAX;
	reading->page = error ? NULL : calloc(1, sizeof(*reading->page));
	return error || reading->page ? error : why_set(reading->why, ENOMEM, "out of memory");
}

void query_reading_end(struct query_reading *reading)
{
	for (size_t i = 0; reading->page && i < QUERY_PAGE; i++)
		buf_wipe(&reading->page->rows[i].text);
	free(reading->page);
}

/* ---- newest first ---- */

static int query_page_before(
	struct query_reading *reading, const struct query_window *window, bool *more)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *rows = NULL;
	int error = buf_printf(&sql, "%s", query_event_columns);

	if (!error)
		error = query_where(&sql, reading->filter);
	if (!error)
		error = buf_printf(&sql,
			" AND time_ns >= :since AND (time_ns, event.id) < (:before, :id)"
			" ORDER BY time_ns DESC, event.id DESC LIMIT %llu",
			reading->left < QUERY_PAGE ? (unsigned long long)reading->left
						   : QUERY_PAGE + 1ull);
	if (error)
		error = why_set(reading->why, ENOMEM, "out of memory");
	else
		error = query_prepare(reading->query, &sql, reading->filter, &rows, reading->why);
	if (!error) {
		query_bind_number(rows, ":since", (int64_t)window->since_ns);
		query_bind_number(rows, ":before", (int64_t)window->before_ns);
		query_bind_number(rows, ":id", window->before_id);
		error = query_page_read(reading->query, reading->page, rows, more, reading->why);
	}
	sqlite3_finalize(rows);
	buf_free(&sql);
	return error;
}

/* All pages of a window; the day is not attached while they are told. */
static int query_window_events(
	struct query_reading *reading, int32_t day, struct query_window window)
{
	bool more = true;
	int error = 0;

	while (more && reading->left && !error) {
		error = query_attach(reading->query, day, reading->why);
		if (error)
			return error == -ENOENT ? 0 : error;
		error = query_page_before(reading, &window, &more);
		query_detach(reading->query);
		if (!error && reading->page->n) {
			window.before_ns = reading->page->rows[reading->page->n - 1].event.time_ns;
			window.before_id = reading->page->rows[reading->page->n - 1].event.id;
			error = query_tell(reading);
		}
	}
	return error;
}

static int query_day_events(struct query_reading *reading, int32_t day)
{
	struct query_window window;
	uint32_t hours = 0;
	int error = query_attach(reading->query, day, reading->why);

	if (error)
		return error == -ENOENT ? 0 : error;
	error = query_hours(reading->query, reading->filter, &hours, reading->why);
	query_detach(reading->query);
	while (!error && reading->left && query_next_hours(day, &hours, reading->filter, &window))
		error = query_window_events(reading, day, window);
	return error;
}

int query_events(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context,
	struct why *why)
{
	struct query_reading reading = {
		.query = query, .filter = filter, .row = row, .context = context, .why = why};
	int error = query_reading_begin(&reading, limit);
	size_t from, to;

	query_range(query, filter, &from, &to);
	while (!error && to > from && reading.left)
		error = query_day_events(&reading, query->days[--to]);
	query_reading_end(&reading);
	return error;
}

/* ---- those that were searched ---- */

static int query_page_hits(struct query_reading *reading, bool *more)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *rows = NULL;
	int error = buf_printf(&sql, "%s NOT INDEXED", query_event_columns);

	if (!error)
		error = query_where(&sql, reading->filter);
	if (!error)
		error = buf_printf(&sql,
			" AND event.id IN (SELECT event FROM temp.hit WHERE shown = 0)"
			" AND time_ns >= :since AND time_ns < :until"
			" ORDER BY time_ns DESC, event.id DESC LIMIT %llu",
			reading->left < QUERY_PAGE ? (unsigned long long)reading->left
						   : QUERY_PAGE + 1ull);
	if (error)
		error = why_set(reading->why, ENOMEM, "out of memory");
	else
		error = query_prepare(reading->query, &sql, reading->filter, &rows, reading->why);
	if (!error) {
		query_bind_number(rows, ":since", (int64_t)reading->filter->since_ns);
		query_bind_number(rows, ":until",
			reading->filter->until_ns ? (int64_t)reading->filter->until_ns : INT64_MAX);
		error = query_page_read(reading->query, reading->page, rows, more, reading->why);
	}
	sqlite3_finalize(rows);
	buf_free(&sql);
	return error;
}

static int query_hits_shown(struct query_reading *reading)
{
	sqlite3_stmt *shown = NULL;
	int error = 0;

	if (sqlite3_prepare_v2(reading->query->database,
		    "UPDATE temp.hit SET shown = 1 WHERE event = ?", -1, &shown, NULL) != SQLITE_OK)
		error = query_error(reading->query, reading->why);
	for (size_t i = 0; i < reading->page->n && !error; i++) {
		sqlite3_bind_int64(shown, 1, reading->page->rows[i].event.id);
		if (sqlite3_step(shown) != SQLITE_DONE)
			error = query_error(reading->query, reading->why);
		sqlite3_reset(shown);
	}
	sqlite3_finalize(shown);
	return error;
}

int query_read_hits(struct query_reading *reading, int32_t day)
{
	bool more = true;
	int error = 0;

	while (more && reading->left && !error) {
		error = query_attach(reading->query, day, reading->why);
		if (error)
			return error == -ENOENT ? 0 : error;
		error = query_page_hits(reading, &more);
		query_detach(reading->query);
		if (!error)
			error = query_hits_shown(reading);
		if (!error)
			error = query_tell(reading);
	}
	/* Those outside the times as well. */
	return error ? error
		     : query_execute(reading->query, "UPDATE temp.hit SET shown = 1", reading->why);
}

/* ---- following ---- */

/* A number that differs when the day's files have changed; 0: they did so just now, and may once more
 * within one tick of the clock that dates files. */
static int64_t query_changed(const struct query *query, int32_t day)
{
	static const char *const suffixes[] = {"", "-wal"};
	uint64_t sum = 0;

	for (size_t i = 0; i < 2; i++) {
		char path[4200];
		struct stat status = {0};

		snprintf(path, sizeof(path), "%s/%s%s", query->path, layout_day_name(day).text,
			suffixes[i]);
		if (stat(path, &status) == 0)
			sum = sum * 31 + (uint64_t)status.st_mtim.tv_sec * NS_PER_S +
			      (uint64_t)status.st_mtim.tv_nsec;
		if (status.st_mtim.tv_sec + 2 >= time(NULL))
			return 0;
	}
	return (int64_t)(sum | 1);
}

/* The cursor of a day: one that is new begins before its first event. NULL without memory. */
static struct query_cursor *query_cursor(struct query *query, int32_t day)
{
	struct query_cursor *more;

	for (size_t i = 0; i < query->ncursors; i++)
		if (query->cursors[i].day == day)
			return &query->cursors[i];
	more = reallocarray(query->cursors, query->ncursors + 1, sizeof(*more));
	if (!more)
		return NULL;
	query->cursors = more;
	more[query->ncursors] = (struct query_cursor){.day = day};
	return &more[query->ncursors++];
}

/* The id after which the last n events of the attached day come. */
static int query_last(struct query *query, uint64_t n, int64_t *after, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int error = 0;

	*after = 0;
	if (sqlite3_prepare_v2(query->database, "SELECT id FROM day.event ORDER BY id DESC LIMIT 1 OFFSET ?",
		    -1, &statement, NULL) != SQLITE_OK) {
		error = query_error(query, why);
	} else {
		sqlite3_bind_int64(statement, 1, (int64_t)n);
		if (sqlite3_step(statement) == SQLITE_ROW)
			*after = sqlite3_column_int64(statement, 0);
	}
	sqlite3_finalize(statement);
	return error;
}

int query_follow_begin(struct query *query, uint64_t n, struct why *why)
{
	int error = query_begin(query, why);

	query->ncursors = 0;
	for (size_t i = 0; i < query->ndays && !error; i++) {
		struct query_cursor *cursor = query_cursor(query, query->days[i]);

		if (!cursor)
			return why_set(why, ENOMEM, "out of memory");
		error = query_attach(query, cursor->day, why);
		if (error == -ENOENT)
			error = 0;
		else if (!error) {
			error = query_last(query, i + 1 == query->ndays ? n : 0, &cursor->after, why);
			query_detach(query);
		}
	}
	return error;
}

static int query_page_after(struct query_reading *reading, struct query_cursor *cursor, bool *more)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *rows = NULL;
	/* From a certain row on, in the order of storing. */
	int error = buf_printf(&sql, "%s NOT INDEXED", query_event_columns);

	if (!error)
		error = query_where(&sql, reading->filter);
	if (!error)
		error = buf_printf(&sql, " AND event.id > :after ORDER BY event.id LIMIT %llu",
			reading->left < QUERY_PAGE ? (unsigned long long)reading->left
						   : QUERY_PAGE + 1ull);
	if (error)
		error = why_set(reading->why, ENOMEM, "out of memory");
	else
		error = query_prepare(reading->query, &sql, reading->filter, &rows, reading->why);
	if (!error) {
		query_bind_number(rows, ":after", cursor->after);
		error = query_page_read(reading->query, reading->page, rows, more, reading->why);
	}
	sqlite3_finalize(rows);
	buf_free(&sql);
	return error;
}

bool query_has_changed(struct query *query, int32_t day)
{
	const struct query_cursor *cursor = query_cursor(query, day);
	int64_t changed = query_changed(query, day);

	return !cursor || !changed || cursor->changed != changed;
}

void query_was_seen(struct query *query, int32_t day)
{
	struct query_cursor *cursor = query_cursor(query, day);

	if (cursor)
		cursor->changed = query_changed(query, day);
}

static int query_day_follow(struct query_reading *reading, struct query_cursor *cursor)
{
	int64_t changed = query_changed(reading->query, cursor->day);
	bool more = !changed || changed != cursor->changed;
	int error = 0;

	while (more && reading->left && !error) {
		error = query_attach(reading->query, cursor->day, reading->why);
		if (error)
			return error == -ENOENT ? 0 : error;
		error = query_page_after(reading, cursor, &more);
		query_detach(reading->query);
		if (!error && reading->page->n) {
			cursor->after = reading->page->rows[reading->page->n - 1].event.id;
			error = query_tell(reading);
		}
	}
	if (!error && !more)
		cursor->changed = changed;
	return error;
}

int query_follow(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_event *event), void *context,
	struct why *why)
{
	struct query_reading reading = {
		.query = query, .filter = filter, .row = row, .context = context, .why = why};
	int error = query_reading_begin(&reading, limit);

	for (size_t i = 0; i < query->ndays && !error && reading.left; i++) {
		struct query_cursor *cursor = query_cursor(query, query->days[i]);

		error = cursor ? query_day_follow(&reading, cursor)
			       : why_set(why, ENOMEM, "out of memory");
	}
	query_reading_end(&reading);
	return error;
}
