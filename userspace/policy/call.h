/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts of a call, as the readers of the API tell them. */
#ifndef POLICY_CALL_H
#define POLICY_CALL_H

#include "openai/operation.h"
#include "openai/request.h"
#include "policy/facts.h"
#include "policy/subject.h"

/* What the head tells. Spans are those of the arguments. */
void call_head(struct policy_facts *facts, const struct address *source,
	const struct subject *subject, const struct operation_match *match, struct slice host);
/* No body follows it. */
void call_no_body(struct policy_facts *facts);
/* All of the body has come, of that size; request NULL: it is not read. */
void call_body(struct policy_facts *facts, const struct request_facts *request, uint64_t size);

#endif
