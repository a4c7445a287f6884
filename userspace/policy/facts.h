/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy is asked about: one call, as far as it is known. Borrowed spans. */
#ifndef POLICY_FACTS_H
#define POLICY_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"
#include "policy/rule.h"

struct policy_facts {
	/* Known with the head of the request. */
	struct address source;
	const struct slice *groups; /* of the subject */
	size_t ngroups;
	enum rule_credential credential;
	struct slice key_id; /* of RULE_CREDENTIAL_ISSUED */
	struct slice object; /* of a token */
	struct slice operation; /* "unknown" */
	struct slice deployment; /* named by the path: it is the model then */
	bool agent; /* it is an agent that answers, with a model and tools of its own */
	struct slice host, api_version;
	enum rule_dialect dialect;
	unsigned minute; /* of the week, by local time, from Monday 00:00 on */

	/* What the body is; body_final: all of it was read, or never will be. Before that nothing
	 * below is known; after it what is not RULE_BODY_READ or RULE_BODY_NONE is never known. */
	enum rule_body body;
	bool body_final;
	uint64_t size;	 /* so far, and at least */
	bool size_final; /* it is all of it */
	struct slice model;
	bool stored_prompt; /* what is not said here, of model and tools, the service has stored */
	bool stream, store, background;
	bool output_given;
	uint64_t choices; /* that are asked for; 0: it is not said */
	uint64_t output; /* the most tokens that the answer may have, of all choices together */
	struct slice service_tier;
	unsigned tools; /* a bit for each enum request_tool that is offered */
};

#endif
