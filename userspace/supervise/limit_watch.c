// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/limit_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "policy/limit_save.h"

/* Of one place there are at once: the worker, those that it relieved, and those of configurations that
 * are not in force any more. */
#define CELLS_PER_WORKER 4
#define CELLS_LEAST	 16
/* The workers of a daemon that was killed end by themselves, and nobody tells of it. */
#define LOOK_S 1.

struct limit_watch {
	struct limit_table *table;
	int fd;
	struct ev_loop *loop;
	ev_timer look;
};

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	limit_watch_ended(timer->data);
}

/* ---- what was saved ---- */

static uint64_t read_saved(const char *directory, unsigned which, struct buf *saved)
{
	char path[PATH_MAX];
	uint64_t sequence = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%s%u", directory, LIMIT_SAVED, which);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (file_read_fd(fd, LIMIT_SAVE_MAX, saved, NULL) == 0)
		sequence = limit_save_check(buf_slice(saved));
	close(fd);
	return sequence;
}

/* Of the two the later one that is whole. */
static void restore(struct limit_watch *watch, const char *directory)
{
	struct buf saved[2] = {BUF_EMPTY, BUF_EMPTY};
	uint64_t first = read_saved(directory, 0, &saved[0]);
	uint64_t second = read_saved(directory, 1, &saved[1]);

	if (first || second)
		limit_save_restore(watch->table, buf_slice(&saved[second > first]),
			clock_realtime_ns() / NS_PER_S);
	buf_free(&saved[0]);
	buf_free(&saved[1]);
}

/* ---- its own life ---- */

static uint32_t cells_for(const struct config *config)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t workers = config->appliance.workers;

	if (online > 0 && online <= 256 && (uint32_t)online > workers)
		workers = (uint32_t)online;
	workers *= CELLS_PER_WORKER;
	return workers > CELLS_LEAST ? workers : CELLS_LEAST;
}

static int open_table(struct limit_watch *watch, const struct config *config, struct why *why)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", config->appliance.run_directory, LIMIT_FILE);
	bool fresh;
	int error;

	if (n < 0 || (size_t)n >= sizeof(path))
		return why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long");
	/* Who hears of times in this place knows where it is. */
	tzset();
	error = limit_table_open(
		path, config->policy.limit_counters, cells_for(config), &watch->fd, &fresh, why);
	if (error)
		return error;
	watch->table = limit_table_map(watch->fd, true, why);
	if (!watch->table)
		return -EINVAL;
	if (fresh)
		restore(watch, config->audit.spool_directory);
	return 0;
}

int limit_watch_new(
	struct ev_loop *loop, const struct config *config, struct limit_watch **made, struct why *why)
{
	struct limit_watch *watch = calloc(1, sizeof(*watch));
	int error;

	*made = NULL;
	if (!watch)
		return why_set(why, ENOMEM, "no memory for the limits");
	watch->loop = loop;
	watch->fd = -1;
	ev_timer_init(&watch->look, on_look, LOOK_S, LOOK_S);
	watch->look.data = watch;
	error = open_table(watch, config, why);
	if (error) {
		limit_watch_free(watch);
		return error;
	}
	limit_watch_ended(watch);
	ev_timer_start(loop, &watch->look);
	*made = watch;
	return 0;
}

void limit_watch_free(struct limit_watch *watch)
{
	if (!watch)
		return;
	ev_timer_stop(watch->loop, &watch->look);
	limit_table_free(watch->table);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

void limit_watch_boot(struct limit_watch *watch, struct boot_fds *fds)
{
	struct why why = {""};
	int fd = watch ? limit_table_lend(watch->table, watch->fd, &why) : -1;

	if (fd >= 0)
		boot_fds_own(fds, "limits", fd);
	else if (watch)
		log_error("limits: %s: this worker refuses what is limited; a restart makes room for more",
			why.text);
}

void limit_watch_show(struct limit_watch *watch, struct boot_fds *fds)
{
	if (watch)
		boot_fds_reopen(fds, "limits", watch->fd);
}

void limit_watch_ended(struct limit_watch *watch)
{
	if (watch)
		(void)limit_table_reap(watch->table, watch->fd);
}
