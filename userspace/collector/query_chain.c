// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/query_chain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/anchor.h"

/* anchor: what anchors.db holds; walked: chains of the attached day; follows: what the first event of
 * a day's chain follows on an earlier day; finish: where the chains of the days end. */
static const char chain_tables[] =
	"DROP TABLE IF EXISTS temp.anchor; DROP TABLE IF EXISTS temp.walked;"
	"DROP TABLE IF EXISTS temp.follows; DROP TABLE IF EXISTS temp.finish;"
	"CREATE TEMP TABLE anchor(day INTEGER, observer TEXT, at_ns INTEGER, length INTEGER,"
	" last_id INTEGER, link BLOB, fate INTEGER, mac BLOB, PRIMARY KEY(day, observer, at_ns));"
	"CREATE TEMP TABLE walked(observer INTEGER PRIMARY KEY, length INTEGER, last_id INTEGER,"
	" link BLOB, before BLOB);"
	"CREATE TEMP TABLE follows(day INTEGER, observer TEXT, length INTEGER, last_id INTEGER,"
	" link BLOB);"
	"CREATE TEMP TABLE finish(observer TEXT, day INTEGER, last_id INTEGER, link BLOB)";

__attribute__((format(printf, 2, 3))) static int chain_broken(
	struct query_chain *chain, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	chain->found->broken++;
	return chain->ops->broken(chain->context, text);
}

static bool chain_link_of(sqlite3_stmt *statement, int column, struct keyed_link *link)
{
	struct slice blob = query_blob(statement, column);

	if (blob.len != KEYED_LINK)
		return false;
	memcpy(link->bytes, blob.data, KEYED_LINK);
	return true;
}

static bool chain_equal(const struct keyed_link *link, const struct keyed_link *other)
{
	return memcmp(link, other, sizeof(*link)) == 0;
}

static struct layout_day_name chain_day_name(int64_t day)
{
	return layout_day_name(day < 0 || day > INT32_MAX / 2 ? 0 : (int32_t)day);
}

static int chain_prepare(struct query_chain *chain, const char *sql, sqlite3_stmt **statement)
{
	return sqlite3_prepare_v2(chain->query->database, sql, -1, statement, NULL) == SQLITE_OK
		       ? 0
		       : query_error(chain->query, chain->why);
}

/* Does something with each row; the row's function may not attach a day. */
static int chain_each(struct query_chain *chain, const char *sql, int64_t number,
	int (*row)(struct query_chain *chain, sqlite3_stmt *rows))
{
	sqlite3_stmt *rows = NULL;
	int step = SQLITE_DONE, error = chain_prepare(chain, sql, &rows);

	if (!error)
		query_bind_number(rows, ":number", number);
	while (!error && (step = sqlite3_step(rows)) == SQLITE_ROW)
		error = row(chain, rows);
	if (!error && step != SQLITE_DONE)
		error = query_error(chain->query, chain->why);
	sqlite3_finalize(rows);
	return error;
}

/* ---- anchors ---- */

static int chain_anchor_mac(struct query_chain *chain, sqlite3_stmt *rows)
{
	struct slice observer = query_text(rows, 1);
	struct chain_place end = {.day = sqlite3_column_int(rows, 0),
		.length = sqlite3_column_int64(rows, 3),
		.id = sqlite3_column_int64(rows, 4)};
	struct keyed_link mac, stored;

	if (chain_link_of(rows, 5, &end.link) && chain_link_of(rows, 7, &stored) &&
		chain_mac_anchor(chain->keyed, observer, &end,
			(enum chain_fate)sqlite3_column_int(rows, 6), query_count(rows, 2), &mac) &&
		chain_equal(&mac, &stored))
		return 0;
	return chain_broken(chain, ANCHOR_FILE ": what it says of %s of %s was changed",
		chain_day_name(end.day).text, log_quote(observer).text);
}

/* A store that no collector with chains has written to has none. */
static int chain_anchors(struct query_chain *chain)
{
	char path[4200];
	int error;

	snprintf(path, sizeof(path), "%s/" ANCHOR_FILE, chain->query->path);
	if (access(path, F_OK) < 0)
		return 0;
	error = query_attach_anchors(chain->query, chain->why);
	if (!error) {
		error = query_execute(chain->query,
			"INSERT INTO temp.anchor SELECT day, observer, at_ns, length, last_id, link,"
			" fate, mac FROM anchors.anchor",
			chain->why);
		query_detach_anchors(chain->query);
	}
	return error ? error : chain_each(chain, "SELECT * FROM temp.anchor", 0, chain_anchor_mac);
}

int query_chain_begin(struct query_chain *chain)
{
	int error = query_execute(chain->query, chain_tables, chain->why);

	if (!error)
		error = chain_anchors(chain);
	if (!error)
		error = chain_prepare(chain,
			"SELECT length, last_id, link, before FROM temp.walked WHERE observer = ?",
			&chain->load);
	return error ? error
		     : chain_prepare(chain, "INSERT OR REPLACE INTO temp.walked VALUES(?, ?, ?, ?, ?)",
			       &chain->save);
}

void query_chain_free(struct query_chain *chain)
{
	sqlite3_finalize(chain->load);
	sqlite3_finalize(chain->save);
}

/* ---- events ---- */

static int chain_save(struct query_chain *chain)
{
	const struct query_chain_at *at = &chain->at;
	int error = 0;

	if (at->observer < 0)
		return 0;
	sqlite3_bind_int64(chain->save, 1, at->observer);
	sqlite3_bind_int64(chain->save, 2, at->end.length);
	sqlite3_bind_int64(chain->save, 3, at->end.id);
	sqlite3_bind_blob(chain->save, 4, at->end.link.bytes, KEYED_LINK, SQLITE_STATIC);
	sqlite3_bind_blob(chain->save, 5, at->before.bytes, KEYED_LINK, SQLITE_STATIC);
	if (sqlite3_step(chain->save) != SQLITE_DONE)
		error = query_error(chain->query, chain->why);
	sqlite3_reset(chain->save);
	return error;
}

/* What its first event follows, as the day says. */
static int chain_first(struct query_chain *chain, int64_t observer)
{
	sqlite3_stmt *first = NULL;
	int error = chain_prepare(
		chain, "SELECT before_link FROM day.chain WHERE observer = :observer", &first);

	if (error)
		return error;
	query_bind_number(first, ":observer", observer);
	if (sqlite3_step(first) == SQLITE_ROW)
		chain_link_of(first, 0, &chain->at.before);
	sqlite3_finalize(first);
	return 0;
}

static int chain_turn_to(struct query_chain *chain, int64_t observer)
{
	int step, error;

	if (chain->at.observer == observer)
		return 0;
	error = chain_save(chain);
	if (error)
		return error;
	chain->at = (struct query_chain_at){.observer = observer};
	sqlite3_bind_int64(chain->load, 1, observer);
	step = sqlite3_step(chain->load);
	if (step == SQLITE_ROW) {
		chain->at.end.length = sqlite3_column_int64(chain->load, 0);
		chain->at.end.id = sqlite3_column_int64(chain->load, 1);
		chain_link_of(chain->load, 2, &chain->at.end.link);
		chain_link_of(chain->load, 3, &chain->at.before);
	} else if (step == SQLITE_DONE) {
		error = chain_first(chain, observer);
	} else {
		error = query_error(chain->query, chain->why);
	}
	sqlite3_reset(chain->load);
	return error;
}

int query_chain_day(struct query_chain *chain)
{
	chain->at = (struct query_chain_at){.observer = -1};
	return query_execute(chain->query, "DELETE FROM temp.walked", chain->why);
}

/* An event that does not follow the one before it. */
static int chain_does_not_follow(struct query_chain *chain, const struct query_event *event)
{
	const struct chain_place *end = &chain->at.end;
	char before[64] = "the chain of the day before";

	if (end->length)
		snprintf(before, sizeof(before), "event %lld", (long long)end->id);
	return chain_broken(chain,
		"%s: event %lld (%s) does not follow %s: it was changed, or what was between them is "
		"missing",
		chain->query->shown, (long long)event->id, log_quote(event->event_id).text, before);
}

int query_chain_event(struct query_chain *chain, const struct query_event *event, int64_t observer,
	struct slice link, bool damaged)
{
	int error = chain_turn_to(chain, observer);
	struct chain_event of = {.id = event->id,
		.time_ns = event->time_ns,
		.conflict = event->conflict,
		.event_id = event->event_id,
		.record = event->record};
	struct chain_place *end = &chain->at.end;
	struct keyed_link made;

	if (error)
		return error;
	memcpy(of.content, event->content, sizeof(of.content));
	if (!damaged &&
		!chain_link(chain->keyed, end->length ? &end->link : &chain->at.before, &of, &made))
		return why_set(chain->why, ENOMEM, "out of memory");
	if (link.len != KEYED_LINK) {
		/* Events of before there were chains come first. */
		if (!link.len && !end->length) {
			chain->found->unchained++;
			return 0;
		}
		return chain_broken(chain, "%s: event %lld (%s) has lost its link",
			chain->query->shown, (long long)event->id, log_quote(event->event_id).text);
	}
	if (!damaged && memcmp(made.bytes, link.data, KEYED_LINK) != 0)
		error = chain_does_not_follow(chain, event);
	end->length++;
	end->id = event->id;
	memcpy(end->link.bytes, link.data, KEYED_LINK);
	return error;
}

/* ---- the end of a day ---- */

/* What the day says of a chain's end, beside what was walked. */
static int chain_compare(struct query_chain *chain, sqlite3_stmt *rows)
{
	struct slice observer = query_text(rows, 0);
	struct chain_place end = {.day = sqlite3_column_int(rows, 13),
		.length = sqlite3_column_int64(rows, 1),
		.id = sqlite3_column_int64(rows, 2)};
	struct chain_place before = {.day = sqlite3_column_int(rows, 4),
		.length = sqlite3_column_int64(rows, 5),
		.id = sqlite3_column_int64(rows, 6)};
	struct keyed_link mac, stored, walked = {{0}};

	chain->found->chains++;
	chain->found->chained += query_count(rows, 9);
	if (!chain_link_of(rows, 3, &end.link) || !chain_link_of(rows, 7, &before.link) ||
		!chain_link_of(rows, 8, &stored) ||
		!chain_mac(chain->keyed, observer, &end, &before, &mac) ||
		!chain_equal(&mac, &stored))
		return chain_broken(chain, "%s: what it says of the chain of %s was changed",
			chain->query->shown, log_quote(observer).text);
	chain_link_of(rows, 11, &walked);
	if (sqlite3_column_int64(rows, 9) == end.length && sqlite3_column_int64(rows, 10) == end.id &&
		chain_equal(&walked, &end.link))
		return 0;
	return chain_broken(chain,
		"%s: the chain of %s had %lld events, the last of them %lld; there are %lld, the last "
		"of them %lld",
		chain->query->shown, log_quote(observer).text, (long long)end.length,
		(long long)end.id, (long long)sqlite3_column_int64(rows, 9),
		(long long)sqlite3_column_int64(rows, 10));
}

static int chain_endless(struct query_chain *chain, sqlite3_stmt *rows)
{
	return chain_broken(chain, "%s: where the chain of %s ends is missing", chain->query->shown,
		log_quote(query_text(rows, 0)).text);
}

static int chain_unanchored(struct query_chain *chain, sqlite3_stmt *rows)
{
	return chain_broken(chain,
		"%s: " ANCHOR_FILE " says nothing of the chain of %s, or was made anew",
		chain->query->shown, log_quote(query_text(rows, 0)).text);
}

static int chain_older(struct query_chain *chain, sqlite3_stmt *rows)
{
	return chain_broken(chain,
		"%s: it is not what was stored: %lld events of %s were, the last of them %lld",
		chain->query->shown, (long long)sqlite3_column_int64(rows, 1),
		log_quote(query_text(rows, 0)).text, (long long)sqlite3_column_int64(rows, 2));
}

static int chain_finish(struct query_chain *chain, sqlite3_stmt *rows)
{
	sqlite3_stmt *add = NULL;
	int error = chain_prepare(chain, "INSERT INTO temp.finish VALUES(?, ?, ?, ?)", &add);

	if (error)
		return error;
	for (int i = 0; i < 4; i++)
		sqlite3_bind_value(add, 1 + i, sqlite3_column_value(rows, i));
	if (sqlite3_step(add) != SQLITE_DONE)
		error = query_error(chain->query, chain->why);
	sqlite3_finalize(add);
	return error;
}

#define CHAIN_OBSERVER "coalesce((SELECT text FROM day.name WHERE name.id = c.observer), '')"

static int chain_none(struct query_chain *chain, sqlite3_stmt *rows)
{
	return chain_broken(chain, "%s: the chain of %s is missing from it", chain->query->shown,
		log_quote(query_text(rows, 0)).text);
}

int query_chain_day_end(struct query_chain *chain, bool chained)
{
	int32_t day = layout_day_of(chain->query->shown);
	int error = chain_save(chain);

	chain->at.observer = -1;
	if (!chained)
		return error ? error
			     : chain_each(chain,
				       "SELECT observer FROM temp.anchor WHERE day = :number AND at_ns = 0",
				       day, chain_none);
	if (!error)
		error = chain_each(chain,
			"SELECT " CHAIN_OBSERVER ", c.length, c.last_id, c.link, before_day,"
			" before_length, before_id, before_link, mac, coalesce(w.length, 0),"
			" coalesce(w.last_id, 0), w.link, c.observer, :number"
			" FROM day.chain AS c LEFT JOIN temp.walked AS w USING(observer)",
			day, chain_compare);
	if (!error)
		error = chain_each(chain,
			"SELECT " CHAIN_OBSERVER " FROM temp.walked AS c WHERE length > 0"
			" AND observer NOT IN (SELECT observer FROM day.chain)",
			day, chain_endless);
	if (!error)
		error = chain_each(chain,
			"SELECT " CHAIN_OBSERVER " FROM day.chain AS c WHERE NOT EXISTS (SELECT 1"
			" FROM temp.anchor WHERE day = :number AND at_ns = 0 AND observer = " CHAIN_OBSERVER
			")",
			day, chain_unanchored);
	if (!error)
		error = chain_each(chain,
			"SELECT observer, length, last_id FROM temp.anchor AS a WHERE day = :number"
			" AND at_ns = 0 AND (SELECT link FROM day.event WHERE id = a.last_id)"
			" IS NOT a.link",
			day, chain_older);
	if (!error)
		error = chain_each(chain,
			"SELECT " CHAIN_OBSERVER ", :number, last_id, link FROM day.chain AS c", day,
			chain_finish);
	if (error)
		return error;
	return query_execute(chain->query,
		"INSERT INTO temp.follows SELECT before_day, " CHAIN_OBSERVER ", before_length,"
		" before_id, before_link FROM day.chain AS c WHERE before_day >= 0",
		chain->why);
}

/* ---- between the days ---- */

static int chain_lost(struct query_chain *chain, sqlite3_stmt *rows)
{
	return chain_broken(chain,
		"%s: the chain of %s goes on from its event %lld, which is missing or was changed",
		chain_day_name(sqlite3_column_int64(rows, 0)).text,
		log_quote(query_text(rows, 1)).text, (long long)sqlite3_column_int64(rows, 2));
}

/* What later days follow on the day that is attached, or that is no more there. */
static int chain_followed(struct query_chain *chain, int32_t day)
{
	int error = query_attach(chain->query, day, chain->why);

	if (error == -ENOENT)
		return 0;
	if (!error) {
		error = chain_each(chain,
			"SELECT DISTINCT day, observer, last_id FROM temp.follows AS f WHERE day = :number"
			" AND (SELECT link FROM day.event WHERE id = f.last_id) IS NOT f.link",
			day, chain_lost);
		query_detach(chain->query);
	}
	return error;
}

static bool chain_has_day(const struct query *query, int64_t day)
{
	for (size_t i = 0; i < query->ndays; i++)
		if (query->days[i] == day)
			return true;
	return false;
}

/* A chain goes on from a day whose file is not there. */
static int chain_followed_anchor(struct query_chain *chain, sqlite3_stmt *rows)
{
	return chain_has_day(chain->query, sqlite3_column_int64(rows, 0)) ? 0
									   : chain_lost(chain, rows);
}

static int chain_fate(struct query_chain *chain, sqlite3_stmt *rows)
{
	static const char *const what[] = {
		[CHAIN_KEPT] = "it is missing",
		[CHAIN_DAMAGED] = "it was damaged and set aside",
		[CHAIN_OLDER] = "it was found as it had been before, or was another one",
	};
	int64_t day = sqlite3_column_int64(rows, 0), length = sqlite3_column_int64(rows, 2);
	int fate = sqlite3_column_int(rows, 3);
	uint64_t until = chain->filter->until_ns;

	if (fate == CHAIN_REMOVED) {
		chain->found->retired += length > 0 ? (uint64_t)length : 0;
		return 0;
	}
	if (day < 0 || day > INT32_MAX / 2 || fate < 0 || fate > CHAIN_OLDER ||
		(fate == CHAIN_KEPT && chain_has_day(chain->query, day)) ||
		query_day_ns((int32_t)day + 1) <= chain->filter->since_ns ||
		(until && query_day_ns((int32_t)day) >= until))
		return 0;
	return chain_broken(chain, "%s: %s: %lld events of %s were in it", chain_day_name(day).text,
		what[fate], (long long)length, log_quote(query_text(rows, 1)).text);
}

static int chain_head(struct query_chain *chain, sqlite3_stmt *rows)
{
	struct query_head head = {.observer = query_text(rows, 0),
		.day = sqlite3_column_int(rows, 1),
		.id = sqlite3_column_int64(rows, 2)};

	if (!chain_link_of(rows, 3, &head.link))
		return 0;
	return chain->ops->head(chain->context, &head);
}

int query_chain_end(struct query_chain *chain)
{
	int error = 0;

	for (size_t i = 0; i < chain->query->ndays && !error; i++)
		error = chain_followed(chain, chain->query->days[i]);
	if (!error)
		error = chain_each(chain,
			"SELECT DISTINCT day, observer, last_id FROM temp.follows AS f WHERE NOT EXISTS"
			" (SELECT 1 FROM temp.anchor AS a WHERE a.day = f.day AND a.observer = f.observer"
			"  AND (a.length > f.length OR (a.length = f.length AND a.link = f.link)))",
			0, chain_followed_anchor);
	if (!error)
		error = chain_each(chain,
			"SELECT day, observer, length, fate FROM temp.anchor ORDER BY day, observer", 0,
			chain_fate);
	return error ? error
		     : chain_each(chain,
			       "SELECT observer, max(day), last_id, link FROM temp.finish"
			       " GROUP BY observer ORDER BY observer",
			       0, chain_head);
}
