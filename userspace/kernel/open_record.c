// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/open_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "open"

struct open_record open_record_read(const char *directory)
{
	struct open_record record = {0};
	char path[PATH_MAX], text[128] = "";
	int fd, fields;
	ssize_t got;

	if (snprintf(path, sizeof(path), "%s/" FILE_NAME, directory) >= (int)sizeof(path))
		return record;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return record;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	fields = got > 0 ? sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
				   &record.total, &record.begin_ns, &record.end_ns, &record.passed)
			 : 0;
	return fields == 4 ? record : (struct open_record){0};
}

int open_record_write(const char *directory, const struct open_record *record, struct why *why)
{
	char path[PATH_MAX], new_path[PATH_MAX], text[128];
	int fd, len;

	if (snprintf(path, sizeof(path), "%s/" FILE_NAME, directory) >= (int)sizeof(path) ||
		snprintf(new_path, sizeof(new_path), "%s/" FILE_NAME ".new", directory) >=
			(int)sizeof(new_path))
		return why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long");
	len = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		record->total, record->begin_ns, record->end_ns, record->passed);
	unlink(new_path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return why_set(why, errno, "cannot make %s: %m", new_path);
	if (write(fd, text, (size_t)len) != len || rename(new_path, path) < 0) {
		int error = why_set(why, errno, "cannot write %s: %m", path);

		close(fd);
		unlink(new_path);
		return error;
	}
	close(fd);
	return 0;
}
