/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A call that is made up, to be asked of a policy: by whom, where to, with which body. It goes the
 * way of a real one, through the readers of the API. */
#ifndef CLI_POLICY_CASE_H
#define CLI_POLICY_CASE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/why.h"
#include "config/config.h"
#include "config/policy_file.h"
#include "openai/operation.h"
#include "openai/request.h"
#include "policy/facts.h"
#include "policy/subject.h"
#include "tls/host_name.h"

struct policy_case {
	/* Given. */
	struct address source;
	const struct issued_key *key; /* NULL: none */
	char *const *groups;	      /* besides those of the key and of the address */
	size_t ngroups;
	enum rule_credential credential;
	struct slice key_id; /* where there is no key */
	const char *method, *url;
	struct slice body;
	unsigned minute;
	/* Found. */
	struct subject subject;
	struct operation_match match;
	struct request_reader *request; /* NULL: the body is not read */
	struct policy_facts facts;
	struct policy_verdict verdict;
	struct slice target;
	char host[HOST_NAME_SIZE];
};

/* 0, or -EINVAL (the URL is none of a host of the configuration) or -ENOMEM, with why; free it after
 * both. Borrows what is given. */
int policy_case_decide(struct policy_case *call, const struct config *config,
	const struct policy_file *file, struct why *why);
void policy_case_free(struct policy_case *call);

/* Asks the tests of the policy; tells of each that comes out otherwise, as "path:line: tests[i]: …".
 * How many there are. */
size_t policy_case_tests(const char *path, const struct config *config,
	const struct policy_file *file, void (*told)(void *context, const char *problem),
	void *context);

#endif
