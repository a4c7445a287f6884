// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/policy_limits.h"

#include <errno.h>
#include <string.h>

/* A limit of one thing: of several, "what is left" would be nothing that a client can be told. */
static void check_measure(
	const char *name, size_t i, const struct limit *limit, struct problems *problems)
{
	int n = (limit->requests != 0) + (limit->tokens != 0) + (limit->cost != 0) +
		(limit->bytes != 0) + (limit->concurrent != 0);

	if (n != 1)
		problem_set(problems, EINVAL,
			"%s:%u: limits[%zu]: expected one of requests, tokens, cost, bytes and "
			"concurrent, found %s",
			name, limit->line, i, n ? "several: write a limit for each" : "none");
}

static void check_name(const char *name, size_t i, const struct limit_set *set,
	struct problems *problems)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(set->limits[i].name, set->limits[k].name) == 0) {
			problem_set(problems, EINVAL,
				"%s:%u: limits[%zu].name: expected each name once, found \"%s\" also "
				"in line %u",
				name, set->limits[i].line, i, set->limits[i].name,
				set->limits[k].line);
			return;
		}
}

/* A model whose price nobody knows would cost nothing. */
static void check_prices(const char *name, const struct limit_set *set, struct problems *problems)
{
	bool all = false;

	for (size_t i = 0; i < set->nprices; i++)
		for (size_t k = 0; k < set->prices[i].nmodels; k++)
			all |= strcmp(set->prices[i].models[k], "*") == 0 &&
			       !set->prices[i].ntiers && !set->prices[i].from;
	for (size_t i = 0; i < set->nlimits && !all; i++)
		if (set->limits[i].cost) {
			problem_set(problems, EINVAL,
				"%s:%u: limits[%zu].cost: expected a last entry of prices with models: "
				"[\"*\"], and neither tiers nor from, for the models that no other entry "
				"has; found none",
				name, set->limits[i].line, i);
			return;
		}
}

void policy_limits_check(
	const char *name, const struct limit_set *set, struct problems *problems)
{
	if (set->nlimits > LIMITS_MAX)
		problem_set(problems, EINVAL, "%s:%u: limits: expected at most %d, found %zu", name,
			set->limits[LIMITS_MAX].line, LIMITS_MAX, set->nlimits);
	for (size_t i = 0; i < set->nlimits; i++) {
		check_measure(name, i, &set->limits[i], problems);
		check_name(name, i, set, problems);
	}
	check_prices(name, set, problems);
}
