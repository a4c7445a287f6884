// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_whole(int fd, struct slice content)
{
	while (content.len) {
		ssize_t n = write(fd, content.data, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		content = slice_after(content, (size_t)n);
	}
	return fsync(fd) ? -errno : 0;
}

int replace_write(
	const char *path, mode_t mode, struct slice content, char **temporary, struct why *why)
{
	int fd, error;

	if (asprintf(temporary, "%s.XXXXXX", path) < 0) {
		*temporary = NULL;
		return why_set(why, ENOMEM, "out of memory");
	}
	fd = mkostemp(*temporary, O_CLOEXEC); /* O_EXCL, 0600 */
	if (fd < 0) {
		error = why_set(why, errno, "%s: cannot be created: %s", path, strerror(errno));
		free(*temporary);
		*temporary = NULL;
		return error;
	}
	error = fchmod(fd, mode) ? -errno : write_whole(fd, content);
	if (close(fd) && !error)
		error = -errno;
	return error ? why_set(why, -error, "%s: cannot be written: %s", path, strerror(-error))
		     : 0;
}

int replace_place(const char *temporary, const char *path, bool force, struct why *why)
{
	/* link(2) never replaces. */
	if (force ? rename(temporary, path) == 0 : link(temporary, path) == 0)
		return 0;
	if (errno == EEXIST)
		return why_set(why, EEXIST, "%s: is there already (--force replaces it)", path);
	return why_set(why, errno, "%s: cannot be put in place: %s", path, strerror(errno));
}

int replace_directory(const char *path, struct why *why)
{
	char *copy = strdup(path);
	char *directory = copy ? dirname(copy) : NULL;
	int error = 0;

	if (!copy)
		return why_set(why, ENOMEM, "out of memory");
	if (mkdir(directory, 0755) && errno != EEXIST)
		error = why_set(why, errno, "%s: cannot be made: %s", directory, strerror(errno));
	free(copy);
	return error;
}

void replace_sync(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	/* Both files are complete already: without this a crash may lose them, not more. */
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(copy);
}

int replace_file(const char *path, mode_t mode, struct slice content, struct why *why)
{
	char *temporary;
	int error = replace_write(path, mode, content, &temporary, why);

	if (!error)
		error = replace_place(temporary, path, true, why);
	replace_sync(path);
	if (temporary && error)
		unlink(temporary);
	free(temporary);
	return error;
}
