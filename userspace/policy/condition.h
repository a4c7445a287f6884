/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each kind of condition that a rule may have: one table, by which rules are tried one by one, and
 * explained. policy.c tries most of them for all rules at once. */
#ifndef POLICY_CONDITION_H
#define POLICY_CONDITION_H

#include <stdbool.h>

#include "base/buf.h"
#include "policy/facts.h"
#include "policy/rule.h"

/* Whether a rule fits a call. In this order: of several the least counts. */
enum fit {
	FIT_NO,
	FIT_PENDING, /* it depends on what is not known yet */
	FIT_NEVER,   /* … on what never will be */
	FIT_YES,
};

struct condition {
	const char *key; /* as in the file */
	bool indexed;	 /* policy.c tries it for all rules at once */
	/* Whether the rule has such a condition; then whether that fits. */
	bool (*set)(const struct rule *rule);
	enum fit (*fit)(const struct rule *rule, const struct policy_facts *facts);
	/* Appends what the call has, for people. 0 or -ENOMEM. */
	int (*found)(const struct policy_facts *facts, struct buf *text);
};

#define CONDITION_COUNT 18
extern const struct condition conditions[CONDITION_COUNT];

/* What never is known because of its body, or is not yet; FIT_YES: all of it is known. */
enum fit condition_body(const struct policy_facts *facts);
/* The model: the deployment of the path, or what the body says. FIT_YES: it is known. */
enum fit condition_model(const struct policy_facts *facts, struct slice *model);

/* The fit of all conditions of the rule, or of those alone that are not indexed. */
enum fit condition_all(const struct rule *rule, const struct policy_facts *facts, bool indexed);

/* Whether the rule has any. */
bool condition_any(const struct rule *rule);

#endif
