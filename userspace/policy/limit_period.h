/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The periods in which amounts count: one follows on the other by the clock, days, weeks (from Monday
 * on) and months by that of this place. */
#ifndef POLICY_LIMIT_PERIOD_H
#define POLICY_LIMIT_PERIOD_H

#include <stdint.h>

enum limit_period {
	LIMIT_SECOND,
	LIMIT_MINUTE,
	LIMIT_HOUR,
	LIMIT_DAY,
	LIMIT_WEEK,
	LIMIT_MONTH,
	LIMIT_AT_ONCE, /* of what is there at the same time: never over */
	LIMIT_PERIODS
};

struct limit_window {
	uint16_t epoch; /* the last bits of its number */
	uint64_t begins_s, ends_s; /* since 1970; the end is the beginning of the next */
};

struct limit_window limit_window_at(enum limit_period period, uint64_t now_s);
/* The window of *window or of now: computed anew only where that one is over. */
void limit_window_move(enum limit_period period, uint64_t now_s, struct limit_window *window);
const char *limit_period_name(enum limit_period period);

#endif
