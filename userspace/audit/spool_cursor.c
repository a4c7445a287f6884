// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/spool_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/little_endian.h"
#include "audit/spool_segment.h"
#include "base/crc32c.h"

#define CURSOR_NAME	"cursor"
#define CURSOR_NEW_NAME "cursor.new"
#define CURSOR_SIZE	36 /* mark, number, segment, offset, CRC-32C */

static const char mark[8] = {'S', 'P', 'C', 'U', 'R', 'S', 'R', '1'};

int spool_cursor_load(int directory, struct spool_cursor_file *cursor)
{
	unsigned char bytes[CURSOR_SIZE + 1];
	ssize_t n;
	int fd = openat(directory, CURSOR_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (n != CURSOR_SIZE || memcmp(bytes, mark, sizeof(mark)) != 0 ||
		get_le32(bytes + 32) != crc32c(0, bytes, 32))
		return -EBADMSG;
	cursor->number = get_le64(bytes + 8);
	cursor->position.segment = get_le64(bytes + 16);
	cursor->position.offset = get_le64(bytes + 24);
	if (cursor->position.segment >= SEGMENT_NUMBERS || cursor->position.offset > SEGMENT_MAX)
		return -EBADMSG;
	return 0;
}

static int cursor_write(int fd, const unsigned char *bytes, bool sync)
{
	ssize_t n = write(fd, bytes, CURSOR_SIZE);

	if (n < 0)
		return -errno;
	if (n != CURSOR_SIZE)
		return -ENOSPC;
	return sync && fsync(fd) < 0 ? -errno : 0;
}

int spool_cursor_store(int directory, const struct spool_cursor_file *cursor, bool sync)
{
	unsigned char bytes[CURSOR_SIZE];
	int fd, error;

	memcpy(bytes, mark, sizeof(mark));
	put_le64(bytes + 8, cursor->number);
	put_le64(bytes + 16, cursor->position.segment);
	put_le64(bytes + 24, cursor->position.offset);
	put_le32(bytes + 32, crc32c(0, bytes, 32));
	/* A file left behind may belong to another user: it is not opened again but replaced. */
	if (unlinkat(directory, CURSOR_NEW_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(directory, CURSOR_NEW_NAME,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	error = cursor_write(fd, bytes, sync);
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error && renameat(directory, CURSOR_NEW_NAME, directory, CURSOR_NAME) < 0)
		error = -errno;
	if (error)
		unlinkat(directory, CURSOR_NEW_NAME, 0);
	else if (sync && fsync(directory) < 0)
		error = -errno;
	return error;
}
