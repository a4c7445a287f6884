/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A growing byte buffer: appended at its end, consumed from its front. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf {
	char *memory;
	size_t start;	/* offset of the first byte not yet consumed */
	size_t end;	/* offset after the last byte */
	size_t capacity;
};

#define BUF_EMPTY ((struct buf){NULL, 0, 0, 0})

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* The content, valid until the next call that changes b. */
static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->memory ? b->memory + b->start : NULL, b->end - b->start};
}

/* As buf_reserve, where there is not enough room yet. */
char *buf_grow(struct buf *b, size_t len);

/* Makes room for len more bytes and returns where they go, or NULL without memory. */
static inline char *buf_reserve(struct buf *b, size_t len)
{
	return b->memory && b->capacity - b->end >= len ? b->memory + b->end : buf_grow(b, len);
}

/* Counts len bytes, written at buf_reserve's answer, as content. */
static inline void buf_commit(struct buf *b, size_t len)
{
	b->end += len;
}

/* Both append all or nothing: 0, or -ENOMEM. */
static inline int buf_append(struct buf *b, const void *data, size_t len)
{
	char *room;

	if (!len)
		return 0;
	room = buf_reserve(b, len);
	if (!room)
		return -ENOMEM;
	memcpy(room, data, len);
	b->end += len;
	return 0;
}

static inline int buf_append_slice(struct buf *b, struct slice s)
{
	return buf_append(b, s.data, s.len);
}

__attribute__((format(printf, 2, 3))) int buf_printf(struct buf *b, const char *format, ...);
/* Forgets the first len bytes; an emptied buffer keeps its memory. */
void buf_consume(struct buf *b, size_t len);
/* Forgets the content and keeps the memory. */
static inline void buf_clear(struct buf *b)
{
	b->start = b->end = 0;
}

/* Gives the memory back; b is BUF_EMPTY afterwards. */
void buf_free(struct buf *b);
/* As buf_free, after overwriting every byte that ever was in the memory: for secrets. */
void buf_wipe(struct buf *b);

#endif
