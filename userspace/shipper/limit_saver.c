// SPDX-License-Identifier: GPL-2.0-or-later
#include "shipper/limit_saver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "policy/limit_save.h"

/* What is lost with the power is not older than a second. */
#define EVERY_S 0.5

struct limit_saver {
	struct limit_saver_options options;
	struct limit_table *table;
	ev_timer timer;
	int files[2];
	unsigned next; /* of the two */
	uint64_t sequence;
	bool begun;
	struct buf written, fresh;
	struct log_limit log;
};

/* ---- writing ---- */

static int open_file(struct limit_saver *saver, unsigned which)
{
	char name[sizeof(LIMIT_SAVED) + 4];

	if (saver->files[which] >= 0)
		return saver->files[which];
	snprintf(name, sizeof(name), "%s%u", LIMIT_SAVED, which);
	saver->files[which] = openat(saver->options.directory, name,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	/* The name lasts from then on, as what is written under it. */
	if (saver->files[which] >= 0)
		(void)fsync(saver->options.directory);
	return saver->files[which];
}

/* Goes on behind the later one of those that are there: a clock may have been set back. */
static void begin(struct limit_saver *saver)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t sequence = 0;

		buf_clear(&saver->fresh);
		if (open_file(saver, i) >= 0 &&
			file_read_fd(saver->files[i], LIMIT_SAVE_MAX, &saver->fresh, NULL) == 0)
			sequence = limit_save_check(buf_slice(&saver->fresh));
		if (sequence < saver->sequence)
			continue;
		saver->sequence = sequence;
		saver->next = 1 - i;
	}
	saver->begun = true;
}

/* In place: it needs no more room than it has, but for what is new. */
static int write_file(int fd, struct slice data)
{
	uint64_t offset = 0;

	while (data.len) {
		ssize_t n = pwrite(fd, data.data, data.len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data = slice_after(data, (size_t)n);
		offset += (uint64_t)n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* But for its sequence and checksum it is as before. */
static bool is_news(const struct limit_saver *saver)
{
	struct slice old = slice_after(buf_slice(&saver->written), LIMIT_SAVE_HEAD);
	struct slice fresh = slice_after(buf_slice(&saver->fresh), LIMIT_SAVE_HEAD);

	return !saver->written.memory || !slice_equal(old, fresh);
}

static void save(struct limit_saver *saver)
{
	uint64_t left_out;
	struct buf swap;
	int fd, error;

	if (!saver->begun)
		begin(saver);
	buf_clear(&saver->fresh);
	error = limit_save_write(saver->table, saver->sequence + 1,
		clock_realtime_ns() / NS_PER_S, &saver->fresh);
	if (!error && !is_news(saver))
		return;
	fd = error ? -1 : open_file(saver, saver->next);
	if (!error)
		error = fd < 0 ? -errno : write_file(fd, buf_slice(&saver->fresh));
	if (error) {
		counter_add(saver->options.counters, COUNTER_LIMIT_UNSAVED, 1);
		if (log_limit(&saver->log, &left_out))
			log_error("what is used of the limits cannot be saved: %s; with the power of "
				  "the machine it would be lost (%llu such reports left out)",
				strerror(-error), (unsigned long long)left_out);
		return;
	}
	saver->sequence++;
	saver->next = 1 - saver->next;
	swap = saver->written;
	saver->written = saver->fresh;
	saver->fresh = swap;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	save(timer->data);
}

/* ---- its own life ---- */

int limit_saver_new(
	const struct limit_saver_options *options, struct limit_saver **made, struct why *why)
{
	struct limit_saver *saver = calloc(1, sizeof(*saver));

	*made = NULL;
	if (saver)
		saver->table = limit_table_map(options->table, false, why);
	close(options->table);
	if (!saver)
		return why_set(why, ENOMEM, "out of memory");
	if (!saver->table) {
		free(saver);
		return -EINVAL;
	}
	saver->options = *options;
	saver->files[0] = saver->files[1] = -1;
	/* Who hears of times in this place knows where it is; its file cannot be opened later. */
	tzset();
	ev_timer_init(&saver->timer, on_timer, EVERY_S, EVERY_S);
	saver->timer.data = saver;
	ev_timer_start(options->loop, &saver->timer);
	*made = saver;
	return 0;
}

void limit_saver_free(struct limit_saver *saver)
{
	if (!saver)
		return;
	ev_timer_stop(saver->options.loop, &saver->timer);
	save(saver);
	for (unsigned i = 0; i < 2; i++)
		if (saver->files[i] >= 0)
			close(saver->files[i]);
	limit_table_free(saver->table);
	buf_free(&saver->written);
	buf_free(&saver->fresh);
	free(saver);
}
