// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"

struct anchors {
	char path[4096];
	bool made;
	struct keyed *keyed;
	sqlite3 *database;
	sqlite3_stmt *before, *of, *keep, *of_day, *one, *close;
	struct log_limit failing;
};

/* at_ns is 0 of those that are kept: of a day that was set aside there are two. */
static const char anchor_schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;"
	"CREATE TABLE IF NOT EXISTS anchor(day INTEGER, observer TEXT, at_ns INTEGER,"
	" length INTEGER NOT NULL, last_id INTEGER NOT NULL, link BLOB NOT NULL,"
	" fate INTEGER NOT NULL, mac BLOB NOT NULL, PRIMARY KEY(day, observer, at_ns))"
	" WITHOUT ROWID;"
	/* Which earlier day has the appliance: without a walk over those that have it not. */
	"CREATE INDEX IF NOT EXISTS anchor_observer ON anchor(observer, day);"
	"PRAGMA user_version=1";

enum { ANCHOR_DAY = 1, ANCHOR_OBSERVER, ANCHOR_AT, ANCHOR_LENGTH, ANCHOR_ID, ANCHOR_LINK,
	ANCHOR_FATE, ANCHOR_MAC };

static void anchor_failed(struct anchors *anchors)
{
	uint64_t left_out;

	if (log_limit(&anchors->failing, &left_out))
		log_error("%s: %s: where the chains of events end is not kept until this is cured "
			  "(%llu such reports left out)",
			anchors->path, sqlite3_errmsg(anchors->database),
			(unsigned long long)left_out);
}

static bool anchors_prepare(struct anchors *anchors)
{
	const struct {
		sqlite3_stmt **statement;
		const char *sql;
	} all[] = {
		{&anchors->before, "SELECT day, length, last_id, link FROM anchor WHERE observer = ?1"
				   " AND day < ?2 ORDER BY day DESC, at_ns LIMIT 1"},
		{&anchors->of, "SELECT day, length, last_id, link FROM anchor WHERE observer = ?1"
			       " AND day = ?2 AND at_ns = 0"},
		{&anchors->keep, "INSERT OR REPLACE INTO anchor(day, observer, at_ns, length, last_id,"
				 " link, fate, mac) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"},
		{&anchors->of_day, "SELECT day, length, last_id, link FROM anchor"
				   " WHERE day = ? AND at_ns = 0"},
		{&anchors->one, "SELECT day, length, last_id, link, observer FROM anchor"
				" WHERE day = ? AND at_ns = 0 LIMIT 1"},
		{&anchors->close, "DELETE FROM anchor WHERE day = ?1 AND observer = ?2 AND at_ns = 0"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (sqlite3_prepare_v3(anchors->database, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
			    all[i].statement, NULL) != SQLITE_OK)
			return false;
	return true;
}

/* One that is damaged is kept under another name: what is stored can be verified without it, but for
 * what is missing at the end. */
static void anchors_set_aside(struct anchors *anchors)
{
	char to[4160];

	sqlite3_close(anchors->database);
	anchors->database = NULL;
	snprintf(to, sizeof(to), "%s.damaged-%llu", anchors->path,
		(unsigned long long)(clock_realtime_ns() / NS_PER_S));
	if (rename(anchors->path, to) < 0)
		unlink(anchors->path);
	snprintf(to, sizeof(to), "%s-wal", anchors->path);
	unlink(to);
	snprintf(to, sizeof(to), "%s-shm", anchors->path);
	unlink(to);
	log_error("%s is damaged and was set aside: where the chains of earlier days ended is known "
		  "from the files of those days alone",
		anchors->path);
}

/* 0; -EBADMSG: it is damaged; -EIO …, both with why. */
static int anchors_set_up(struct anchors *anchors, struct why *why)
{
	int fd = open(anchors->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), code;

	anchors->made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(anchors->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return why_set(why, errno, "%s: %s", anchors->path, strerror(errno));
	close(fd);
	if (sqlite3_open_v2(anchors->path, &anchors->database,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
		sqlite3_exec(anchors->database, anchor_schema, NULL, NULL, NULL) == SQLITE_OK &&
		anchors_prepare(anchors))
		return 0;
	code = sqlite3_errcode(anchors->database);
	return why_set(why, code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? EBADMSG : EIO, "%s: %s",
		anchors->path, sqlite3_errmsg(anchors->database));
}

struct anchors *anchors_open(const char *directory, struct keyed *keyed, struct why *why)
{
	struct anchors *anchors = calloc(1, sizeof(*anchors));
	int error = anchors ? 0 : why_set(why, ENOMEM, "out of memory");

	if (!error && snprintf(anchors->path, sizeof(anchors->path), "%s/" ANCHOR_FILE, directory) >=
			      (int)sizeof(anchors->path))
		error = why_set(why, ENAMETOOLONG, "%s: too long", directory);
	if (!error) {
		anchors->keyed = keyed;
		error = anchors_set_up(anchors, why);
	}
	if (error == -EBADMSG) {
		anchors_set_aside(anchors);
		error = anchors_set_up(anchors, why);
	}
	if (!error)
		return anchors;
	anchors_close(anchors);
	return NULL;
}

void anchors_close(struct anchors *anchors)
{
	if (!anchors)
		return;
	sqlite3_finalize(anchors->before);
	sqlite3_finalize(anchors->of);
	sqlite3_finalize(anchors->keep);
	sqlite3_finalize(anchors->of_day);
	sqlite3_finalize(anchors->one);
	sqlite3_finalize(anchors->close);
	sqlite3_close(anchors->database);
	free(anchors);
}

bool anchors_made(const struct anchors *anchors)
{
	return anchors->made;
}

static bool anchor_read(sqlite3_stmt *statement, struct chain_place *place)
{
	const void *link = sqlite3_column_blob(statement, 3);

	if (!link || sqlite3_column_bytes(statement, 3) != KEYED_LINK)
		return false;
	*place = (struct chain_place){.day = sqlite3_column_int(statement, 0),
		.length = sqlite3_column_int64(statement, 1),
		.id = sqlite3_column_int64(statement, 2)};
	memcpy(place->link.bytes, link, KEYED_LINK);
	return true;
}

static struct chain_place anchor_find(
	struct anchors *anchors, sqlite3_stmt *find, struct slice observer, int32_t day)
{
	struct chain_place place = CHAIN_NOWHERE;
	int step;

	sqlite3_bind_text(find, 1, observer.len ? observer.data : "", (int)observer.len,
		SQLITE_STATIC);
	sqlite3_bind_int(find, 2, day);
	step = sqlite3_step(find);
	if (step != SQLITE_DONE && (step != SQLITE_ROW || !anchor_read(find, &place)))
		anchor_failed(anchors);
	sqlite3_reset(find);
	return place;
}

struct chain_place anchor_before(struct anchors *anchors, struct slice observer, int32_t day)
{
	return anchor_find(anchors, anchors->before, observer, day);
}

struct chain_place anchor_of(struct anchors *anchors, struct slice observer, int32_t day)
{
	return anchor_find(anchors, anchors->of, observer, day);
}

bool anchor_all(struct anchors *anchors, int32_t day,
	bool (*holds)(void *context, const struct chain_place *end), void *context)
{
	struct chain_place end;
	bool all = true;
	int step;

	sqlite3_bind_int(anchors->of_day, 1, day);
	while ((step = sqlite3_step(anchors->of_day)) == SQLITE_ROW && all)
		all = anchor_read(anchors->of_day, &end) && holds(context, &end);
	if (all && step != SQLITE_DONE)
		anchor_failed(anchors);
	sqlite3_reset(anchors->of_day);
	return all;
}

static bool anchor_put(struct anchors *anchors, struct slice observer,
	const struct chain_place *end, enum chain_fate fate, uint64_t at_ns)
{
	sqlite3_stmt *keep = anchors->keep;
	struct keyed_link mac;
	bool put;

	if (!chain_mac_anchor(anchors->keyed, observer, end, fate, at_ns, &mac))
		return false;
	sqlite3_bind_int(keep, ANCHOR_DAY, end->day);
	sqlite3_bind_text(keep, ANCHOR_OBSERVER, observer.len ? observer.data : "",
		(int)observer.len, SQLITE_STATIC);
	sqlite3_bind_int64(keep, ANCHOR_AT, (sqlite3_int64)at_ns);
	sqlite3_bind_int64(keep, ANCHOR_LENGTH, end->length);
	sqlite3_bind_int64(keep, ANCHOR_ID, end->id);
	sqlite3_bind_blob(keep, ANCHOR_LINK, end->link.bytes, KEYED_LINK, SQLITE_STATIC);
	sqlite3_bind_int(keep, ANCHOR_FATE, (int)fate);
	sqlite3_bind_blob(keep, ANCHOR_MAC, mac.bytes, KEYED_LINK, SQLITE_STATIC);
	put = sqlite3_step(keep) == SQLITE_DONE;
	if (!put)
		anchor_failed(anchors);
	sqlite3_reset(keep);
	return put;
}

void anchor_keep(struct anchors *anchors, struct slice observer, const struct chain_place *end)
{
	anchor_put(anchors, observer, end, CHAIN_KEPT, 0);
}

/* One of the day; false: there are no more, or it failed. */
static bool anchor_close_one(
	struct anchors *anchors, int32_t day, enum chain_fate fate, uint64_t at_ns)
{
	struct buf observer = BUF_EMPTY;
	struct chain_place end;
	bool found;

	sqlite3_bind_int(anchors->one, 1, day);
	found = sqlite3_step(anchors->one) == SQLITE_ROW && anchor_read(anchors->one, &end) &&
		buf_append(&observer, sqlite3_column_text(anchors->one, 4),
			(size_t)sqlite3_column_bytes(anchors->one, 4)) == 0;
	sqlite3_reset(anchors->one);
	if (found)
		found = anchor_put(anchors, buf_slice(&observer), &end, fate, at_ns);
	if (found) {
		sqlite3_bind_int(anchors->close, 1, day);
		sqlite3_bind_text(anchors->close, 2,
			buf_len(&observer) ? buf_slice(&observer).data : "", (int)buf_len(&observer),
			SQLITE_STATIC);
		found = sqlite3_step(anchors->close) == SQLITE_DONE;
		sqlite3_reset(anchors->close);
	}
	buf_free(&observer);
	return found;
}

void anchor_close_day(struct anchors *anchors, int32_t day, enum chain_fate fate)
{
	uint64_t now = clock_realtime_ns();

	if (sqlite3_exec(anchors->database, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
		anchor_failed(anchors);
		return;
	}
	while (anchor_close_one(anchors, day, fate, now))
		;
	if (sqlite3_exec(anchors->database, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		anchor_failed(anchors);
		sqlite3_exec(anchors->database, "ROLLBACK", NULL, NULL, NULL);
	}
}
