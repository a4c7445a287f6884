/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy in force: the first rule that fits a call decides. What it costs to ask grows with what
 * is asked about, and with the rules that nearly fit; not with all that there are. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/facts.h"
#include "policy/rule.h"

struct policy;

struct policy_verdict {
	bool deny;
	const struct rule *rule; /* NULL: the default */
	/* It denies because what a condition of it depends on can never be known. */
	bool unknown;
	const struct rule *shadow; /* the first that would have denied; NULL: none */
	enum rule_log log;
};

/* The set is borrowed, and stays as it is. NULL without memory. */
struct policy *policy_new(const struct rule_set *set);
void policy_free(struct policy *policy);

/* The groups that are named by the address: at most max of them; how many. */
size_t policy_groups(struct policy *policy, const struct address *address, struct slice *groups,
	size_t max);

/* Whether there is a rule by which the content of calls is not recorded: of one that is not decided,
 * it is not either. */
bool policy_hides(const struct policy *policy);

/* False: it depends on what is not known yet of the body. When that is final, it is true always. */
bool policy_decide(
	struct policy *policy, const struct policy_facts *facts, struct policy_verdict *verdict);

#endif
