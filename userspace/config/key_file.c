// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/key_file.h"

#include <errno.h>

#include "base/file.h"
#include "base/secret.h"

#define KEY_FILE_MAX 8192

int key_file_read(int fd, const char *path, struct buf *key, struct why *why)
{
	struct buf content = BUF_EMPTY;
	struct slice line;
	int error = file_read_fd(fd, KEY_FILE_MAX, &content, why);

	if (error)
		return error;
	line = buf_slice(&content);
	while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	line = slice_trim(line);
	for (size_t i = 0; i < line.len && !error; i++)
		if (line.data[i] <= ' ' || line.data[i] > '~')
			error = why_set(why, EINVAL,
				"%s: it holds more than a key: put one line of printable ASCII in it",
				path);
	if (!line.len)
		error = why_set(why, EINVAL, "%s: it is empty: put the key in it", path);
	else if (!error && line.len < SECRET_SHORTEST)
		error = why_set(why, EINVAL,
			"%s: it holds %zu bytes: no key is shorter than %d, and one that is could "
			"not be "
			"told from other words, to keep it out of the record: put the key in it",
			path, line.len, SECRET_SHORTEST);
	if (!error && buf_append_slice(key, line) < 0)
		error = why_set(why, ENOMEM, "%s: out of memory", path);
	buf_wipe(&content);
	return error;
}
