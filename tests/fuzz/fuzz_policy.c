// SPDX-License-Identifier: GPL-2.0-or-later
/* A policy of any text is refused or decides about a call, at the head and at the end alike; a file of
 * keys of any text is refused or is written as it was read. The first byte says which. */
#include <stdint.h>
#include <stdlib.h>

#include "config/policy_file.h"
#include "policy/condition.h"
#include "policy/key_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void try_policy(struct slice text)
{
	struct slice group = SLICE("a");
	struct policy_facts facts = {.groups = &group, .ngroups = 1, .operation = SLICE("chat"),
		.host = SLICE("api.openai.com"), .model = SLICE("gpt-4o"), .minute = 700};
	struct policy_verdict early, late;
	struct policy_file *file;

	if (policy_file_parse("p", text, &file, NULL, NULL, NULL, NULL)) {
		demand(!file);
		return;
	}
	bool decided = policy_decide(file->policy, &facts, &early);

	facts.body = RULE_BODY_READ;
	facts.body_final = facts.size_final = true;
	demand(policy_decide(file->policy, &facts, &late));
	/* What was said early stays. */
	demand(!decided || (early.deny == late.deny && early.rule == late.rule));
	policy_file_free(file);
}

static void try_keys(struct slice text)
{
	struct key_table *keys;
	struct buf again = BUF_EMPTY;

	if (key_table_parse("k", text, &keys, NULL)) {
		demand(!keys);
		return;
	}
	demand(key_table_print(keys, &again) == 0);
	demand(slice_equal(buf_slice(&again), text));
	buf_free(&again);
	key_table_free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] == 'k')
		try_keys(slice_of((const char *)data + 1, size - 1));
	else
		try_policy(slice_of((const char *)data + 1, size - 1));
	return 0;
}
