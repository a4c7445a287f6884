// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/standing.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STANDING_MAGIC   0x32646e6174737073ULL /* "spstand2": another one for another form */
#define STANDING_PROBES  32		     /* places of one name */
#define STANDING_TRIES   8		     /* to get one of them, against other workers */
#define ROW_FILLED     UINT64_MAX	     /* the key of a row that somebody fills, or died at */

struct standing_table {
	uint64_t magic;
	uint64_t size;
	struct standing_budget budgets[STANDING_BUDGETS];
	struct standing_row rows[STANDING_ROWS];
	struct standing_owner owners[STANDING_OWNERS];
	struct standing_job jobs[STANDING_JOBS];
};

struct standing {
	struct standing_table *table;
};

/* ---- the file ---- */

static struct standing *standing_of(int fd, int protection, struct why *why)
{
	struct standing *standing = malloc(sizeof(*standing));
	void *table = MAP_FAILED;
	struct stat st;

	if (standing && fstat(fd, &st) == 0 && st.st_size == sizeof(struct standing_table))
		table = mmap(NULL, sizeof(struct standing_table), protection, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED) {
		free(standing);
		why_set(why, EINVAL, "the state of the backends cannot be mapped");
		return NULL;
	}
	standing->table = table;
	if (standing->table->magic == STANDING_MAGIC &&
		standing->table->size == sizeof(struct standing_table))
		return standing;
	standing_free(standing);
	why_set(why, EINVAL, "the state of the backends is of another version");
	return NULL;
}

/* An older daemon's workers may go on with the old file: it is replaced, never changed in form. */
static int standing_create(const char *path, struct why *why)
{
	const uint64_t head[2] = {STANDING_MAGIC, sizeof(struct standing_table)};
	char fresh[PATH_MAX];
	int fd, n, error;

	n = snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(fresh))
		return why_set(why, ENAMETOOLONG, "%s: the path is too long", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return why_set(why, errno, "cannot remove %s: %m", fresh);
	fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return why_set(why, errno, "cannot make %s: %m", fresh);
	/* Space is taken now: a full file system must not show later, as SIGBUS of a worker. */
	error = posix_fallocate(fd, 0, sizeof(struct standing_table));
	if (!error && pwrite(fd, head, sizeof(head), 0) != sizeof(head))
		error = EIO;
	if (!error && rename(fresh, path) < 0)
		error = errno;
	if (!error)
		return fd;
	unlink(fresh);
	close(fd);
	return why_set(why, error, "cannot write %s: %s", path, strerror(error));
}

int standing_open(const char *path, int *fd, struct why *why)
{
	struct standing *found = NULL;

	*fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd >= 0)
		found = standing_of(*fd, PROT_READ, NULL);
	if (found) {
		standing_free(found);
		return 0;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = standing_create(path, why);
	return *fd < 0 ? *fd : 0;
}

struct standing *standing_map(int fd, struct why *why)
{
	return standing_of(fd, PROT_READ | PROT_WRITE, why);
}

int standing_look(const char *path, struct standing **standing, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	*standing = NULL;
	if (fd < 0)
		return why_set(why, errno, "%s: %m", path);
	*standing = standing_of(fd, PROT_READ, why);
	close(fd);
	return *standing ? 0 : -EINVAL;
}

struct standing *standing_new(void)
{
	struct standing *standing = malloc(sizeof(*standing));
	void *table = mmap(NULL, sizeof(struct standing_table), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!standing || table == MAP_FAILED) {
		free(standing);
		return NULL;
	}
	standing->table = table;
	return standing;
}

void standing_free(struct standing *standing)
{
	if (!standing)
		return;
	munmap(standing->table, sizeof(struct standing_table));
	free(standing);
}

/* ---- rows ---- */

/* FNV-1a. Whoever makes two names collide gains nothing: the names themselves are compared. */
static uint64_t hash_on(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3ULL;
	return hash;
}

uint64_t standing_hash(struct slice name)
{
	uint64_t hash = hash_on(0xcbf29ce484222325ULL, name);

	return hash ? hash : 1;
}

static uint64_t row_key(struct slice backend, struct slice deployment)
{
	uint64_t hash = hash_on(standing_hash(backend), SLICE("\0"));

	hash = hash_on(hash, deployment);
	return hash && hash != ROW_FILLED ? hash : 1;
}

static void name_set(char to[STANDING_NAME], struct slice name)
{
	size_t len = name.len < STANDING_NAME - 1 ? name.len : STANDING_NAME - 1;

	if (len)
		memcpy(to, name.data, len);
	to[len] = '\0';
}

static bool name_is(const char have[STANDING_NAME], struct slice name)
{
	size_t len = name.len < STANDING_NAME - 1 ? name.len : STANDING_NAME - 1;

	return (len == 0 || memcmp(have, name.data, len) == 0) && have[len] == '\0';
}

static struct standing_row *row_place(const struct standing *standing, uint64_t key, size_t probe)
{
	return &standing->table->rows[(key + probe) % STANDING_ROWS];
}

static bool row_is(struct standing_row *row, uint64_t key, struct slice backend,
	struct slice deployment)
{
	return atomic_load_explicit(&row->key, memory_order_acquire) == key &&
	       name_is(row->backend, backend) && name_is(row->deployment, deployment);
}

struct standing_row *standing_find(
	const struct standing *standing, struct slice backend, struct slice deployment)
{
	uint64_t key = row_key(backend, deployment);

	for (size_t probe = 0; probe < STANDING_PROBES; probe++) {
		struct standing_row *row = row_place(standing, key, probe);

		if (row_is(row, key, backend, deployment))
			return row;
	}
	return NULL;
}

/* Whoever gets the row by its key in the moment in which another one fills it counts for the one
 * or the other: neither matters for long. */
static void row_fill(struct standing_row *row, struct slice backend, struct slice deployment)
{
	_Atomic uint64_t *from = &row->used_ns;
	size_t n = (offsetof(struct standing_row, backend) - offsetof(struct standing_row, used_ns)) /
		   sizeof(uint64_t);

	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&from[i], 0, memory_order_relaxed);
	name_set(row->backend, backend);
	name_set(row->deployment, deployment);
}

static_assert(offsetof(struct standing_row, backend) % sizeof(uint64_t) == 0, "words only");

/* Of all its places the one to give away: a free one, else the deployment that was used longest
 * ago, else (there are none but whole backends) the backend. NULL: others are at all of them. */
static struct standing_row *row_worst(const struct standing *standing, uint64_t key)
{
	struct standing_row *worst = NULL;
	uint64_t worst_ns = UINT64_MAX;

	for (size_t probe = 0; probe < STANDING_PROBES; probe++) {
		struct standing_row *row = row_place(standing, key, probe);
		uint64_t used_ns = atomic_load_explicit(&row->used_ns, memory_order_relaxed);
		uint64_t has = atomic_load_explicit(&row->key, memory_order_relaxed);

		if (!has)
			return row;
		if (has == ROW_FILLED)
			continue;
		if (!row->deployment[0])
			used_ns |= 1ULL << 63;
		if (!worst || used_ns < worst_ns) {
			worst = row;
			worst_ns = used_ns;
		}
	}
	return worst;
}

struct standing_row *standing_take(
	struct standing *standing, struct slice backend, struct slice deployment, uint64_t now_ns)
{
	uint64_t key = row_key(backend, deployment);
	struct standing_row *row = standing_find(standing, backend, deployment);

	for (int i = 0; i < STANDING_TRIES && !row; i++) {
		struct standing_row *worst = row_worst(standing, key);
		uint64_t before =
			worst ? atomic_load_explicit(&worst->key, memory_order_relaxed) : 0;

		if (worst && before != ROW_FILLED &&
			atomic_compare_exchange_strong(&worst->key, &before, ROW_FILLED)) {
			row_fill(worst, backend, deployment);
			atomic_store_explicit(&worst->key, key, memory_order_release);
			row = worst;
		} else {
			row = standing_find(standing, backend, deployment);
		}
	}
	if (!row)
		row = row_place(standing, key, 0); /* another's: a wrong guess, once */
	atomic_store_explicit(&row->used_ns, now_ns, memory_order_relaxed);
	return row;
}

struct standing_budget *standing_budget(struct standing *standing, struct slice pool)
{
	uint64_t key = standing_hash(pool), nobody = 0;
	struct standing_budget *budget = &standing->table->budgets[key % STANDING_BUDGETS];

	for (size_t probe = 0; probe < STANDING_PROBES; probe++, nobody = 0) {
		budget = &standing->table->budgets[(key + probe) % STANDING_BUDGETS];
		if (atomic_load(&budget->key) == key ||
			atomic_compare_exchange_strong(&budget->key, &nobody, key) || nobody == key)
			return budget;
	}
	return budget; /* shared with a pool of former times */
}

struct standing_owner *standing_owner(const struct standing *standing, uint64_t number)
{
	return &standing->table->owners[number % STANDING_OWNERS];
}

struct standing_job *standing_job(const struct standing *standing, uint64_t number)
{
	return &standing->table->jobs[number % STANDING_JOBS];
}

const struct standing_row *standing_at(const struct standing *standing, size_t number)
{
	const struct standing_row *row = &standing->table->rows[number % STANDING_ROWS];
	uint64_t key = atomic_load_explicit(&row->key, memory_order_acquire);

	return key && key != ROW_FILLED ? row : NULL;
}

struct standing_row *standing_of_backend(
	const struct standing *standing, size_t number, struct slice backend)
{
	struct standing_row *row = &standing->table->rows[number % STANDING_ROWS];

	return standing_at(standing, number) && name_is(row->backend, backend) ? row : NULL;
}
