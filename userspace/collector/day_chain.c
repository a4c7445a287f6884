// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "collector/day_internal.h"

/* link comes before what is long: it is read without it. */
static const char day_chain_schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS chain(observer INTEGER PRIMARY KEY, length INTEGER NOT NULL,"
	" last_id INTEGER NOT NULL, link BLOB NOT NULL, before_day INTEGER NOT NULL,"
	" before_length INTEGER NOT NULL, before_id INTEGER NOT NULL, before_link BLOB NOT NULL,"
	" mac BLOB NOT NULL); COMMIT";

enum { CHAIN_OBSERVER = 1, CHAIN_LENGTH, CHAIN_ID, CHAIN_LINK, CHAIN_BEFORE_DAY,
	CHAIN_BEFORE_LENGTH, CHAIN_BEFORE_ID, CHAIN_BEFORE_LINK, CHAIN_MAC };

static bool day_chain_link(sqlite3_stmt *statement, int column, struct keyed_link *link)
{
	const void *blob = sqlite3_column_blob(statement, column);

	if (!blob || sqlite3_column_bytes(statement, column) != KEYED_LINK)
		return false;
	memcpy(link->bytes, blob, KEYED_LINK);
	return true;
}

struct day_comparing {
	struct day *day;
	struct why *why;
	int error;
};

/* Whether the event of a place is in the file, with that link. */
static bool day_chain_holds(void *context, const struct chain_place *place)
{
	struct day_comparing *comparing = context;
	struct day *day = comparing->day;
	sqlite3_stmt *find = NULL;
	struct keyed_link link;
	bool holds = false;
	int step = SQLITE_ERROR;

	if (sqlite3_prepare_v2(day->database, "SELECT link FROM event WHERE id = ?", -1, &find,
		    NULL) == SQLITE_OK) {
		sqlite3_bind_int64(find, 1, place->id);
		step = sqlite3_step(find);
		holds = step == SQLITE_ROW && day_chain_link(find, 0, &link) &&
			memcmp(&link, &place->link, sizeof(link)) == 0;
	}
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		comparing->error = day_error(day, comparing->why);
	sqlite3_finalize(find);
	return holds;
}

/* A file that is as it was before it was anchored, or is another one, is told, and stays known. */
static int day_chain_compare(struct day *day, struct why *why)
{
	struct day_comparing comparing = {day, why, 0};

	if (anchor_all(day->anchors, day->number, day_chain_holds, &comparing) || comparing.error)
		return comparing.error;
	log_error("tampering? %s lacks events that were stored; see sallyport audit verify",
		day->path);
	anchor_close_day(day->anchors, day->number, CHAIN_OLDER);
	return 0;
}

/* The anchors of what is durable, of events from that id on, are made up for. */
static int day_chain_anchor(struct day *day, int64_t from_id, struct why *why)
{
	sqlite3_stmt *chains = NULL;
	int error = day_prepare(day,
		"SELECT length, last_id, link, coalesce((SELECT text FROM name WHERE name.id ="
		" chain.observer), '') FROM chain WHERE last_id >= ?",
		&chains, why);

	if (!error)
		sqlite3_bind_int64(chains, 1, from_id);
	while (!error && sqlite3_step(chains) == SQLITE_ROW) {
		struct slice observer = slice_of((const char *)sqlite3_column_text(chains, 3),
			(size_t)sqlite3_column_bytes(chains, 3));
		struct chain_place anchor = anchor_of(day->anchors, observer, day->number);
		struct chain_place end = {.day = day->number,
			.length = sqlite3_column_int64(chains, 0),
			.id = sqlite3_column_int64(chains, 1)};

		/* One that is damaged is told by audit verify. */
		if (day_chain_link(chains, 2, &end.link) && anchor.length < end.length)
			anchor_keep(day->anchors, observer, &end);
	}
	sqlite3_finalize(chains);
	return error;
}

int day_chain_open(struct day *day, struct why *why)
{
	int error = 0;

	if (day_ask(day, "SELECT count(*) FROM pragma_table_info('event') WHERE name = 'link'") == 0)
		error = day_execute(day, "ALTER TABLE event ADD COLUMN link BLOB", why);
	if (!error && day_ask(day, "SELECT count(*) FROM sqlite_master WHERE name = 'chain'") == 0)
		error = day_execute(day, day_chain_schema, why);
	if (!error)
		error = day_prepare(day,
			"SELECT length, last_id, link, before_day, before_length, before_id, before_link"
			" FROM chain WHERE observer = ?",
			&day->chain_find, why);
	if (!error)
		error = day_prepare(day,
			"INSERT OR REPLACE INTO chain(observer, length, last_id, link, before_day,"
			" before_length, before_id, before_link, mac) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
			&day->chain_put, why);
	if (!error)
		error = day_chain_compare(day, why);
	return error ? error : day_chain_anchor(day, 0, why);
}

void day_chain_forget(struct day *day)
{
	for (size_t i = 0; i < DAY_CHAINS; i++) {
		free(day->chains[i].text);
		day->chains[i] = (struct day_chain){0};
	}
	day->chains_moved = false;
	day->first_id = 0;
}

void day_chain_close(struct day *day)
{
	day_chain_forget(day);
	sqlite3_finalize(day->chain_find);
	sqlite3_finalize(day->chain_put);
}

static struct slice day_chain_observer(const struct day_chain *chain)
{
	return slice_of(chain->text, chain->len);
}

static int day_chain_put(struct day *day, const struct day_chain *chain, struct why *why)
{
	sqlite3_stmt *put = day->chain_put;
	struct keyed_link mac;
	int error = 0;

	if (!chain_mac(day->keyed, day_chain_observer(chain), &chain->end, &chain->before, &mac))
		return why_set(why, ENOMEM, "out of memory");
	sqlite3_bind_int64(put, CHAIN_OBSERVER, chain->observer);
	sqlite3_bind_int64(put, CHAIN_LENGTH, chain->end.length);
	sqlite3_bind_int64(put, CHAIN_ID, chain->end.id);
	sqlite3_bind_blob(put, CHAIN_LINK, chain->end.link.bytes, KEYED_LINK, SQLITE_STATIC);
	sqlite3_bind_int(put, CHAIN_BEFORE_DAY, chain->before.day);
	sqlite3_bind_int64(put, CHAIN_BEFORE_LENGTH, chain->before.length);
	sqlite3_bind_int64(put, CHAIN_BEFORE_ID, chain->before.id);
	sqlite3_bind_blob(
		put, CHAIN_BEFORE_LINK, chain->before.link.bytes, KEYED_LINK, SQLITE_STATIC);
	sqlite3_bind_blob(put, CHAIN_MAC, mac.bytes, KEYED_LINK, SQLITE_STATIC);
	if (sqlite3_step(put) != SQLITE_DONE)
		error = day_error(day, why);
	sqlite3_reset(put);
	return error;
}

static int day_chain_read(struct day *day, struct day_chain *chain, struct why *why)
{
	sqlite3_stmt *find = day->chain_find;
	int step, error = 0;

	sqlite3_bind_int64(find, 1, chain->observer);
	step = sqlite3_step(find);
	if (step == SQLITE_ROW) {
		chain->end.length = sqlite3_column_int64(find, 0);
		chain->end.id = sqlite3_column_int64(find, 1);
		chain->before = (struct chain_place){.day = sqlite3_column_int(find, 3),
			.length = sqlite3_column_int64(find, 4),
			.id = sqlite3_column_int64(find, 5)};
		if (!day_chain_link(find, 2, &chain->end.link) ||
			!day_chain_link(find, 6, &chain->before.link))
			error = why_set(why, EBADMSG, "%s: its chain is damaged", day->path);
	} else if (step == SQLITE_DONE) {
		chain->before =
			anchor_before(day->anchors, day_chain_observer(chain), day->number);
		chain->end.link = chain->before.link;
	} else {
		error = day_error(day, why);
	}
	sqlite3_reset(find);
	return error;
}

int day_chain(struct day *day, int64_t observer, struct slice text, struct day_chain **found,
	struct why *why)
{
	struct day_chain *chain = &day->chains[(uint64_t)observer % DAY_CHAINS];
	int error = 0;

	*found = chain;
	if (chain->used && chain->observer == observer)
		return 0;
	if (chain->used && chain->changed) {
		error = day_chain_put(day, chain, why);
		day->chains_moved = true;
	}
	free(chain->text);
	*chain = (struct day_chain){.observer = observer,
		.end.day = day->number,
		.text = malloc(text.len + 1),
		.len = text.len};
	if (!chain->text)
		return error ? error : why_set(why, ENOMEM, "out of memory");
	memcpy(chain->text, text.len ? text.data : "", text.len);
	if (!error)
		error = day_chain_read(day, chain, why);
	chain->used = !error;
	return error;
}

void day_chain_next(struct day_chain *chain, int64_t id, const struct keyed_link *link)
{
	chain->end.length++;
	chain->end.id = id;
	chain->end.link = *link;
	chain->changed = true;
}

int day_chain_write(struct day *day, struct why *why)
{
	int error = 0;

	for (size_t i = 0; i < DAY_CHAINS && !error; i++)
		if (day->chains[i].changed)
			error = day_chain_put(day, &day->chains[i], why);
	return error;
}

void day_chain_committed(struct day *day)
{
	struct why why;

	for (size_t i = 0; i < DAY_CHAINS; i++) {
		struct day_chain *chain = &day->chains[i];

		if (chain->changed)
			anchor_keep(day->anchors, day_chain_observer(chain), &chain->end);
		chain->changed = false;
	}
	/* Of more appliances than are held in memory. */
	if (day->chains_moved && day_chain_anchor(day, day->first_id, &why) < 0)
		log_error("%s", why.text);
	day->chains_moved = false;
	day->first_id = 0;
}
