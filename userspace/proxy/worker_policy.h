/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy that a worker goes by, and the keys that were issued here. The policy is that of its
 * configuration, for as long as the worker lives; the keys change meanwhile. */
#ifndef PROXY_WORKER_POLICY_H
#define PROXY_WORKER_POLICY_H

#include "base/log_limit.h"
#include "config/policy_file.h"
#include "policy/key_table.h"
#include "policy/limits.h"
#include "policy/subject.h"
#include "supervise/role.h"

struct worker_policy {
	struct policy_file *file;
	struct key_table *keys; /* NULL: none are issued here */
	struct limit_table *limit_table; /* what all workers have used of the limits */
	struct limits *limits;
	int limit_cells; /* lent to this process for as long as it is open */
	struct log_limit service_log;
	struct buf groups; /* of the address that was asked for last */
};

/* Reads both from the descriptors that were handed over, while files are within reach. 0, or negative errno with why: worker_policy_close is right after both. */
int worker_policy_open(
	struct worker_policy *policy, struct role_context *context, struct why *why);
/* The keys from now on; the descriptor is taken. Calls that have begun keep whom they are from. */
void worker_policy_keys(struct worker_policy *policy, int fd);
void worker_policy_close(struct worker_policy *policy);
/* The groups of whoever calls from that address, separated by commas; until the next call. Without
 * memory there are none. */
struct slice worker_policy_groups(struct worker_policy *policy, const struct address *address);
/* By what the subject of a call is found now; whether a text is a service's key, or a token of
 * whom, only the caller knows. */
struct subject_means worker_policy_means(struct worker_policy *policy,
	bool (*is_service)(void *context, struct slice text),
	enum token_state (*token)(
		void *context, struct slice text, uint64_t now_s, const struct token **token),
	void *context);

#endif
