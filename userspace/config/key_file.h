/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONFIG_KEY_FILE_H
#define CONFIG_KEY_FILE_H

#include "base/buf.h"
#include "base/why.h"

/* Reads a key: one line of printable ASCII, as a service key goes into a header; space around it is
 * taken off. The descriptor stays the caller's; path is for messages, in which the
 * key never stands. 0, or negative errno with why; key is to be freed by buf_wipe. */
int key_file_read(int fd, const char *path, struct buf *key, struct why *why);

#endif
