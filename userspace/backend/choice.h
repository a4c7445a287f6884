/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which backend of a pool is asked next: a function of the pool, of what is known of its backends,
 * of what was tried for this call, and of the time. */
#ifndef BACKEND_CHOICE_H
#define BACKEND_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/standing.h"
#include "backend/pool.h"

/* What the choice knows of one member. */
struct choice_view {
	enum breaker_state state;
	uint64_t until_ns; /* when that may change; 0: now or never */
	uint32_t part;	   /* of its weight, in thousandths */
};

struct choice_query {
	struct slice deployment; /* empty: none */
	uint64_t tried;		 /* one bit for each member that this call was at */
	/* Calls with the same number here go to the same backend as long as it is asked; those without
	 * (0) go by random. */
	uint64_t affinity;
	uint64_t random;
	bool careful; /* rather another call than this one finds out whether a backend is alive */
};

struct choice {
	int member;	  /* -1: nobody is to be asked now */
	bool probe;	  /* it is the one that tries; pool_record with it, whatever comes */
	/* Without a member: */
	uint64_t wait_ns; /* until the first of them may be asked; 0: it is not known */
	bool paused;	  /* one of them would, but asked for a pause */
};

/* The choice itself, by views of all members. Does not claim a probe. */
struct choice choice_of(const struct pool *pool, const struct choice_view *views,
	const struct choice_query *query, uint64_t now_ns);

/* Looks at the members, chooses, and claims the probe if it has to be one. The only member of a pool is
 * asked whatever is known of it. */
struct choice pool_choose(struct standing *standing, const struct pool *pool,
	const struct choice_query *query, uint64_t now_ns);

/* What came of an attempt. True: the member is taken out by it, or in again. */
bool pool_record(struct standing *standing, const struct pool *pool, const struct choice *choice,
	struct slice deployment, enum backend_outcome outcome, const struct reading *reading,
	uint64_t now_ns);

/* Tokens of an answered call. */
struct pool_used {
	uint64_t input_tokens, output_tokens;
	uint64_t cached_tokens; /* those of the input that were in the provider's prompt cache */
};
void pool_usage(struct standing *standing, const struct pool *pool, const struct choice *choice,
	struct slice deployment, const struct pool_used *used, uint64_t now_ns);

/* The credential of a backend is another one: what the one before has done to the backend, or to
 * deployments of it, counts no more. True: it was out for that. */
bool pool_renewed(struct standing *standing, struct slice backend, uint64_t now_ns);

/* What is known of a member for calls of that deployment: the worse of what is known of the backend
 * and of the deployment. */
struct choice_view pool_view(const struct standing *standing, struct slice backend,
	struct slice deployment, uint64_t now_ns);

#endif
