// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "collector/query_internal.h"

#define NEIGHBOURS_LOOKED_AT 500  /* calls of the address, on each side */
#define NEIGHBOURS_MESSAGES  4096 /* of a conversation that is followed */

/* The blocks of what was sent, in their order. */
struct thread {
	int64_t blocks[NEIGHBOURS_MESSAGES];
	size_t n;
};

static void thread_read(struct thread *thread, struct slice lists)
{
	struct content_list list;
	int64_t block, last = 0;

	thread->n = 0;
	while (lists.len && content_take_list(&lists, &list))
		for (uint32_t i = 0; i < list.n; i++) {
			if (!content_take_block(&lists, &block, &last))
				return;
			if (list.kind == CONTENT_INPUT && thread->n < NEIGHBOURS_MESSAGES)
				thread->blocks[thread->n++] = block;
		}
}

/* Whether b begins with all of a and goes on. */
static bool thread_continues(const struct thread *a, const struct thread *b)
{
	return a->n && a->n < b->n &&
	       memcmp(a->blocks, b->blocks, a->n * sizeof(a->blocks[0])) == 0;
}

struct neighbours {
	struct query *query;
	const struct query_event *event;
	struct thread own, other;
	struct why *why;
};

/* The nearest of the address's calls on one side that belongs to it. */
static int neighbours_side(
	struct neighbours *n, const struct address *source, bool after, struct buf *found)
{
	sqlite3_stmt *rows = NULL;
	int step = SQLITE_DONE, error = 0;

	if (sqlite3_prepare_v2(n->query->database,
		    after ? "SELECT event_id, content FROM day.event WHERE kind = 1 AND source = ?1"
			    " AND (time_ns, id) > (?2, ?3) ORDER BY time_ns, id LIMIT ?4"
			  : "SELECT event_id, content FROM day.event WHERE kind = 1 AND source = ?1"
			    " AND (time_ns, id) < (?2, ?3) ORDER BY time_ns DESC, id DESC LIMIT ?4",
		    -1, &rows, NULL) != SQLITE_OK)
		return query_error(n->query, n->why);
	sqlite3_bind_blob(rows, 1, source->bytes, sizeof(source->bytes), SQLITE_STATIC);
	sqlite3_bind_int64(rows, 2, (int64_t)n->event->time_ns);
	sqlite3_bind_int64(rows, 3, n->event->id);
	sqlite3_bind_int(rows, 4, NEIGHBOURS_LOOKED_AT);
	while (!error && !buf_len(found) && (step = sqlite3_step(rows)) == SQLITE_ROW) {
		thread_read(&n->other, query_blob(rows, 1));
		if (after ? thread_continues(&n->own, &n->other)
			  : thread_continues(&n->other, &n->own))
			error = buf_append_slice(found, query_text(rows, 0));
	}
	if (error)
		error = why_set(n->why, ENOMEM, "out of memory");
	else if (step != SQLITE_DONE && step != SQLITE_ROW)
		error = query_error(n->query, n->why);
	sqlite3_finalize(rows);
	return error;
}

/* The event's own list of blocks, and its address. False: it has none of the two. */
static bool neighbours_own(struct neighbours *n, struct address *source)
{
	sqlite3_stmt *row = NULL;
	bool found = false;

	if (sqlite3_prepare_v2(n->query->database,
		    "SELECT source, content FROM day.event WHERE id = ? AND kind = 1", -1, &row,
		    NULL) == SQLITE_OK) {
		sqlite3_bind_int64(row, 1, n->event->id);
		if (sqlite3_step(row) == SQLITE_ROW &&
			sqlite3_column_bytes(row, 0) == sizeof(source->bytes)) {
			memcpy(source->bytes, sqlite3_column_blob(row, 0), sizeof(source->bytes));
			thread_read(&n->own, query_blob(row, 1));
			found = n->own.n > 0;
		}
	}
	sqlite3_finalize(row);
	return found;
}

int query_neighbours(struct query *query, const struct query_event *event,
	struct query_neighbours *neighbours, struct why *why)
{
	struct neighbours *n = calloc(1, sizeof(*n));
	struct address source;
	int error = query_begin(query, why);

	*neighbours = (struct query_neighbours){BUF_EMPTY, BUF_EMPTY, 0};
	if (!n)
		return why_set(why, ENOMEM, "out of memory");
	*n = (struct neighbours){.query = query, .event = event, .why = why};
	if (!error)
		error = query_attach(query, (int32_t)(event->time_ns / LAYOUT_NS_PER_DAY), why);
	if (!error) {
		if (neighbours_own(n, &source)) {
			error = neighbours_side(n, &source, false, &neighbours->before);
			neighbours->shared = buf_len(&neighbours->before) ? n->other.n : 0;
			if (!error)
				error = neighbours_side(n, &source, true, &neighbours->after);
		}
		query_detach(query);
	}
	free(n);
	return error == -ENOENT ? 0 : error;
}
