/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which backend keeps what a name stands for: a response, a conversation, a file, a batch belongs to
 * the resource that made it, and is known nowhere else. A bounded table beside that of the backends
 * (standing.h), shared and kept as that is; what was learned longest ago is forgotten first. */
#ifndef BACKEND_OWNER_H
#define BACKEND_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/pool.h"
#include "backend/standing.h"

/* That member of the pool has said the name. Another one that said it first keeps it: an answer repeats
 * what its caller wrote (metadata, instructions), who could take from others what they keep. now_s:
 * CLOCK_MONOTONIC, for what is forgotten first. */
void owner_learn(struct standing *standing, struct slice id, const struct pool *pool, int member,
	uint64_t now_s);
/* The member of the pool that keeps it; -1: nobody knows, or none of them. */
int owner_find(const struct standing *standing, struct slice id, const struct pool *pool);

#endif
