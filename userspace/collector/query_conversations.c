// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that belong together. An agent sends all that was said again with each call: the messages of one
 * call stand at the beginning of the next. Sorted by their messages, calls of a conversation lie behind
 * the one that began it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/event_json.h"
#include "collector/layout.h"
#include "collector/query_internal.h"

#define CONVERSATION_CALLS    5000	  /* that are looked at, of one day */
#define CONVERSATION_MESSAGES (1u << 20) /* of all of them */

struct conversation_call {
	int64_t id;
	uint64_t time_ns, input_tokens, output_tokens;
	struct address source;
	bool has_source;
	size_t first, n; /* messages, in conversations.blocks */
};

struct conversation {
	const struct conversation_call *begin, *last, *longest;
	uint64_t calls, first_ns, input_tokens, output_tokens;
};

struct conversations {
	struct query *query;
	const struct query_filter *filter;
	struct conversation_call calls[CONVERSATION_CALLS];
	struct conversation found[CONVERSATION_CALLS];
	int64_t *blocks;
	size_t ncalls, nfound, nblocks;
	bool cut; /* there are more calls */
	struct why *why;
};

/* The blocks of what was sent, in their order. False: there is no more room. */
static bool conversation_read(
	struct conversations *c, struct conversation_call *call, struct slice lists)
{
	struct content_list list;
	int64_t block, last = 0;

	call->first = c->nblocks;
	call->n = 0;
	while (lists.len && content_take_list(&lists, &list))
		for (uint32_t i = 0; i < list.n; i++) {
			if (!content_take_block(&lists, &block, &last))
				return true;
			if (list.kind != CONTENT_INPUT)
				continue;
			if (c->nblocks == CONVERSATION_MESSAGES)
				return false;
			c->blocks[c->nblocks++] = block;
			call->n++;
		}
	return true;
}

static void conversation_add(struct conversations *c, sqlite3_stmt *rows)
{
	struct conversation_call *call = &c->calls[c->ncalls];
	struct slice source = query_blob(rows, 2);

	*call = (struct conversation_call){.id = sqlite3_column_int64(rows, 0),
		.time_ns = query_count(rows, 1),
		.has_source = source.len == sizeof(call->source.bytes),
		.input_tokens = query_count(rows, 4),
		.output_tokens = query_count(rows, 5)};
	if (call->has_source)
		memcpy(call->source.bytes, source.data, source.len);
	if (!conversation_read(c, call, query_blob(rows, 3)))
		c->cut = true;
	else if (call->n)
		c->ncalls++;
}

static int conversations_read(struct conversations *c, const struct query_window *window)
{
	struct buf sql = BUF_EMPTY;
	sqlite3_stmt *rows = NULL;
	int step = SQLITE_DONE;
	int error = buf_printf(&sql, "SELECT event.id, time_ns, source, content, input_tokens,"
				     " output_tokens FROM day.event");

	if (!error)
		error = query_where(&sql, c->filter);
	if (!error)
		error = buf_printf(&sql, " AND content IS NOT NULL AND time_ns >= :since AND time_ns <"
					 " :before ORDER BY time_ns DESC");
	if (error)
		error = why_set(c->why, ENOMEM, "out of memory");
	else
		error = query_prepare(c->query, &sql, c->filter, &rows, c->why);
	if (!error) {
		query_bind_number(rows, ":since", (int64_t)window->since_ns);
		query_bind_number(rows, ":before", (int64_t)window->before_ns);
	}
	while (!error && !c->cut && (step = sqlite3_step(rows)) == SQLITE_ROW) {
		c->cut = c->ncalls == CONVERSATION_CALLS;
		if (!c->cut)
			conversation_add(c, rows);
	}
	if (!error && step != SQLITE_ROW && step != SQLITE_DONE)
		error = query_error(c->query, c->why);
	sqlite3_finalize(rows);
	buf_free(&sql);
	return error;
}

/* ---- together ---- */

static int conversation_compare(const void *one, const void *other, void *context)
{
	const struct conversation_call *a = one, *b = other;
	const struct conversations *c = context;
	int order = memcmp(a->source.bytes, b->source.bytes, sizeof(a->source.bytes));

	if (order || a->has_source != b->has_source)
		return order ? order : a->has_source - b->has_source;
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int64_t x = c->blocks[a->first + i], y = c->blocks[b->first + i];

		if (x != y)
			return x < y ? -1 : 1;
	}
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

/* Whether b begins with all messages of a. */
static bool conversation_begins(const struct conversations *c, const struct conversation_call *a,
	const struct conversation_call *b)
{
	return a->n <= b->n && a->has_source == b->has_source &&
	       address_equal(&a->source, &b->source) &&
	       memcmp(c->blocks + a->first, c->blocks + b->first, a->n * sizeof(*c->blocks)) == 0;
}

static void conversations_group(struct conversations *c)
{
	struct conversation *of = NULL;

	c->nfound = 0;
	qsort_r(c->calls, c->ncalls, sizeof(c->calls[0]), conversation_compare, c);
	for (size_t i = 0; i < c->ncalls; i++) {
		const struct conversation_call *call = &c->calls[i];

		if (!of || !conversation_begins(c, of->begin, call)) {
			of = &c->found[c->nfound++];
			*of = (struct conversation){call, call, call, 0, call->time_ns, 0, 0};
		}
		of->calls++;
		of->input_tokens += call->input_tokens;
		of->output_tokens += call->output_tokens;
		if (call->time_ns < of->first_ns)
			of->first_ns = call->time_ns;
		if (call->time_ns >= of->last->time_ns)
			of->last = call;
		if (call->n > of->longest->n)
			of->longest = call;
	}
}

static int conversation_newer(const void *one, const void *other)
{
	const struct conversation *a = one, *b = other;

	return (a->last->time_ns < b->last->time_ns) - (a->last->time_ns > b->last->time_ns);
}

/* ---- telling ---- */

/* What the call that began it asked: its last message. */
static int conversation_question(
	struct conversations *c, const struct conversation_call *call, struct buf *out)
{
	struct buf block = BUF_EMPTY;
	sqlite3_stmt *find = NULL;
	int error = 0;

	if (sqlite3_prepare_v2(c->query->database, "SELECT data FROM day.block WHERE id = ?", -1, &find,
		    NULL) != SQLITE_OK)
		return query_error(c->query, c->why);
	sqlite3_bind_int64(find, 1, c->blocks[call->first + call->n - 1]);
	error = buf_append(&block, "[", 1);
	/* A block that is damaged is told by audit verify. */
	if (!error && sqlite3_step(find) == SQLITE_ROW &&
		query_unpack(c->query, query_blob(find, 0), &block, c->why) < 0)
		buf_clear(&block);
	if (!error)
		error = buf_append(&block, "]", 1);
	if (!error)
		event_json_last(buf_slice(&block), out);
	sqlite3_finalize(find);
	buf_wipe(&block);
	return error ? why_set(c->why, ENOMEM, "out of memory") : 0;
}

/* Appends what is told of one, while its day is attached; *told points into the texts only later. */
struct conversation_told {
	struct query_conversation told;
	struct buf event_id, model, question;
};

static int conversation_take(
	struct conversations *c, const struct conversation *of, struct conversation_told *told)
{
	sqlite3_stmt *find = NULL;
	int error = 0;

	told->told = (struct query_conversation){.first_ns = of->first_ns,
		.last_ns = of->last->time_ns,
		.calls = of->calls,
		.messages = of->longest->n,
		.input_tokens = of->input_tokens,
		.output_tokens = of->output_tokens,
		.source = of->begin->source,
		.has_source = of->begin->has_source};
	if (sqlite3_prepare_v2(c->query->database,
		    "SELECT event_id, " QUERY_NAME_OF("model") " FROM day.event WHERE event.id = ?", -1,
		    &find, NULL) != SQLITE_OK)
		return query_error(c->query, c->why);
	sqlite3_bind_int64(find, 1, of->last->id);
	if (sqlite3_step(find) == SQLITE_ROW) {
		error = buf_append_slice(&told->event_id, query_text(find, 0));
		if (!error)
			error = buf_append_slice(&told->model, query_text(find, 1));
	}
	sqlite3_finalize(find);
	if (error)
		return why_set(c->why, ENOMEM, "out of memory");
	return conversation_question(c, of->begin, &told->question);
}

/* The latest of the day; they are told when it is not attached any more. */
static int conversations_tell(struct conversations *c, int32_t day, uint64_t *left,
	int (*row)(void *context, const struct query_conversation *conversation), void *context)
{
	size_t n = c->nfound < *left ? c->nfound : (size_t)*left;
	struct conversation_told *told = calloc(n + 1, sizeof(*told));
	int error = told ? query_attach(c->query, day, c->why)
			 : why_set(c->why, ENOMEM, "out of memory");

	if (!error) {
		for (size_t i = 0; i < n && !error; i++)
			error = conversation_take(c, &c->found[i], &told[i]);
		query_detach(c->query);
	}
	for (size_t i = 0; i < n && told; i++) {
		told[i].told.event_id = buf_slice(&told[i].event_id);
		told[i].told.model = buf_slice(&told[i].model);
		told[i].told.question = buf_slice(&told[i].question);
		if (!error)
			error = row(context, &told[i].told);
		buf_free(&told[i].event_id);
		buf_free(&told[i].model);
		buf_wipe(&told[i].question);
	}
	*left -= n;
	free(told);
	return error == -ENOENT ? 0 : error;
}

static int conversations_day(struct conversations *c, int32_t day)
{
	struct query_window window;
	uint32_t hours = 0;
	int error = query_attach(c->query, day, c->why);

	c->ncalls = c->nblocks = 0;
	if (error)
		return error == -ENOENT ? 0 : error;
	error = query_hours(c->query, c->filter, &hours, c->why);
	while (!error && !c->cut && query_next_hours(day, &hours, c->filter, &window))
		error = conversations_read(c, &window);
	query_detach(c->query);
	conversations_group(c);
	qsort(c->found, c->nfound, sizeof(c->found[0]), conversation_newer);
	return error;
}

int query_conversations(struct query *query, const struct query_filter *filter, uint64_t limit,
	int (*row)(void *context, const struct query_conversation *conversation), void *context,
	bool *cut, struct why *why)
{
	struct query_filter calls = *filter;
	struct conversations *c = calloc(1, sizeof(*c));
	size_t from, to;
	int error = query_begin(query, why);

	*cut = false;
	calls.kind = "exchange";
	if (c) {
		*c = (struct conversations){.query = query, .filter = &calls, .why = why};
		c->blocks = malloc(CONVERSATION_MESSAGES * sizeof(*c->blocks));
	}
	if (!error && (!c || !c->blocks))
		error = why_set(why, ENOMEM, "out of memory");
	query_range(query, filter, &from, &to);
	while (!error && to > from && limit && !*cut) {
		error = conversations_day(c, query->days[--to]);
		*cut = c->cut;
		if (!error)
			error = conversations_tell(c, query->days[to], &limit, row, context);
	}
	if (c)
		free(c->blocks);
	free(c);
	return error;
}
