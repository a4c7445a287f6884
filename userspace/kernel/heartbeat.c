// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/heartbeat.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"

/* The kernel maps whole pages of an array, however few elements it has. */
#define HEARTBEAT_BYTES (HEARTBEATS_MAX * sizeof(uint64_t))

struct heartbeat {
	_Atomic uint64_t *stamps;
	unsigned index;
};

int heartbeat_map(int fd, unsigned index, struct heartbeat **heartbeat, struct why *why)
{
	struct heartbeat *mapped;
	void *stamps;

	*heartbeat = NULL;
	if (index >= HEARTBEATS_MAX)
		return why_set(why, EINVAL, "heartbeat: there is no stamp %u", index);
	mapped = calloc(1, sizeof(*mapped));
	if (!mapped)
		return why_set(why, ENOMEM, "heartbeat: no memory");
	stamps = mmap(NULL, HEARTBEAT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (stamps == MAP_FAILED) {
		int error = why_set(why, errno, "heartbeat: cannot map the stamps: %m");

		free(mapped);
		return error;
	}
	mapped->stamps = stamps;
	mapped->index = index;
	*heartbeat = mapped;
	return 0;
}

void heartbeat_unmap(struct heartbeat *heartbeat)
{
	if (!heartbeat)
		return;
	munmap((void *)heartbeat->stamps, HEARTBEAT_BYTES);
	free(heartbeat);
}

void heartbeat_stamp(struct heartbeat *heartbeat)
{
	heartbeat_vouch(heartbeat, heartbeat->index);
}

void heartbeat_vouch(struct heartbeat *heartbeat, unsigned index)
{
	if (index < HEARTBEATS_MAX)
		atomic_store_explicit(
			&heartbeat->stamps[index], clock_monotonic_ns(), memory_order_relaxed);
}

uint64_t heartbeat_read(const struct heartbeat *heartbeat, unsigned index)
{
	return index < HEARTBEATS_MAX
		       ? atomic_load_explicit(&heartbeat->stamps[index], memory_order_relaxed)
		       : 0;
}
