// SPDX-License-Identifier: GPL-2.0-or-later
/* The file of the table, and whose cells are whose. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "policy/limit_memory.h"
#include "policy/limit_table.h"

#define MAGIC 0x31746d696c7073ULL /* "splimt1": another one for another form */

/* ---- the file ---- */

static size_t stride_of(uint32_t workers)
{
	size_t size = sizeof(struct limit_row) + workers * sizeof(struct limit_cell);

	return (size + 63) / 64 * 64;
}

static size_t size_of(uint32_t rows, uint32_t workers)
{
	return sizeof(struct limit_memory) + ((size_t)rows + LIMIT_SHARED) * stride_of(workers);
}

static struct limit_table *table_of(void *memory, size_t size, uint32_t workers)
{
	struct limit_table *table = malloc(sizeof(*table));

	if (table)
		*table = (struct limit_table){memory, size, stride_of(workers)};
	return table;
}

struct limit_table *limit_table_map(int fd, bool write, struct why *why)
{
	struct limit_table *table = NULL;
	struct limit_memory head;
	struct stat st;
	void *memory;

	if (fstat(fd, &st) < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
		head.magic != MAGIC || head.workers > LIMIT_WORKERS_MAX || !head.workers ||
		!head.rows || (size_t)st.st_size != size_of(head.rows, head.workers)) {
		why_set(why, EINVAL, "the table of the limits is of another version");
		return NULL;
	}
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED,
		fd, 0);
	if (memory != MAP_FAILED)
		table = table_of(memory, (size_t)st.st_size, head.workers);
	if (!table) {
		if (memory != MAP_FAILED)
			munmap(memory, (size_t)st.st_size);
		why_set(why, ENOMEM, "the table of the limits cannot be mapped");
	}
	return table;
}

/* An older daemon's workers may go on with the old file: it is replaced, never changed in form. */
static int create(const char *path, uint32_t rows, uint32_t workers, struct why *why)
{
	const struct limit_memory head = {.magic = MAGIC, .rows = rows, .workers = workers};
	char fresh[PATH_MAX];
	int fd, n, error;

	n = snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(fresh))
		return why_set(why, ENAMETOOLONG, "%s: the path is too long", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return why_set(why, errno, "cannot remove %s: %m", fresh);
	fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_set(why, errno, "cannot make %s: %m", fresh);
	/* Space is taken now: a full file system must not show later, as SIGBUS of a worker. */
	error = posix_fallocate(fd, 0, (off_t)size_of(rows, workers));
	if (!error && pwrite(fd, &head, sizeof(head), 0) != sizeof(head))
		error = EIO;
	if (!error && rename(fresh, path) < 0)
		error = errno;
	if (!error)
		return fd;
	unlink(fresh);
	close(fd);
	return why_set(why, error, "cannot write %s: %s", path, strerror(error));
}

/* What is reserved there belongs to calls that end with their workers: it counts as used here. */
static void take_over(const struct limit_table *old, struct limit_table *table)
{
	uint64_t now_s = clock_realtime_ns() / NS_PER_S;
	struct limit_reading reading;

	for (uint32_t i = 0; i < limit_table_rows(old); i++)
		if (limit_table_read(old, i, now_s, &reading)) {
			reading.sum.used += reading.sum.reserved;
			limit_table_restore(table, &reading, now_s);
		}
}

static int replace(const char *path, const struct limit_table *old, uint32_t rows,
	uint32_t workers, struct why *why)
{
	int fd = create(path, rows, workers, why);
	struct limit_table *table;

	if (fd < 0 || !old)
		return fd;
	table = limit_table_map(fd, true, why);
	if (!table) {
		close(fd);
		return -EINVAL;
	}
	take_over(old, table);
	limit_table_free(table);
	return fd;
}

int limit_table_open(const char *path, uint32_t rows, uint32_t workers, int *fd, bool *fresh,
	struct why *why)
{
	int old_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct limit_table *old = old_fd >= 0 ? limit_table_map(old_fd, true, NULL) : NULL;

	*fresh = !old;
	if (workers > LIMIT_WORKERS_MAX)
		workers = LIMIT_WORKERS_MAX;
	if (old && old->memory->rows == rows && old->memory->workers == workers) {
		uint32_t parent = LIMIT_PARENT(old->memory) + 1;

		*fd = old_fd;
		/* One that died while it made a row. */
		atomic_compare_exchange_strong(&old->memory->maker, &parent, 0);
		limit_table_free(old);
		return 0;
	}
	*fd = replace(path, old, rows, workers, why);
	limit_table_free(old);
	if (old_fd >= 0)
		close(old_fd);
	return *fd < 0 ? *fd : 0;
}

int limit_table_look(const char *path, struct limit_table **table, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	*table = NULL;
	if (fd < 0)
		return why_set(why, errno, "%s: %m", path);
	*table = limit_table_map(fd, false, why);
	close(fd);
	return *table ? 0 : -EINVAL;
}

struct limit_table *limit_table_new(uint32_t rows, uint32_t workers)
{
	void *memory = mmap(NULL, size_of(rows, workers), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct limit_table *table;

	if (memory == MAP_FAILED)
		return NULL;
	table = table_of(memory, size_of(rows, workers), workers);
	if (!table) {
		munmap(memory, size_of(rows, workers));
		return NULL;
	}
	table->memory->magic = MAGIC;
	table->memory->rows = rows;
	table->memory->workers = workers;
	return table;
}

void limit_table_free(struct limit_table *table)
{
	if (!table)
		return;
	munmap(table->memory, table->size);
	free(table);
}

/* ---- whose cells they are ---- */

static struct flock lock_of(uint32_t worker, short type)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)worker, .l_len = 1};
}

int limit_table_lend(struct limit_table *table, int fd, struct why *why)
{
	char path[32];
	int lent;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	lent = open(path, O_RDWR | O_CLOEXEC);
	if (lent < 0)
		return why_set(why, errno, "cannot open the table of the limits again: %m");
	for (uint32_t i = 0; i < table->memory->workers; i++) {
		struct flock lock = lock_of(i, F_WRLCK);

		if (atomic_load(&table->memory->lent[i]) || lseek(lent, (off_t)i, SEEK_SET) < 0 ||
			fcntl(lent, F_OFD_SETLK, &lock) < 0)
			continue;
		atomic_store(&table->memory->lent[i], 1);
		return lent;
	}
	close(lent);
	return why_set(why, EAGAIN, "all cells of the table of the limits are lent");
}

uint32_t limit_table_lent(const struct limit_table *table, int fd)
{
	off_t worker = lseek(fd, 0, SEEK_CUR);

	return worker >= 0 && worker < (off_t)table->memory->workers &&
			       atomic_load(&table->memory->lent[worker])
		       ? (uint32_t)worker
		       : LIMIT_NOBODY;
}

static void forget(struct limit_table *table, uint32_t worker)
{
	uint32_t maker = worker + 1;
	bool making = atomic_load(&table->memory->maker) == maker;

	for (uint32_t i = 0; i < limit_table_rows(table); i++) {
		struct limit_row *row = limit_memory_row(table, i);

		/* What it was about to make is nobody's. */
		if (making && atomic_load(&row->key) == LIMIT_ROW_FILLED)
			atomic_store(&row->key, 0);
		if (atomic_load(&row->key))
			limit_row_forget(row, worker,
				limit_shape_is_at_once(atomic_load(&row->shape)));
	}
	atomic_compare_exchange_strong(&table->memory->maker, &maker, 0);
}

unsigned limit_table_reap(struct limit_table *table, int fd)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < table->memory->workers; i++) {
		struct flock lock = lock_of(i, F_WRLCK);

		if (!atomic_load(&table->memory->lent[i]) || fcntl(fd, F_OFD_GETLK, &lock) < 0 ||
			lock.l_type != F_UNLCK)
			continue;
		forget(table, i);
		atomic_store(&table->memory->lent[i], 0);
		n++;
	}
	return n;
}
