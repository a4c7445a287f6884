/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The result of the last selftest, in the run directory: the daemon makes an event of it when it
 * changes (supervise/selftest_watch.h), and the metrics tell it. */
#ifndef CLI_SELFTEST_RESULT_H
#define CLI_SELFTEST_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/selftest_check.h"

struct selftest_outcome {
	bool known;	 /* there was one since the machine started */
	bool good;
	uint64_t time_ns; /* CLOCK_REALTIME */
	enum selftest_result results[64]; /* by the number of the check */
};

/* Writes the file whole, in place of the last one. 0, or negative errno and why. */
int selftest_result_store(
	const struct config *config, const struct finding *findings, struct why *why);
struct selftest_outcome selftest_result_read(const struct config *config);

#endif
