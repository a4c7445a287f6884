/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/why.h"

/* Appends the content of a file to b. More than max bytes are refused with -EFBIG, so that a
 * device or a runaway file cannot fill the memory. Else 0 or the negative errno of open or read;
 * b is unchanged on failure. A secret's reader ends with buf_wipe. */
int file_read(const char *path, size_t max, struct buf *b, struct why *why);
/* As file_read, from the descriptor's current position; the descriptor stays the caller's. */
int file_read_fd(int fd, size_t max, struct buf *b, struct why *why);

/* Opens a file that holds a secret for reading and returns the descriptor (close-on-exec), the
 * caller's to close. Refused with -EPERM: what is not a regular file, has a mode bit for group or
 * others, or is owned neither by root nor by owner. A symbolic link as the last part of the path
 * is refused with -ELOOP. What is checked is the descriptor returned, so nobody can exchange the
 * file in between. */
int file_secret_open(const char *path, uid_t owner, struct why *why);

#endif
