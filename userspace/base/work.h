/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What reading may cost now. A peer chooses what its bytes cost to read (a bomb is small and reads
 * as much), so readers count what they do, stop when their work is spent, and go on in a later turn
 * of the loop. The unit is about one byte of JSON looked at; what is dearer counts as more. */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct work {
	int64_t left;	    /* below 0 when the last step was larger than what was left */
	struct work *whole; /* this is a share of it; NULL: of nothing */
};

static inline bool work_left(const struct work *work)
{
	for (; work; work = work->whole)
		if (work->left <= 0)
			return false;
	return true;
}

static inline void work_spend(struct work *work, size_t units)
{
	for (; work; work = work->whole)
		work->left -= (int64_t)units;
}

#endif
