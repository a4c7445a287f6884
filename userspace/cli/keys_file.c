// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/keys_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/file.h"
#include "cli/replace.h"
#include "cli/say.h"
#include "tls/issue.h"

#define AWAIT_NS (5 * NS_PER_S)

static int lock_directory(struct keys_file *file, struct why *why)
{
	char *copy = strdup(file->path);

	if (!copy)
		return why_set(why, ENOMEM, "out of memory");
	file->lock = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (file->lock < 0 || flock(file->lock, LOCK_EX) < 0)
		return why_set(why, errno, "%s: its directory cannot be locked: %m", file->path);
	return 0;
}

static int make_table(struct keys_file *file, struct why *why)
{
	uint8_t salt[KEY_SALT];

	if (!issue_salt(salt))
		return why_set(why, EIO, "there are no random numbers");
	file->table = key_table_new(salt);
	return file->table ? 0 : why_set(why, ENOMEM, "out of memory");
}

static int read_table(struct keys_file *file, bool changes, struct why *why)
{
	struct buf text = BUF_EMPTY;
	int fd, error;

	if (changes && access(file->path, F_OK) < 0 && errno == ENOENT) {
		/* Were it lost, the keys of before would be so with the first that is made now. */
		say("%s is not there, and is made", file->path);
		return make_table(file, why);
	}
	fd = file_secret_open(file->path, 0, why);
	if (fd < 0)
		return fd;
	error = file_read_fd(fd, KEY_FILE_MAX, &text, why);
	close(fd);
	if (!error)
		error = key_table_parse(file->path, buf_slice(&text), &file->table, why);
	buf_free(&text);
	return error;
}

/* How often the daemon has looked at the file, with whatever result. false: there is no daemon. */
static bool looked(const struct keys_file *file, uint64_t *times, uint64_t *refused)
{
	struct counters *counters;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/counters", file->config->appliance.run_directory) >=
			(int)sizeof(path) ||
		counters_open(path, &counters, NULL) < 0)
		return false;
	*refused = counter_total(counters, COUNTER_KEYS_REFUSED);
	*times = counter_total(counters, COUNTER_KEYS_LOADED) + *refused;
	counters_close(counters);
	return true;
}

int keys_file_open(const char *config_path, bool changes, struct keys_file *file, struct why *why)
{
	int error;

	*file = (struct keys_file){.lock = -1};
	error = config_load(config_path, &file->config, why);
	if (error)
		return error;
	file->path = file->config->policy.keys_file;
	if (!file->path)
		return why_set(why, ENOENT,
			"%s: policy.keys_file is not set: name the file for the keys there", config_path);
	if (changes)
		error = lock_directory(file, why);
	if (!error)
		error = read_table(file, changes, why);
	if (!error)
		(void)looked(file, &file->looked, &file->refused);
	return error;
}

int keys_file_write(struct keys_file *file, struct why *why)
{
	struct buf text = BUF_EMPTY;
	int error = key_table_print(file->table, &text);

	error = error ? why_set(why, ENOMEM, "out of memory")
		      : replace_file(file->path, 0600, buf_slice(&text), why);
	buf_free(&text);
	return error;
}

void keys_file_await(struct keys_file *file)
{
	static const struct timespec pause = {0, 20000000};
	uint64_t until_ns = clock_monotonic_ns() + AWAIT_NS, now, refused;

	if (!looked(file, &now, &refused))
		return;
	while (now == file->looked && clock_monotonic_ns() < until_ns &&
		looked(file, &now, &refused))
		nanosleep(&pause, NULL);
	if (now == file->looked)
		say("%s is written, but no sallyportd has read it yet: reload it", file->path);
	else if (refused > file->refused)
		say("%s is written, but sallyportd could not use it: see its log", file->path);
}

void keys_file_close(struct keys_file *file)
{
	key_table_free(file->table);
	config_free(file->config);
	if (file->lock >= 0)
		close(file->lock);
}
