// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_STEP 16384

static int file_read_into(int fd, const char *name, size_t max, struct buf *b, struct why *why)
{
	size_t before = buf_len(b);

	for (;;) {
		char *room = buf_reserve(b, FILE_STEP);
		ssize_t got;

		if (!room)
			return why_set(why, ENOMEM, "%s: no memory", name);
		got = read(fd, room, FILE_STEP);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_set(why, errno, "%s: cannot be read: %s", name, strerror(errno));
		if (got == 0)
			return 0;
		buf_commit(b, (size_t)got);
		if (buf_len(b) - before > max)
			return why_set(why, EFBIG, "%s: has more than %zu bytes", name, max);
	}
}

/* What a failed read has appended may be half a secret: it is overwritten, not only forgotten. */
static int file_read_undo(struct buf *b, size_t before, int error)
{
	if (error < 0 && b->memory) {
		explicit_bzero(b->memory + b->start + before, b->capacity - b->start - before);
		b->end = b->start + before;
	}
	return error;
}

int file_read_fd(int fd, size_t max, struct buf *b, struct why *why)
{
	size_t before = buf_len(b);

	return file_read_undo(b, before, file_read_into(fd, "file", max, b, why));
}

int file_read(const char *path, size_t max, struct buf *b, struct why *why)
{
	size_t before = buf_len(b);
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return why_set(why, errno, "%s: cannot be opened: %s", path, strerror(errno));
	error = file_read_undo(b, before, file_read_into(fd, path, max, b, why));
	close(fd);
	return error;
}

int file_secret_open(const char *path, uid_t owner, struct why *why)
{
	struct stat st;
	int fd, error;

	/* O_NONBLOCK: a FIFO in the file's place must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP)
		return why_set(why, ELOOP, "%s: is a symbolic link: name the file itself", path);
	if (fd < 0)
		return why_set(why, errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0)
		error = why_set(why, errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		error = why_set(why, EPERM, "%s: is not a regular file", path);
	else if (st.st_uid != 0 && st.st_uid != owner)
		error = why_set(why, EPERM, "%s: is owned by uid %u, and must be by root or uid %u",
			path, (unsigned)st.st_uid, (unsigned)owner);
	else if (st.st_mode & 077)
		error = why_set(why, EPERM,
			"%s: has mode %04o, so that others can get at it: chmod 0600 it", path,
			(unsigned)(st.st_mode & 07777));
	else
		return fd;
	close(fd);
	return error;
}
