/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For log lines about what may happen a thousand times a second: one line each ten seconds, which
 * says how many were left out. */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define LOG_LIMIT_NS (10 * NS_PER_S)

struct log_limit {
	uint64_t next_ns;
	uint64_t left_out;
};

/* True: log it, and *left_out is how many were not since the last time. */
static inline bool log_limit(struct log_limit *limit, uint64_t *left_out)
{
	uint64_t now = clock_monotonic_ns();

	if (now < limit->next_ns) {
		limit->left_out++;
		return false;
	}
	*left_out = limit->left_out;
	*limit = (struct log_limit){now + LOG_LIMIT_NS, 0};
	return true;
}

#endif
