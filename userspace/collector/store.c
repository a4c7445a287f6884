// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "collector/anchor.h"
#include "collector/day.h"
#include "collector/keyed.h"
#include "collector/layout.h"

#define STORE_OPEN	4     /* days whose files are open at a time */
/* A collector that was killed while it started its index: for a moment the child has the lock, too. */
#define STORE_LOCK_TRIES    30
#define STORE_LOCK_PAUSE_US 100000
#define STORE_FIRST_DAY 18262 /* 2020-01-01: no event is older */

struct store {
	char *path;
	int directory; /* locked */
	struct keyed *keyed;
	struct anchors *anchors;
	struct seal_key seal_key;
	bool sealed;
	struct day *open[STORE_OPEN]; /* the one used last comes first; NULL: none */
	int64_t last_id;
	struct row row;
	bool in_transaction;
	uint64_t added, conflicts, duplicates;
	struct log_limit tampered, nameless;
};

/* ---- days ---- */

/* The latest day before number of which there is a file, or -1. */
static int32_t store_day_before(const struct store *store, int32_t number)
{
	int32_t *days, before = -1;
	size_t n;

	if (layout_days(store->path, &days, &n) < 0)
		return -1;
	for (size_t i = 0; i < n && days[i] < number; i++)
		before = days[i];
	free(days);
	return before;
}

/* The day's file, open. 0, or negative errno with why. */
static int store_day(struct store *store, int32_t number, struct day **day, struct why *why)
{
	struct day_options options = {.directory = store->path,
		.number = number,
		.keyed = store->keyed,
		.anchors = store->anchors,
		.seal_key = store->sealed ? &store->seal_key : NULL};
	struct day *found = NULL;
	size_t at = 0;
	int error;

	while (at < STORE_OPEN - 1 && store->open[at] && day_number(store->open[at]) != number)
		at++;
	found = store->open[at];
	if (found && day_number(found) != number) {
		/* The last place, of another day. */
		error = day_commit(found, why);
		if (error)
			return error == -EBADMSG ? -EIO : error;
		day_close(found);
		store->open[at] = found = NULL;
	}
	if (!found) {
		options.before = store_day_before(store, number);
		error = day_open(&options, &found, why);
		if (error)
			return error;
	}
	memmove(store->open + 1, store->open, at * sizeof(*store->open));
	store->open[0] = *day = found;
	return 0;
}

/* Closes the day's file, if it is open, without what was not committed. */
static void store_close_day(struct store *store, int32_t number)
{
	for (size_t i = 0; i < STORE_OPEN; i++) {
		if (!store->open[i] || day_number(store->open[i]) != number)
			continue;
		day_close(store->open[i]);
		memmove(store->open + i, store->open + i + 1,
			(STORE_OPEN - 1 - i) * sizeof(*store->open));
		store->open[STORE_OPEN - 1] = NULL;
	}
}

static const char *const store_suffixes[] = {"", "-wal", "-shm"};

/* A file with what belongs to it. */
static void store_unlink(const struct store *store, const char *name)
{
	for (size_t i = 0; i < sizeof(store_suffixes) / sizeof(store_suffixes[0]); i++) {
		char path[40];

		snprintf(path, sizeof(path), "%s%s", name, store_suffixes[i]);
		unlinkat(store->directory, path, 0);
	}
}

/* A damaged file is kept under another name: one day must not keep all others from being stored. Who
 * sent events of it sends them again, to a new file. */
static void store_set_aside(struct store *store, int32_t number)
{
	struct layout_day_name name = layout_day_name(number);
	long long now = (long long)(clock_realtime_ns() / NS_PER_S);
	char from[40], to[80];

	store_close_day(store, number);
	anchor_close_day(store->anchors, number, CHAIN_DAMAGED);
	for (size_t i = 0; i < sizeof(store_suffixes) / sizeof(store_suffixes[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", name.text, store_suffixes[i]);
		snprintf(to, sizeof(to), "%s.damaged-%lld%s", name.text, now, store_suffixes[i]);
		renameat(store->directory, from, store->directory, to);
	}
	store_unlink(store, layout_index_name(number).text);
	log_error(
		"%s/%s is damaged: it is kept as %s.damaged-%lld, and events of that day go to a new "
		"file",
		store->path, name.text, name.text, now);
}

/* The day of an event. A clock that is wrong does not make files of its own. */
static int32_t store_day_number(struct row *row)
{
	uint64_t now = clock_realtime_ns();

	row->untimed = row->time_ns / LAYOUT_NS_PER_DAY < STORE_FIRST_DAY ||
		       row->time_ns > now + LAYOUT_NS_PER_DAY;
	if (row->untimed)
		row->time_ns = now;
	return (int32_t)(row->time_ns / LAYOUT_NS_PER_DAY);
}

/* ---- opening ---- */

static int store_directory(const char *path, struct why *why)
{
	struct stat status;
	bool locked = false;
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return why_set(why, errno, "%s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return why_set(why, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) == 0 && (status.st_mode & 077)) {
		close(fd);
		return why_set(why, EPERM,
			"%s: others may look into it; make its mode 0700, it holds prompts", path);
	}
	for (int i = 0; i < STORE_LOCK_TRIES && !locked; i++) {
		locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
		if (!locked)
			usleep(STORE_LOCK_PAUSE_US);
	}
	if (!locked) {
		close(fd);
		return why_set(why, EBUSY, "%s: another collector writes to this store", path);
	}
	return fd;
}

/* Ids ascend over all days. A file that cannot be read is told and passed over: the others work. */
static int store_find_last_id(struct store *store, struct why *why)
{
	int32_t *days;
	size_t n;
	int error = layout_days(store->path, &days, &n);

	if (error)
		return why_set(why, -error, "%s: %s", store->path, strerror(-error));
	for (size_t i = 0; i < n; i++) {
		struct day_options options = {.directory = store->path,
			.number = days[i],
			.before = -1,
			.keyed = store->keyed,
			.anchors = store->anchors,
		.seal_key = store->sealed ? &store->seal_key : NULL};
		struct day *day;
		struct why problem;
		int64_t last;

		if (day_open(&options, &day, &problem) < 0) {
			log_error("%s: this day is left out until it is repaired or moved away",
				problem.text);
			continue;
		}
		/* One of an older version may have got sums of all that is in it. */
		sd_notify(0, "EXTEND_TIMEOUT_USEC=60000000");
		last = day_last_id(day);
		if (last > store->last_id)
			store->last_id = last;
		day_close(day);
	}
	if (n && anchors_made(store->anchors))
		log_warning("%s/" ANCHOR_FILE " was not there and was made anew: what is missing at the "
			    "ends of the days that are there cannot be known",
			store->path);
	free(days);
	return 0;
}

int store_seal(const char *path, const char *key_file, struct why *why)
{
	char link[4200], new[4200], *whole = realpath(key_file, NULL);
	struct seal_key key;
	int error = whole ? seal_key_read(whole, geteuid(), &key, why)
			  : why_set(why, errno, "%s: %s", key_file, strerror(errno));

	OPENSSL_cleanse(&key, sizeof(key));
	if (!error && mkdir(path, 0700) < 0 && errno != EEXIST)
		error = why_set(why, errno, "%s: %s", path, strerror(errno));
	snprintf(link, sizeof(link), "%.4000s/" SEAL_LINK, path);
	snprintf(new, sizeof(new), "%.4000s/" SEAL_LINK ".new", path);
	unlink(new);
	if (!error && (symlink(whole, new) < 0 || rename(new, link) < 0))
		error = why_set(why, errno, "%s: %s", link, strerror(errno));
	free(whole);
	return error;
}

bool store_is_sealed(const struct store *store)
{
	return store->sealed;
}

int store_open(const char *path, struct store **opened, struct why *why)
{
	struct store *store = calloc(1, sizeof(*store));
	int error;

	if (!store || !(store->path = strdup(path))) {
		free(store);
		return why_set(why, ENOMEM, "out of memory");
	}
	store->directory = store_directory(path, why);
	error = store->directory < 0 ? store->directory : 0;
	if (!error) {
		error = seal_key_find(path, &store->seal_key, why);
		store->sealed = !error;
		error = error == -ENOENT ? 0 : error;
	}
	if (!error && !(store->keyed = keyed_open(path, true, why)))
		error = -EIO;
	if (!error && !(store->anchors = anchors_open(path, store->keyed, why)))
		error = -EIO;
	if (!error)
		error = store_find_last_id(store, why);
	if (error)
		store_close(store);
	else
		*opened = store;
	return error;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < STORE_OPEN; i++)
		if (store->open[i])
			day_close(store->open[i]);
	anchors_close(store->anchors);
	keyed_close(store->keyed);
	if (store->directory >= 0)
		close(store->directory);
	row_free(&store->row);
	free(store->path);
	OPENSSL_cleanse(&store->seal_key, sizeof(store->seal_key));
	free(store);
}

/* ---- events ---- */

static void store_tell_conflict(struct store *store, const struct row *row)
{
	int64_t stream = 0, sequence = 0;
	uint64_t left_out;

	row_number(row->fields[SCHEMA_ID_stream], &stream);
	row_number(row->fields[SCHEMA_ID_sequence], &sequence);
	if (log_limit(&store->tampered, &left_out))
		log_error(
			"tampering? an event came whose identity another event has (%s, stream "
			"%lld, sequence %lld): both are stored, this one marked (%llu such reports "
			"left out)",
			log_quote(row_text(row->fields[SCHEMA_ID_observer])).text,
			(long long)stream, (long long)sequence, (unsigned long long)left_out);
}

/* An event that has an identity. */
static int store_add_row(struct store *store, struct why *why)
{
	int32_t number = store_day_number(&store->row);
	enum day_added added;
	struct day *day;
	int error = store_day(store, number, &day, why);

	if (!error)
		error = day_add(day, store->last_id + 1, &store->row, &added, why);
	if (error == -EBADMSG)
		store_set_aside(store, number);
	if (error)
		return error;
	if (added == DAY_DUPLICATE) {
		store->duplicates++;
		return 0;
	}
	store->last_id++;
	store->added++;
	if (added == DAY_CONFLICT) {
		store->conflicts++;
		store_tell_conflict(store, &store->row);
	}
	return 0;
}

int store_add(struct store *store, const struct forward_entry *entry, struct why *why)
{
	uint64_t left_out;
	int error = row_read(&store->row, entry);

	store->in_transaction = true;
	if (error == -EINVAL || error == -EBADMSG) {
		/* Without an identity a resend could not be told from a new event. */
		if (log_limit(&store->nameless, &left_out))
			log_warning(
				"an entry of %s without event.id and chunk was not stored (%llu "
				"such reports left out)",
				log_quote(entry->tag).text, (unsigned long long)left_out);
		return 0;
	}
	error = error ? why_set(why, ENOMEM, "out of memory") : store_add_row(store, why);
	if (error)
		store_rollback(store);
	return error;
}

int store_commit(struct store *store, struct why *why)
{
	int error = 0;

	/* In the order of days; what was committed before one that fails is known when it comes again. */
	for (size_t i = STORE_OPEN; i-- && !error;) {
		int32_t number = store->open[i] ? day_number(store->open[i]) : -1;

		if (store->open[i])
			error = day_commit(store->open[i], why);
		if (error == -EBADMSG)
			store_set_aside(store, number);
	}
	if (error)
		store_rollback(store);
	store->in_transaction = false;
	return error;
}

void store_rollback(struct store *store)
{
	for (size_t i = 0; i < STORE_OPEN; i++)
		if (store->open[i])
			day_rollback(store->open[i]);
	store->in_transaction = false;
}

bool store_in_transaction(const struct store *store)
{
	return store->in_transaction;
}

void store_retain(struct store *store, unsigned days)
{
	int32_t today = (int32_t)(clock_realtime_ns() / LAYOUT_NS_PER_DAY), *all;
	size_t n;

	if (!days || layout_days(store->path, &all, &n) < 0)
		return;
	for (size_t i = 0; i < n && all[i] < today - (int64_t)days; i++) {
		struct layout_day_name name = layout_day_name(all[i]),
				       index = layout_index_name(all[i]);

		store_close_day(store, all[i]);
		anchor_close_day(store->anchors, all[i], CHAIN_REMOVED);
		store_unlink(store, index.text);
		store_unlink(store, name.text);
		log_info("%s: removed, for it is more than %u days old", name.text, days);
	}
	free(all);
}

uint64_t store_added(const struct store *store)
{
	return store->added;
}

uint64_t store_conflicts(const struct store *store)
{
	return store->conflicts;
}

uint64_t store_duplicates(const struct store *store)
{
	return store->duplicates;
}
