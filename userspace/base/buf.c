// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_SMALLEST 256

char *buf_grow(struct buf *b, size_t len)
{
	size_t used = buf_len(b), capacity = b->capacity ? b->capacity : BUF_SMALLEST;
	char *memory;

	if (len > SIZE_MAX / 4 - used)
		return NULL;
	/* Consumed room at the front is reused before the memory grows. */
	if (b->memory && b->capacity - used >= len && b->start >= b->capacity / 2) {
		memmove(b->memory, b->memory + b->start, used);
		b->start = 0;
		b->end = used;
		return b->memory + b->end;
	}
	while (capacity - used < len)
		capacity *= 2;
	memory = malloc(capacity);
	if (!memory)
		return NULL;
	if (used)
		memcpy(memory, b->memory + b->start, used);
	if (b->memory)
		explicit_bzero(b->memory, b->end);
	free(b->memory);
	*b = (struct buf){memory, 0, used, capacity};
	return memory + used;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list arguments, again;
	char *room;
	int len;

	va_start(arguments, format);
	va_copy(again, arguments);
	len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	room = len < 0 ? NULL : buf_reserve(b, (size_t)len + 1);
	if (room) {
		vsnprintf(room, (size_t)len + 1, format, again);
		b->end += (size_t)len;
	}
	va_end(again);
	return room ? 0 : -ENOMEM;
}

void buf_consume(struct buf *b, size_t len)
{
	b->start += len < buf_len(b) ? len : buf_len(b);
	if (b->start == b->end)
		buf_clear(b);
}

void buf_free(struct buf *b)
{
	free(b->memory);
	*b = BUF_EMPTY;
}

void buf_wipe(struct buf *b)
{
	if (b->memory)
		explicit_bzero(b->memory, b->capacity);
	buf_free(b);
}
