// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/counter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file: a head of whole pages (struct counter_file, then ncounters of struct counter_text),
 * then nslots slots of stride bytes. A slot is whole pages, so that a child can map its own alone.
 */
struct counter_file {
	char magic[8];
	uint32_t ncounters;
	uint32_t nslots;
	uint64_t slots; /* offset of the first slot */
	uint64_t stride;
};

struct counter_text {
	char name[64];
	char help[191];
	char gauge; /* 1: a gauge. Files of before there were any have the last NUL of help here. */
};

#define COUNTER_MAGIC "spcount1"
/* More than any version will have: bounds the arithmetic on a file of unknown origin. */
#define COUNTER_FILE_MAX (64u << 20)

static const struct counter_text counter_texts[COUNTER_ROWS] = {
#define COUNTER_TEXT(NAME, name, help) {name, help, 0},
	COUNTERS(COUNTER_TEXT)
#undef COUNTER_TEXT
#define GAUGE_TEXT(NAME, name, help) {name, help, 1},
	GAUGES(GAUGE_TEXT)
#undef GAUGE_TEXT
};

const char *counter_name(enum counter which)
{
	return counter_texts[which].name;
}

const char *counter_help(enum counter which)
{
	return counter_texts[which].help;
}

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

static struct counter_file counter_layout(void)
{
	struct counter_file file = {
		.ncounters = COUNTER_ROWS,
		.nslots = COUNTER_SLOTS,
		.slots = whole_pages(sizeof(struct counter_file) + sizeof(counter_texts)),
		.stride = whole_pages(COUNTER_ROWS * sizeof(uint64_t)),
	};

	memcpy(file.magic, COUNTER_MAGIC, sizeof(file.magic));
	return file;
}

static struct counters *counters_new(void *mapped, size_t size)
{
	struct counters *counters = calloc(1, sizeof(*counters));

	if (!counters) {
		munmap(mapped, size);
		return NULL;
	}
	counters->mapped = mapped;
	counters->size = size;
	counters->fd = -1;
	return counters;
}

/* A new file beside path, filled with the head; renamed over path when it is whole. */
static int counters_write(const char *path, const struct counter_file *file, struct why *why)
{
	size_t size = file->slots + file->stride * file->nslots;
	char new_path[PATH_MAX];
	int fd, n, error;

	n = snprintf(new_path, sizeof(new_path), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(new_path))
		return why_set(why, ENAMETOOLONG, "counters: the path is too long");
	if (unlink(new_path) < 0 && errno != ENOENT)
		return why_set(why, errno, "counters: cannot remove %s: %m", new_path);
	fd = open(new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return why_set(why, errno, "counters: cannot make %s: %m", new_path);
	/* Space is taken now: a full file system must not show later, as SIGBUS of a worker. */
	error = posix_fallocate(fd, 0, (off_t)size);
	if (!error && (pwrite(fd, file, sizeof(*file), 0) != (ssize_t)sizeof(*file) ||
			      pwrite(fd, counter_texts, sizeof(counter_texts), sizeof(*file)) !=
				      (ssize_t)sizeof(counter_texts)))
		error = errno ? errno : EIO;
	if (!error && rename(new_path, path) < 0)
		error = errno;
	if (error) {
		unlink(new_path);
		close(fd);
		return why_set(why, error, "counters: cannot write %zu bytes to %s: %s", size, path,
			strerror(error));
	}
	return fd;
}

int counters_create(const char *path, struct counters **counters, struct why *why)
{
	struct counter_file file = counter_layout();
	size_t size = file.slots + file.stride * file.nslots;
	int fd = counters_write(path, &file, why);
	void *mapped;

	if (fd < 0)
		return fd;
	mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*counters = mapped == MAP_FAILED ? NULL : counters_new(mapped, size);
	if (!*counters) {
		close(fd);
		return why_set(why, ENOMEM, "counters: no memory");
	}
	(*counters)->fd = fd;
	(*counters)->own = (void *)((char *)mapped + file.slots);
	return 0;
}

int counters_map(int fd, unsigned slot, struct counters **counters, struct why *why)
{
	struct counter_file file = counter_layout();
	struct stat st;
	void *mapped;

	*counters = NULL;
	if (slot >= COUNTER_SLOTS || fstat(fd, &st) < 0 ||
		(uint64_t)st.st_size < file.slots + file.stride * file.nslots)
		return why_set(why, EINVAL, "counters: no slot %u in the file", slot);
	mapped = mmap(NULL, file.stride, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		(off_t)(file.slots + slot * file.stride));
	if (mapped == MAP_FAILED)
		return why_set(why, errno, "counters: cannot map slot %u: %m", slot);
	*counters = counters_new(mapped, file.stride);
	if (!*counters)
		return why_set(why, ENOMEM, "counters: no memory");
	(*counters)->own = mapped;
	return 0;
}

static bool counters_whole(const struct counter_file *file, size_t size)
{
	if (size < sizeof(*file) || size > COUNTER_FILE_MAX ||
		memcmp(file->magic, COUNTER_MAGIC, sizeof(file->magic)) != 0)
		return false;
	return file->slots <= size && file->slots % sizeof(uint64_t) == 0 &&
	       file->ncounters <= (file->slots - sizeof(*file)) / sizeof(struct counter_text) &&
	       file->stride <= size && file->stride % sizeof(uint64_t) == 0 &&
	       file->stride / sizeof(uint64_t) >= file->ncounters && file->nslots <= size &&
	       (file->stride == 0 || file->nslots <= (size - file->slots) / file->stride);
}

int counters_open(const char *path, struct counters **counters, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	void *mapped = MAP_FAILED;
	int error;
	struct stat st;

	*counters = NULL;
	if (fd < 0)
		return why_set(why, errno, "counters: cannot open %s: %m", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
		st.st_size <= COUNTER_FILE_MAX)
		mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED || !counters_whole(mapped, (size_t)st.st_size)) {
		error = why_set(why, EINVAL, "counters: %s is not a file of counters", path);
		if (mapped != MAP_FAILED)
			munmap(mapped, (size_t)st.st_size);
		return error;
	}
	*counters = counters_new(mapped, (size_t)st.st_size);
	return *counters ? 0 : why_set(why, ENOMEM, "counters: no memory");
}

/* ---- from one program to the next ---- */

int counters_take_older(int fd, struct counters **older, struct why *why)
{
	void *mapped = MAP_FAILED;
	struct stat st;

	*older = NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
		st.st_size <= COUNTER_FILE_MAX)
		mapped = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return why_set(why, EINVAL, "counters: the file handed over cannot be mapped");
	if (!counters_whole(mapped, (size_t)st.st_size)) {
		munmap(mapped, (size_t)st.st_size);
		return why_set(why, EINVAL, "counters: what was handed over is no file of them");
	}
	*older = counters_new(mapped, (size_t)st.st_size);
	if (!*older)
		return why_set(why, ENOMEM, "counters: no memory");
	(*older)->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if ((*older)->fd >= 0)
		return 0;
	counters_close(*older);
	*older = NULL;
	return why_set(why, EMFILE, "counters: no descriptor left");
}

static bool counters_ours(const struct counters *counters)
{
	struct counter_file file = counter_layout();

	return counters->size == file.slots + file.stride * file.nslots &&
	       memcmp(counters->mapped, &file, sizeof(file)) == 0 &&
	       memcmp((const char *)counters->mapped + sizeof(file), counter_texts,
		       sizeof(counter_texts)) == 0;
}

int counters_take(const char *path, int fd, struct counters **counters, struct counters **older,
	struct why *why)
{
	int error;

	*counters = *older = NULL;
	error = counters_take_older(fd, older, why);
	if (!error && counters_ours(*older)) {
		*counters = *older;
		*older = NULL;
		(*counters)->own =
			(void *)((char *)(*counters)->mapped + counter_layout().slots);
		return 0;
	}
	if (!error)
		error = counters_create(path, counters, why);
	if (!error) {
		counters_move(*older, *counters);
	} else {
		counters_close(*older);
		*older = NULL;
	}
	return error;
}

/* COUNTER_ROWS: nobody has that name now. */
static size_t counter_find(const struct counter_text *text)
{
	size_t at = 0;

	while (at < COUNTER_ROWS &&
		strncmp(counter_texts[at].name, text->name, sizeof(text->name)) != 0)
		at++;
	return at;
}

void counters_move(struct counters *older, struct counters *to)
{
	const struct counter_file *file = older->mapped;
	const struct counter_text *texts = (const void *)(file + 1);

	for (uint32_t i = 0; i < file->ncounters; i++) {
		/* What is now, the next shipper tells. */
		size_t at = texts[i].gauge ? COUNTER_ROWS : counter_find(&texts[i]);

		for (uint32_t slot = 0; slot < file->nslots && at < COUNTER_COUNT; slot++) {
			_Atomic uint64_t *values = (void *)((char *)older->mapped + file->slots +
							    slot * file->stride);

			counter_add(to, (enum counter)at,
				atomic_exchange_explicit(&values[i], 0, memory_order_relaxed));
		}
	}
}

void counters_close(struct counters *counters)
{
	if (!counters)
		return;
	munmap(counters->mapped, counters->size);
	if (counters->fd >= 0)
		close(counters->fd);
	free(counters);
}

static uint64_t counters_sum(const struct counters *counters, size_t which)
{
	const struct counter_file *file = counters->mapped;
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < file->nslots; slot++) {
		const _Atomic uint64_t *values = (const void *)((const char *)counters->mapped +
								file->slots + slot * file->stride);

		sum += atomic_load_explicit(&values[which], memory_order_relaxed);
	}
	return sum;
}

uint64_t counter_total(const struct counters *counters, enum counter which)
{
	const struct counter_file *file = counters->mapped;

	return which < file->ncounters ? counters_sum(counters, which) : 0;
}

bool counter_gauge(const struct counters *counters, enum counter which, uint64_t *value)
{
	const struct counter_file *file = counters->mapped;
	const struct counter_text *texts = (const void *)(file + 1);
	const char *name = counter_texts[which].name;

	for (uint32_t i = 0; i < file->ncounters; i++) {
		if (!texts[i].gauge || strncmp(texts[i].name, name, sizeof(texts[i].name)) != 0)
			continue;
		*value = counters_sum(counters, i);
		return true;
	}
	return false;
}

bool counters_next(const struct counters *counters, size_t *at, struct counter_reading *reading)
{
	const struct counter_file *file = counters->mapped;
	const struct counter_text *texts = (const void *)(file + 1);

	while (*at < file->ncounters && texts[*at].gauge)
		(*at)++;
	if (*at >= file->ncounters || !memchr(texts[*at].name, 0, sizeof(texts[*at].name)) ||
		!memchr(texts[*at].help, 0, sizeof(texts[*at].help)))
		return false;
	reading->name = texts[*at].name;
	reading->help = texts[*at].help;
	reading->total = counters_sum(counters, *at);
	(*at)++;
	return true;
}
