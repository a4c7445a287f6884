// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "collector/keyed.h"
#include "collector/query_internal.h"

static int backup_key(const struct query *query, int directory, struct why *why)
{
	struct buf key = BUF_EMPTY;
	char path[4200];
	int error, fd;

	snprintf(path, sizeof(path), "%s/key", query->path);
	error = file_read(path, KEYED_FILE_MAX, &key, why);
	fd = error ? -1 : openat(directory, "key", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!error && (fd < 0 || write(fd, buf_slice(&key).data, buf_len(&key)) !=
					 (ssize_t)buf_len(&key) ||
			      fsync(fd) < 0))
		error = why_set(why, errno ? errno : EIO, "the copy of %s: %m", path);
	if (fd >= 0)
		close(fd);
	buf_wipe(&key);
	return error;
}

/* A file that is attached, as it is in one moment, while others write to it. */
static int backup_file(struct query *query, const char *as, const char *to, struct why *why)
{
	sqlite3_stmt *copy = NULL;
	char path[4200], sql[64];
	int error = 0;

	snprintf(sql, sizeof(sql), "VACUUM %s INTO ?", as);
	if (snprintf(path, sizeof(path), "%s/%s", to, query->shown) >= (int)sizeof(path))
		return why_set(why, ENAMETOOLONG, "%s: too long", to);
	if (sqlite3_prepare_v2(query->database, sql, -1, &copy, NULL) !=
		SQLITE_OK) {
		error = query_error(query, why);
	} else {
		sqlite3_bind_text(copy, 1, path, -1, SQLITE_STATIC);
		if (sqlite3_step(copy) != SQLITE_DONE)
			error = query_error(query, why);
	}
	sqlite3_finalize(copy);
	return error;
}

/* Before the days: they may be ahead of it. */
static int backup_anchors(struct query *query, const char *to, struct why *why)
{
	int error = query_attach_anchors(query, why);

	if (error)
		return error == -ENOENT ? 0 : error;
	error = backup_file(query, "anchors", to, why);
	query_detach_anchors(query);
	return error;
}

int query_backup(struct query *query, const char *to, uint64_t *days, struct why *why)
{
	mode_t before = umask(077);
	int error = query_begin(query, why), directory = -1;

	*days = 0;
	if (!error && mkdir(to, 0700) < 0)
		error = why_set(why, errno, "%s: %s%s", to, strerror(errno),
			errno == EEXIST ? "; a backup goes to a directory that it makes" : "");
	if (!error) {
		directory = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		error = directory < 0 ? why_set(why, errno, "%s: %m", to)
				      : backup_key(query, directory, why);
	}
	if (!error)
		error = backup_anchors(query, to, why);
	for (size_t i = 0; i < query->ndays && !error; i++) {
		error = query_attach(query, query->days[i], why);
		if (error == -ENOENT) {
			error = 0;
			continue;
		}
		if (!error)
			error = backup_file(query, "day", to, why);
		*days += !error;
		query_detach(query);
	}
	if (!error && fsync(directory) < 0)
		error = why_set(why, errno, "%s: %m", to);
	if (directory >= 0)
		close(directory);
	umask(before);
	return error;
}
