/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one key of a limit cannot know about another, or about the prices. */
#ifndef CONFIG_POLICY_LIMITS_H
#define CONFIG_POLICY_LIMITS_H

#include "config/problem.h"
#include "policy/limit.h"

void policy_limits_check(
	const char *name, const struct limit_set *limits, struct problems *problems);

#endif
