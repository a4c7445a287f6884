/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Backends that stand in for each other, as the choice sees them: plain structs, no configuration. */
#ifndef BACKEND_POOL_H
#define BACKEND_POOL_H

#include <stdint.h>

#include "backend/breaker.h"
#include "base/slice.h"

#define POOL_MEMBERS 64 /* one bit each, of what was tried */

struct pool_member {
	struct slice name;
	uint32_t priority; /* the lowest that is alive is asked */
	uint32_t weight;   /* its part among those of its priority; at least 1 */
	uint64_t capacity; /* tokens a minute; beyond them others are asked first; 0: not known */
};

struct pool {
	struct slice name;
	const struct pool_member *members; /* at most POOL_MEMBERS */
	unsigned n;
	struct breaker_rules rules;
	uint32_t retry_percent;
};

#endif
