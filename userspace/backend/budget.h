/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many calls of a pool may be tried once more: a part of all calls, and a few a second beside
 * that. When much fails, more of the same would make it worse. Shared by all workers. */
#ifndef BACKEND_BUDGET_H
#define BACKEND_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/standing.h"

#define BUDGET_PER_S 10	 /* further attempts a second, however few calls there are */
#define BUDGET_MOST  500 /* further attempts at once */

/* A call came: percent of it is a further attempt that may be made. */
void budget_earn(struct standing_budget *budget, uint32_t percent, uint64_t now_ns);
/* Takes a further attempt. False: there is none, which is counted. */
bool budget_spend(struct standing_budget *budget, uint64_t now_ns);

#endif
