// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/access.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define ACCESS_BUSY_MS	  5000
#define ACCESS_DETAIL_MAX 1024

struct access {
	char path[4096];
	sqlite3 *database;
	sqlite3_stmt *add;
};

static int access_error(const struct access *access, struct why *why)
{
	return why_set(why, EIO, "%s: who looked cannot be recorded, so nothing is shown: %s",
		access->path, sqlite3_errmsg(access->database));
}

/* Root may be the first who looks: the collector goes on to write the file. */
static int access_create(struct access *access, const char *directory, struct why *why)
{
	struct stat of_directory;
	int fd = open(access->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = 0;

	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || stat(directory, &of_directory) < 0 ||
		(of_directory.st_uid != geteuid() &&
			fchown(fd, of_directory.st_uid, of_directory.st_gid) < 0))
		error = why_set(why, errno,
			"%s: %s: who looked cannot be recorded, so nothing is shown", access->path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return error;
}

struct access *access_open(const char *directory, struct why *why)
{
	struct access *access = calloc(1, sizeof(*access));

	if (!access) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	snprintf(access->path, sizeof(access->path), "%s/access.db", directory);
	if (access_create(access, directory, why) < 0) {
		free(access);
		return NULL;
	}
	if (sqlite3_open_v2(access->path, &access->database,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
		    NULL) == SQLITE_OK &&
		sqlite3_busy_timeout(access->database, ACCESS_BUSY_MS) == SQLITE_OK &&
		sqlite3_exec(access->database,
			"PRAGMA synchronous=FULL;"
			"CREATE TABLE IF NOT EXISTS look(id INTEGER PRIMARY KEY AUTOINCREMENT,"
			" time_ns INTEGER NOT NULL, who TEXT NOT NULL, by TEXT NOT NULL,"
			" what TEXT NOT NULL, detail TEXT NOT NULL)",
			NULL, NULL, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(access->database,
			"INSERT INTO look(time_ns, who, by, what, detail) VALUES(?, ?, ?, ?, ?)",
			-1, &access->add, NULL) == SQLITE_OK)
		return access;
	access_error(access, why);
	access_close(access);
	return NULL;
}

void access_close(struct access *access)
{
	if (!access)
		return;
	sqlite3_finalize(access->add);
	sqlite3_close(access->database);
	free(access);
}

int access_record(struct access *access, const struct access_look *look, struct why *why)
{
	const struct slice texts[] = {
		look->who, look->by, look->what, utf8_cut(look->detail, ACCESS_DETAIL_MAX)};
	int step;

	sqlite3_bind_int64(access->add, 1, (int64_t)clock_realtime_ns());
	for (int i = 0; i < 4; i++)
		sqlite3_bind_text(access->add, 2 + i, texts[i].len ? texts[i].data : "",
			(int)texts[i].len, SQLITE_STATIC);
	step = sqlite3_step(access->add);
	sqlite3_reset(access->add);
	return step == SQLITE_DONE ? 0 : access_error(access, why);
}

int access_copy(struct access *access, const char *directory, struct why *why)
{
	mode_t before = umask(077);
	sqlite3_stmt *copy = NULL;
	char path[4200];
	int error = 0;

	snprintf(path, sizeof(path), "%s/access.db", directory);
	if (sqlite3_prepare_v2(access->database, "VACUUM INTO ?", -1, &copy, NULL) == SQLITE_OK)
		sqlite3_bind_text(copy, 1, path, -1, SQLITE_STATIC);
	if (!copy || sqlite3_step(copy) != SQLITE_DONE)
		error = why_set(why, EIO, "%s: %s", path, sqlite3_errmsg(access->database));
	sqlite3_finalize(copy);
	umask(before);
	return error;
}

int access_looks(struct access *access, int64_t below, uint64_t limit,
	int (*row)(void *context, const struct access_look *look), void *context, struct why *why)
{
	sqlite3_stmt *rows = NULL;
	int step = SQLITE_DONE, error = 0;

	if (sqlite3_prepare_v2(access->database,
		    "SELECT id, time_ns, who, by, what, detail FROM look WHERE id < ?"
		    " ORDER BY id DESC LIMIT ?",
		    -1, &rows, NULL) != SQLITE_OK)
		return why_set(
			why, EIO, "%s: %s", access->path, sqlite3_errmsg(access->database));
	sqlite3_bind_int64(rows, 1, below ? below : INT64_MAX);
	sqlite3_bind_int64(rows, 2, (int64_t)limit);
	while (!error && (step = sqlite3_step(rows)) == SQLITE_ROW) {
		struct access_look look = {.id = sqlite3_column_int64(rows, 0),
			.time_ns = (uint64_t)sqlite3_column_int64(rows, 1)};
		struct slice *const texts[] = {&look.who, &look.by, &look.what, &look.detail};

		for (int i = 0; i < 4; i++)
			*texts[i] = slice_of((const char *)sqlite3_column_text(rows, 2 + i),
				(size_t)sqlite3_column_bytes(rows, 2 + i));
		error = row(context, &look);
	}
	if (!error && step != SQLITE_DONE)
		error = why_set(
			why, EIO, "%s: %s", access->path, sqlite3_errmsg(access->database));
	sqlite3_finalize(rows);
	return error;
}
