/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of the policy (policy.file), which is sallyport.policy.yaml(5): read as the configuration
 * is, with the same messages. */
#ifndef CONFIG_POLICY_FILE_H
#define CONFIG_POLICY_FILE_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"
#include "policy/limit.h"
#include "policy/policy.h"
#include "policy/rule.h"

#define POLICY_FILE_MAX (1u << 20)

/* A call that the file itself says something of: `sallyport check` asks whether it is so. */
struct policy_test {
	char *name;
	unsigned line;
	struct prefix source; /* one address */
	char **groups;	      /* besides those of the address */
	size_t ngroups;
	int credential; /* enum rule_credential */
	char *key;	/* public id, or NULL */
	char *method, *url, *body;
	uint32_t minute; /* of the week */
	int expect;	 /* 0: allow, 1: deny */
	char *rule;	 /* that decides; NULL: whichever */
	char *shadow;	 /* that would have denied; NULL: whichever */
};

struct policy_file {
	struct rule_set set;
	struct limit_set limits;
	struct policy_test *tests;
	size_t ntests;
	struct policy *policy; /* of the set */
};

/* Reads the YAML text; name is used in messages only, "name:line: key: expected …, found …". All
 * that is wrong is told (told may be NULL), why is the first of it. 0, -EINVAL or -ENOMEM. */
int policy_file_parse(const char *name, struct slice yaml, struct policy_file **file,
	void (*told)(void *context, const char *problem), void *context, size_t *count,
	struct why *why);
/* What holds without a file: everything is allowed, and recorded with its content. */
struct policy_file *policy_file_none(void);
void policy_file_free(struct policy_file *file);

#endif
