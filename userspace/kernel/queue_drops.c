// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/queue_drops.h"

#include <inttypes.h>
#include <stdio.h>

#define LIST "/proc/self/net/netfilter/nfnetlink_queue"

uint64_t queue_drops_read(unsigned first, unsigned n)
{
	uint64_t full, lost, sum = 0;
	FILE *file = fopen(LIST, "re");
	unsigned number;

	if (!file)
		return 0;
	/* Number, reader, packets in it, how much of them is copied; lost as the queue was full, as
	 * its reader's socket was; … */
	while (fscanf(file, "%u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %*u %*u", &number, &full,
		       &lost) == 3)
		if (number >= first && number - first < n)
			sum += full + lost;
	fclose(file);
	return sum;
}
