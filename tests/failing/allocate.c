// SPDX-License-Identifier: GPL-2.0-or-later
/* Allocations of our own code, of which one fails: linked with the daemon as it is, by the linker's
 * --wrap. tests/netns/test_memory.py writes into the memory of a worker which one that is. */
#include <errno.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* The k-th from now on fails; 0: none does. */
extern volatile unsigned failing_allocation;
volatile unsigned failing_allocation;

static int fails(void)
{
	if (!failing_allocation || --failing_allocation)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}
