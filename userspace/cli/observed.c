// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/observed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/say.h"
#include "config/tree.h"

#define RUN_DIRECTORY "/run/sallyport" /* the default of appliance.run_directory */

/* Where the daemon would have left it: by the text, also when not all of the text can be used. */
static void run_directory(struct slice text, char directory[PATH_MAX])
{
	struct node *root = tree_parse("", text, NULL);
	const struct node *found = node_find(node_find(root, "appliance"), "run_directory");
	bool named = found && found->kind == NODE_SCALAR && found->text[0] == '/';

	snprintf(directory, PATH_MAX, "%s", named ? found->text : RUN_DIRECTORY);
	node_free(root);
}

/* The lock is held as long as a daemon lives. */
static bool daemon_runs(const char *directory)
{
	char path[PATH_MAX + 16];
	int fd;
	bool held;

	snprintf(path, sizeof(path), "%s/lock", directory);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	return held;
}

/* Whether the daemon's text came from the file at path; then *text begins behind the line that says
 * so. */
static bool read_from(const char *path, struct slice *text)
{
	const size_t head = strlen(CONFIG_RUNNING_HEAD);
	char *absolute = realpath(path, NULL);
	const char *end = text->len > head ? memchr(text->data, '\n', text->len) : NULL;
	bool same = false;

	if (absolute && end && memcmp(text->data, CONFIG_RUNNING_HEAD, head) == 0 &&
		(size_t)(end - text->data) == head + strlen(absolute))
		same = memcmp(text->data + head, absolute, strlen(absolute)) == 0;
	free(absolute);
	if (same)
		*text = slice_after(*text, (size_t)(end + 1 - text->data));
	return same;
}

/* true: *config is that of a daemon. */
static bool running_config(const char *path, struct slice disk, struct config **config,
	struct observed *observed)
{
	char directory[PATH_MAX], left[PATH_MAX + 16];
	struct buf text = BUF_EMPTY;
	struct slice rest;

	run_directory(disk, directory);
	snprintf(left, sizeof(left), "%s/" CONFIG_RUNNING_FILE, directory);
	if (daemon_runs(directory) && config_read(left, &text, NULL) == 0) {
		rest = buf_slice(&text);
		observed->running = read_from(path, &rest) &&
				    config_parse(left, rest, config, NULL) == 0;
		observed->changed = observed->running && !slice_equal(rest, disk);
	}
	buf_free(&text);
	return observed->running;
}

int observed_config(
	const char *path, struct config **config, struct observed *observed, struct why *why)
{
	struct config *ofdisk = NULL;
	struct buf disk = BUF_EMPTY;
	int error = config_read(path, &disk, why);

	*observed = (struct observed){0};
	*config = NULL;
	if (!error)
		error = config_parse(path, buf_slice(&disk), &ofdisk, why);
	if (running_config(path, buf_slice(&disk), config, observed)) {
		if (error && why)
			observed->refused = *why;
		config_free(ofdisk);
		error = 0;
	} else {
		*config = ofdisk;
	}
	buf_free(&disk);
	return error;
}

int observed_config_say(const char *path, struct config **config, struct why *why)
{
	struct observed observed;
	int error = observed_config(path, config, &observed, why);

	if (!error && *observed.refused.text)
		say("%s; shown by the configuration that sallyportd runs by",
			observed.refused.text);
	return error;
}
