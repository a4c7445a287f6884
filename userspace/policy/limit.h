/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits and prices as they were written: plain structs, whose texts are those of the reader who filled
 * them. limits.h makes of them what answers quickly. */
#ifndef POLICY_LIMIT_H
#define POLICY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/limit_table.h"
#include "policy/rule.h"

#define LIMITS_MAX 256 /* of one file */

enum limit_action {
	LIMIT_THROTTLE, /* 429, with the time after which to try again */
	LIMIT_CUT_OFF,	/* 429 that says not to try again */
	LIMIT_SHADOW,	/* what it would have refused is recorded */
};
enum limit_count { LIMIT_COUNT_ALL, LIMIT_COUNT_SUCCESS };

/* What each has an amount of its own for. */
enum limit_per {
	LIMIT_PER_SUBJECT,
	LIMIT_PER_GROUP,
	LIMIT_PER_ADDRESS,
	LIMIT_PER_MODEL,
	LIMIT_PER_OPERATION,
	LIMIT_PER_HOST,
};

/* How much a token of a class counts, in ten-thousandths. */
struct limit_weights {
	uint64_t input, cached, output, reasoning;
};

struct limit {
	char *name;
	unsigned line;		 /* of the file */
	struct rule when;	 /* its conditions alone count; all calls, without any */
	/* Exactly one of these is not 0. */
	uint64_t requests, tokens, bytes, concurrent;
	uint64_t cost; /* ten-thousandths of the currency */
	int every;     /* enum limit_period; not of concurrent */
	int action, count;
	int *per; /* enum limit_per */
	size_t nper;
	uint32_t *alert; /* percent of it, told once in a period each */
	size_t nalert;
	bool tell;	 /* clients are told what is left */
	uint64_t output; /* tokens reserved for a call that does not say how many it wants at most */
	struct limit_weights weight;
};

/* Of a million tokens, in ten-thousandths of the currency, plus one; 0: not given. */
struct price {
	unsigned line;
	char **models;
	size_t nmodels;
	char **tiers; /* by which the service served it; none: whichever */
	size_t ntiers;
	uint32_t from; /* days since 1970; 0: always */
	uint64_t input, cached, output, reasoning;
};

/* The first price that fits, and has begun, counts. */
struct limit_set {
	struct limit *limits;
	size_t nlimits;
	struct price *prices;
	size_t nprices;
};

enum limit_measure limit_measure_of(const struct limit *limit);
enum limit_period limit_period_of(const struct limit *limit);
/* In the units of its measure. */
uint64_t limit_most(const struct limit *limit);

#endif
