// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/policy_files.h"

#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "config/policy_file.h"
#include "policy/key_table.h"
#include "supervise/text_memfd.h"

static int read_policy(const char *path, struct buf *text, struct why *why)
{
	struct policy_file *file = NULL;
	int error = config_read(path, text, why);

	if (!error)
		error = policy_file_parse(path, buf_slice(text), &file, NULL, NULL, NULL, why);
	policy_file_free(file);
	return error;
}

static int read_keys(const char *path, struct buf *text, struct why *why)
{
	struct key_table *keys = NULL;
	int fd = file_secret_open(path, 0, why), error;

	if (fd < 0)
		return fd;
	error = file_read_fd(fd, KEY_FILE_MAX, text, why);
	close(fd);
	if (!error)
		error = key_table_parse(path, buf_slice(text), &keys, why);
	key_table_free(keys);
	return error;
}

static int hold(const char *path, int (*read)(const char *, struct buf *, struct why *), int *held,
	struct why *why)
{
	struct buf text = BUF_EMPTY;
	int error = path ? read(path, &text, why) : 0;
	int fd = error ? error : text_memfd(buf_slice(&text), why);

	buf_free(&text);
	if (fd < 0)
		return fd;
	if (*held >= 0)
		close(*held);
	*held = fd;
	return 0;
}

int policy_files_open(
	const struct config_policy_files *files, int *policy, int *keys, struct why *why)
{
	int error = hold(files->file, read_policy, policy, why);

	return error ? error : policy_files_keys(files->keys_file, keys, why);
}

int policy_files_keys(const char *path, int *keys, struct why *why)
{
	return hold(path, read_keys, keys, why);
}
