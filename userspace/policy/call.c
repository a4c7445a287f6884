// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/call.h"

static enum rule_dialect dialect_of(const struct operation_match *match)
{
	static const enum rule_dialect dialects[] = {
		[DIALECT_AZURE] = RULE_DIALECT_AZURE,
		[DIALECT_AZURE_V1] = RULE_DIALECT_AZURE_V1,
		[DIALECT_OPENAI] = RULE_DIALECT_OPENAI,
		[DIALECT_ANTHROPIC] = RULE_DIALECT_ANTHROPIC,
	};

	return dialects[match->dialect];
}

void call_head(struct policy_facts *f, const struct address *source, const struct subject *subject,
	const struct operation_match *match, struct slice host)
{
	*f = (struct policy_facts){
		.source = *source,
		.groups = subject->groups,
		.ngroups = subject->ngroups,
		.credential = subject->credential,
		.key_id = subject->key ? slice_of(subject->key->id, KEY_ID) : SLICE_NONE,
		.operation = operation_name(match),
		.deployment = match->deployment,
		.host = host,
		.agent = match->agent.len != 0,
		.api_version = match->api_version,
		.dialect = dialect_of(match),
	};
}

void call_no_body(struct policy_facts *f)
{
	f->body = RULE_BODY_NONE;
	f->body_final = f->size_final = true;
	f->size = 0;
}

/* What is no number, or none that counts tokens, limits nothing. */
static bool tokens_of(const struct request_number *number, uint64_t *tokens)
{
	if (!number->present || !(number->value >= 0) || number->value >= 1e15)
		return false;
	*tokens = (uint64_t)number->value;
	return true;
}

void call_body(struct policy_facts *f, const struct request_facts *request, uint64_t size)
{
	uint64_t choices = 1;

	f->body_final = f->size_final = true;
	f->size = size;
	if (!request) {
		f->body = RULE_BODY_UNREAD;
		return;
	}
	f->body = request->readable ? RULE_BODY_READ : RULE_BODY_UNREADABLE;
	f->model = request->model;
	f->stored_prompt = request->stored_prompt || f->agent;
	f->stream = request->stream == REQUEST_TRUE;
	f->background = request->background == REQUEST_TRUE;
	/* Responses are stored unless the client says otherwise. */
	f->store = request->store == REQUEST_TRUE ||
		   (request->store == REQUEST_ABSENT && slice_equal(f->operation, SLICE("responses")));
	f->service_tier = request->service_tier.len ? request->service_tier : SLICE("auto");
	f->tools = request->tool_kinds;
	f->output_given = tokens_of(&request->max_tokens, &f->output);
	if (request->n.present && tokens_of(&request->n, &choices))
		f->choices = choices;
	if (f->output_given && __builtin_mul_overflow(f->output, choices, &f->output))
		f->output = UINT64_MAX;
}
