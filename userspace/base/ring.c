// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_MAGIC    0x676e695279726c53ULL
#define RING_LARGEST  (1ULL << 30)
#define RING_ALIGN    8ULL
#define RING_LINE     64 /* bytes of a cache line: the two sides write to different ones */
#define RING_CHECK    0x5a11u
#define RING_NO_EXEC  0x0008u /* MFD_NOEXEC_SEAL, Linux 6.3 */
#define RING_SEALS    (F_SEAL_SHRINK | F_SEAL_GROW)

/* The first page of the memfd. Positions count bytes since the ring was made and never wrap; the
 * bytes between tail and head are records. */
struct ring_header {
	uint64_t magic;
	uint64_t size; /* of the data, a power of two */
	alignas(RING_LINE) _Atomic uint64_t head; /* the producer's: what is committed ends here */
	alignas(RING_LINE) _Atomic uint64_t tail; /* the consumer's: what is released ends here */
};

/* In front of each record, aligned as the positions are. */
struct ring_record {
	uint32_t len;
	uint32_t check; /* len ^ RING_CHECK: a consumer that lost its place notices */
};

struct ring {
	struct ring_header *header;
	char *data;	   /* mapped twice in a row: a record is contiguous wherever it begins */
	uint64_t size;
	uint64_t position; /* the own side's, from here on only ours: head or tail */
	size_t page;
	bool dead;
};

static size_t ring_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t ring_span(size_t len)
{
	return (len + sizeof(struct ring_record) + RING_ALIGN - 1) & ~(RING_ALIGN - 1);
}

int ring_create(uint64_t bytes, struct why *why)
{
	struct ring_header header = {.magic = RING_MAGIC, .size = ring_page()};
	int fd, error;

	if (bytes > RING_LARGEST)
		return why_set(why, EINVAL, "ring: %llu bytes are more than 1 GiB",
			(unsigned long long)bytes);
	while (header.size < bytes)
		header.size *= 2;
	fd = memfd_create("sallyport-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING | RING_NO_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("sallyport-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return why_set(why, errno, "ring: memfd_create: %s", strerror(errno));
	if (ftruncate(fd, (off_t)(header.size + ring_page())) == 0 &&
		pwrite(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
		fcntl(fd, F_ADD_SEALS, RING_SEALS | F_SEAL_SEAL) == 0)
		return fd;
	error = why_set(why, errno, "ring: memory of %llu bytes: %s",
		(unsigned long long)header.size, strerror(errno));
	close(fd);
	return error;
}

/* One stretch of addresses: the header's page, the data, the data again. */
static void *ring_map_twice(int fd, size_t page, uint64_t size)
{
	const int flags = MAP_SHARED | MAP_FIXED, prot = PROT_READ | PROT_WRITE;
	char *base = mmap(NULL, page + 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mmap(base, page + size, prot, flags, fd, 0) == MAP_FAILED ||
		mmap(base + page + size, size, prot, flags, fd, (off_t)page) == MAP_FAILED) {
		munmap(base, page + 2 * size);
		return NULL;
	}
	return base;
}

struct ring *ring_map(int fd, bool producer, struct why *why)
{
	struct ring_header header = {0};
	uint64_t head, tail;
	struct ring *ring;
	struct stat st;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (fstat(fd, &st) < 0 || seals < 0 || (seals & RING_SEALS) != RING_SEALS ||
		pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		header.magic != RING_MAGIC || header.size < ring_page() ||
		header.size > RING_LARGEST || (header.size & (header.size - 1)) ||
		(uint64_t)st.st_size != header.size + ring_page()) {
		why_set(why, EINVAL, "ring: descriptor %d is no sealed ring", fd);
		return NULL;
	}
	ring = calloc(1, sizeof(*ring));
	if (!ring) {
		why_set(why, ENOMEM, "ring: no memory");
		return NULL;
	}
	*ring = (struct ring){.size = header.size, .page = ring_page()};
	ring->header = ring_map_twice(fd, ring->page, ring->size);
	if (!ring->header) {
		why_set(why, errno, "ring: mmap: %s", strerror(errno));
		free(ring);
		return NULL;
	}
	ring->data = (char *)ring->header + ring->page;
	head = atomic_load(&ring->header->head);
	tail = atomic_load(&ring->header->tail);
	if (head - tail > ring->size || (head | tail) & (RING_ALIGN - 1)) {
		why_set(why, EBADMSG, "ring: its positions contradict each other");
		ring_unmap(ring);
		return NULL;
	}
	ring->position = producer ? head : tail;
	return ring;
}

void ring_unmap(struct ring *ring)
{
	if (!ring)
		return;
	munmap(ring->header, ring->page + 2 * ring->size);
	free(ring);
}

size_t ring_record_max(const struct ring *ring)
{
	return ring->size / 2 - sizeof(struct ring_record);
}

void ring_prefetch(const struct ring *ring, size_t len)
{
	for (size_t at = 0; at < len; at += RING_LINE)
		__builtin_prefetch(ring->data + ((ring->position + at) & (ring->size - 1)), 1);
}

void *ring_reserve(struct ring *ring, size_t len)
{
	uint64_t used;

	if (len == 0 || len > ring_record_max(ring))
		return NULL;
	/* Acquire: the consumer's reads of what it released come before our writes there. */
	used = ring->position -
		atomic_load_explicit(&ring->header->tail, memory_order_acquire);
	if (used > ring->size || ring->size - used < ring_span(len))
		return NULL;
	return ring->data + (ring->position & (ring->size - 1)) + sizeof(struct ring_record);
}

void ring_commit(struct ring *ring, size_t len)
{
	struct ring_record record = {(uint32_t)len, (uint32_t)len ^ RING_CHECK};

	memcpy(ring->data + (ring->position & (ring->size - 1)), &record, sizeof(record));
	ring->position += ring_span(len);
	/* The one instruction that makes the record exist. */
	atomic_store_explicit(&ring->header->head, ring->position, memory_order_release);
}

struct ring_cursor ring_cursor(const struct ring *ring)
{
	return (struct ring_cursor){ring->position};
}

int ring_next(struct ring *ring, struct ring_cursor *cursor, struct slice *record)
{
	uint64_t head = atomic_load_explicit(&ring->header->head, memory_order_acquire);
	uint64_t left = head - cursor->at;
	struct ring_record *at;
	uint32_t len, check;

	if (ring->dead)
		return -EBADMSG;
	if (head == cursor->at)
		return 0;
	if (head - ring->position > ring->size || left > ring->size || left % RING_ALIGN)
		goto nonsense;
	at = (struct ring_record *)(void *)(ring->data + (cursor->at & (ring->size - 1)));
	/* Each is read once: the producer may exchange it between a check and its use. */
	len = __atomic_load_n(&at->len, __ATOMIC_RELAXED);
	check = __atomic_load_n(&at->check, __ATOMIC_RELAXED);
	if (len == 0 || len > ring_record_max(ring) || (len ^ RING_CHECK) != check ||
		ring_span(len) > left)
		goto nonsense;
	*record = slice_of((const char *)(at + 1), len);
	cursor->at += ring_span(len);
	return 1;
nonsense:
	ring->dead = true;
	return -EBADMSG;
}

void ring_release(struct ring *ring, const struct ring_cursor *cursor)
{
	ring->position = cursor->at;
	atomic_store_explicit(&ring->header->tail, cursor->at, memory_order_release);
}

size_t ring_used(const struct ring *ring)
{
	uint64_t tail = atomic_load(&ring->header->tail);
	uint64_t used = atomic_load(&ring->header->head) - tail;

	return used <= ring->size ? (size_t)used : 0;
}

bool ring_empty(const struct ring *ring)
{
	return ring->dead || ring_used(ring) == 0;
}
