// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/migrate.h"

#include <errno.h>
#include <msgpack.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "collector/store.h"

#define MIGRATE_BATCH 2000 /* events of a transaction */

static char *migrate_path(const char *path, const char *suffix)
{
	char *made;

	return asprintf(&made, "%s%s", path, suffix) < 0 ? NULL : made;
}

static bool migrate_is_file(const char *path)
{
	struct stat status;

	return path && lstat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The file with what belongs to it: SQLite finds its log beside it. */
static int migrate_rename(const char *from, const char *to, struct why *why)
{
	static const char *const suffixes[] = {"-wal", "-shm", ""};
	int error = 0;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && !error; i++) {
		char *source = migrate_path(from, suffixes[i]),
		     *target = migrate_path(to, suffixes[i]);

		if (!source || !target)
			error = why_set(why, ENOMEM, "out of memory");
		else if (rename(source, target) < 0 && (errno != ENOENT || !*suffixes[i]))
			error = why_set(
				why, errno, "%s: cannot be renamed: %s", source, strerror(errno));
		free(source);
		free(target);
	}
	return error;
}

/* *old is the path of such a store, or NULL; to be freed. 0, or negative errno with why. */
static int migrate_find(const char *path, char **old, struct why *why)
{
	char *aside = migrate_path(path, ".old"), *beside = migrate_path(path, ".db");
	int error = aside && beside ? 0 : why_set(why, ENOMEM, "out of memory");

	*old = NULL;
	if (!error && migrate_is_file(path))
		error = migrate_rename(path, aside, why);
	if (!error && migrate_is_file(aside)) {
		*old = aside;
		aside = NULL;
	} else if (!error && migrate_is_file(beside)) {
		*old = beside;
		beside = NULL;
	}
	free(aside);
	free(beside);
	return error;
}

/* One row: time_ns, event_id, record. */
static int migrate_row(sqlite3_stmt *row, struct store *store, struct why *why)
{
	struct slice record =
		slice_of(sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2));
	struct forward_entry entry = {.time_ns = (uint64_t)sqlite3_column_int64(row, 0),
		.tag = SLICE("migration"),
		.raw = record,
		.id = slice_of((const char *)sqlite3_column_text(row, 1),
			(size_t)sqlite3_column_bytes(row, 1))};
	msgpack_unpacked unpacked;
	size_t offset = 0;
	int error = 0;

	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, record.data, record.len, &offset) ==
			MSGPACK_UNPACK_SUCCESS &&
		offset == record.len && unpacked.data.type == MSGPACK_OBJECT_MAP) {
		entry.record = &unpacked.data;
		error = store_add(store, &entry, why);
	} else {
		log_warning("event %s: its record cannot be read and was left out",
			log_quote(entry.id).text);
	}
	msgpack_unpacked_destroy(&unpacked);
	return error;
}

static int migrate_rows(sqlite3 *database, struct store *store, struct why *why)
{
	sqlite3_stmt *rows = NULL;
	uint64_t n = 0;
	int step = SQLITE_ERROR, error = 0;

	if (sqlite3_prepare_v2(database, "SELECT time_ns, event_id, record FROM event ORDER BY id",
		    -1, &rows, NULL) == SQLITE_OK)
		while (!error && (step = sqlite3_step(rows)) == SQLITE_ROW) {
			error = migrate_row(rows, store, why);
			if (!error && ++n % MIGRATE_BATCH == 0) {
				error = store_commit(store, why);
				/* The service manager is told that the start goes on. */
				sd_notify(0, "EXTEND_TIMEOUT_USEC=60000000");
			}
		}
	sqlite3_finalize(rows);
	if (!error && step != SQLITE_DONE)
		error = why_set(why, EIO, "%s", sqlite3_errmsg(database));
	if (!error)
		error = store_commit(store, why);
	if (!error)
		log_info("%llu events of the older store were taken over", (unsigned long long)n);
	return error;
}

/* Adds all its events to the store, then renames it. 0, or negative errno with why. */
static int migrate(const char *old, struct store *store, struct why *why)
{
	char *done = migrate_path(old, ".migrated");
	sqlite3 *database = NULL;
	struct why inner = {""};
	int error = done ? 0 : why_set(why, ENOMEM, "out of memory");

	log_info("%s is the store of an older version: its events are taken over", old);
	if (!error && sqlite3_open_v2(old, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			      NULL) != SQLITE_OK)
		error = why_set(why, EIO, "%s: %s", old, sqlite3_errmsg(database));
	if (!error && migrate_rows(database, store, &inner) < 0)
		error = why_set(why, EIO,
			"%s: its events cannot be taken over: %s; move it away to start without them",
			old, inner.text);
	sqlite3_close(database);
	if (!error)
		error = migrate_rename(old, done, why);
	if (!error)
		log_info("%s holds the same events still: remove it when you trust the new store",
			done);
	free(done);
	return error;
}

int migrate_open(const char *path, struct store **store, struct why *why)
{
	char *old = NULL;
	int error = migrate_find(path, &old, why);

	*store = NULL;
	if (!error)
		error = store_open(path, store, why);
	if (!error && old)
		error = migrate(old, *store, why);
	if (error) {
		store_close(*store);
		*store = NULL;
	}
	free(old);
	return error;
}
