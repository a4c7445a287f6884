// SPDX-License-Identifier: GPL-2.0-or-later
/* Who a call is from, and whether it may be made. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <time.h>

#include "audit/event.h"
#include "base/clock.h"
#include "base/log.h"
#include "policy/call.h"
#include "proxy/exchange.h"
#include "proxy/worker_tokens.h"

/* A body whose size is not told is asked about again when it has grown to twice as much. */
#define ASKED_FIRST 65536

struct exchange_policy {
	bool decided;
	struct policy_facts facts;
	struct policy_verdict verdict; /* once decided */
	uint64_t ask_at;	       /* bytes of the body */
	/* The subject, for longer than the keys may stay. */
	bool by_key, refused;
	enum key_state state;
	char key_id[KEY_ID + 1], name[KEY_NAME + 1];
	bool by_token, overage;
	enum token_state token_state;
	char object[128], application[64], tenant[64]; /* of the token */
	struct slice groups[SUBJECT_GROUPS];
	struct buf text; /* the groups, separated by commas */
};

/* ---- the subject ---- */

static void keep_text(char *to, size_t room, struct slice text)
{
	snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1), text.len ? text.data : "");
}

static void keep_token(struct exchange_policy *p, const struct token *token)
{
	p->by_token = true;
	p->overage = token->overage;
	keep_text(p->object, sizeof(p->object), token->object);
	keep_text(p->application, sizeof(p->application), token->application);
	keep_text(p->tenant, sizeof(p->tenant), token->tenant);
	if (!p->by_key)
		keep_text(p->name, sizeof(p->name), token->name);
}

static int keep_subject(struct exchange_policy *p, const struct subject *s)
{
	size_t total = 0;
	char *at;

	p->refused = s->refused;
	p->state = s->state;
	p->by_key = s->key != NULL;
	p->token_state = s->token_state;
	if (s->key) {
		memcpy(p->key_id, s->key->id, sizeof(p->key_id));
		memcpy(p->name, s->key->name, sizeof(p->name));
	}
	if (s->token)
		keep_token(p, s->token);
	for (size_t i = 0; i < s->ngroups; i++)
		total += s->groups[i].len + 1;
	at = buf_reserve(&p->text, total + 1);
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < s->ngroups; i++) {
		p->groups[i] = slice_of(at, s->groups[i].len);
		memcpy(at, s->groups[i].data, s->groups[i].len);
		at += s->groups[i].len;
		*at++ = ',';
	}
	buf_commit(&p->text, total ? total - 1 : 0);
	p->facts.groups = p->groups;
	p->facts.ngroups = s->ngroups;
	p->facts.key_id = slice_of(p->key_id, p->by_key ? KEY_ID : 0);
	p->facts.object = slice_of_string(p->object);
	return 0;
}

/* The advice is for who runs the appliance: the client must not have that key. */
static void warn_of_service_key(struct exchange *ex)
{
	struct worker *worker = ex->worker;
	uint64_t left_out;

	counter_add(worker->counters, COUNTER_KEY_SERVICE, 1);
	if (log_limit(&worker->policy.service_log, &left_out))
		log_warning("%s presents the service key of a backend: rotate it, and issue a key with "
			    "sallyport keys new (%" PRIu64 " more were not logged)",
			address_format(&ex->source.address).text, left_out);
}

static unsigned minute_of_week(void)
{
	time_t now = time(NULL);
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return 0;
	return (unsigned)((tm.tm_wday + 6) % 7 * 24 * 60 + tm.tm_hour * 60 + tm.tm_min);
}

/* ---- the verdict ---- */

static bool deny(struct exchange *ex, const struct policy_verdict *verdict)
{
	char message[384];

	counter_add(ex->worker->counters, COUNTER_RULE_DENIED, 1);
	if (verdict->rule && verdict->rule->message)
		snprintf(message, sizeof(message), "%s", verdict->rule->message);
	else
		snprintf(message, sizeof(message),
			"This call is denied by the policy of your network (rule \"%s\"%s).",
			verdict->rule ? verdict->rule->name : RULE_DEFAULT_NAME,
			verdict->unknown ? ", for it cannot be told whether the call is allowed" : "");
	exchange_fail(ex, ENDING_POLICY, &(struct ending_detail){NULL, message, 0});
	return true;
}

static bool ask(struct exchange *ex)
{
	struct exchange_policy *p = ex->policy;

	p->decided = policy_decide(ex->worker->policy.file->policy, &p->facts, &p->verdict);
	if (!p->decided)
		return false;
	if (p->verdict.shadow)
		counter_add(ex->worker->counters, COUNTER_RULE_SHADOWED, 1);
	return p->verdict.deny && deny(ex, &p->verdict);
}

/* Of a token that cannot be checked now it is not known whether it is good. */
static bool reject_token(struct exchange *ex)
{
	enum token_state state = ex->policy->token_state;
	char message[160];

	snprintf(message, sizeof(message), "Access denied due to invalid token: the token is %s.",
		token_state_name(state));
	exchange_fail(ex, state == TOKEN_UNCHECKED ? ENDING_TOKEN_UNCHECKED : ENDING_TOKEN,
		&(struct ending_detail){NULL, message, 0});
	return true;
}

static bool reject_key(struct exchange *ex)
{
	char message[160];

	counter_add(ex->worker->counters, COUNTER_KEY_REJECTED, 1);
	snprintf(message, sizeof(message),
		"Access denied due to invalid subscription key: the key is %s.",
		ex->policy->state == KEY_WRONG	   ? key_state_name(KEY_UNKNOWN)
		: ex->policy->state == KEY_SEVERAL ? "not the only one"
						   : key_state_name(ex->policy->state));
	exchange_fail(ex, ENDING_KEY, &(struct ending_detail){NULL, message, 0});
	return true;
}

/* Whoever reaches the gateway's address is not yet one of its clients. */
static bool lacks_key(const struct exchange *ex)
{
	return ex->gateway && ex->worker->config->gateway.require_key && !ex->policy->by_key &&
	       !ex->policy->by_token;
}

static bool demand_key(struct exchange *ex)
{
	counter_add(ex->worker->counters, COUNTER_KEY_REJECTED, 1);
	exchange_fail(ex, ENDING_KEY,
		&(struct ending_detail){NULL,
			"Access denied due to missing subscription key: this gateway takes keys that are "
			"issued for it.",
			0});
	return true;
}

/* Whether it is what calls to one of the backends are made with now. */
static bool is_service(void *context, struct slice text)
{
	const struct worker *worker = context;
	bool found = false;

	for (size_t i = 0; i < worker->config->nbackends; i++) {
		struct credential credential =
			worker_credential(worker, &worker->config->backends[i]);
		struct slice key;

		if (credential.kind != CREDENTIAL_OURS)
			continue;
		key = secret_text(credential.secret);
		if (key.len == text.len && CRYPTO_memcmp(key.data, text.data, key.len) == 0)
			found = true;
	}
	return found;
}

static enum token_state check_token(
	void *context, struct slice text, uint64_t now_s, const struct token **token)
{
	struct worker *worker = context;

	return worker_tokens_check(worker->tokens, text, now_s, token);
}

static int begin(struct exchange *ex, const struct head *head)
{
	struct subject_means means = worker_policy_means(
		&ex->worker->policy, is_service, check_token, ex->worker);
	struct credentials credentials;
	struct subject subject;

	ex->policy = calloc(1, sizeof(*ex->policy));
	if (!ex->policy)
		return -ENOMEM;
	credentials_read(head, &credentials);
	subject_find(&means, &ex->source.address, &credentials,
		ex->started_realtime_ns / NS_PER_S, &subject);
	call_head(&ex->policy->facts, &ex->source.address, &subject, &ex->match,
		slice_of_string(ex->sni));
	ex->policy->facts.minute = minute_of_week();
	ex->policy->ask_at = ASKED_FIRST;
	return keep_subject(ex->policy, &subject);
}

void exchange_policy_know(struct exchange *ex, const struct head *head)
{
	if (begin(ex, head))
		exchange_policy_free(ex); /* the event says what is known without */
}

bool exchange_policy_head(struct exchange *ex, const struct head *head)
{
	struct policy_facts *facts;

	if (begin(ex, head)) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return true;
	}
	facts = &ex->policy->facts;
	if (ex->policy->by_key)
		counter_add(ex->worker->counters, COUNTER_KEY_ACCEPTED, 1);
	if (facts->credential == RULE_CREDENTIAL_SERVICE)
		warn_of_service_key(ex);
	if (ex->policy->overage)
		counter_add(ex->worker->counters, COUNTER_TOKEN_OVERAGE, 1);
	if (ex->policy->refused)
		return ex->policy->token_state != TOKEN_VALID ? reject_token(ex) : reject_key(ex);
	if (lacks_key(ex))
		return demand_key(ex);
	/* What a session asks for is said, and asked about, later. */
	if (head->framing == HEAD_NO_BODY &&
		!(head->websocket && ex->match.operation && ex->match.operation->family))
		call_no_body(facts);
	if (head->framing == HEAD_LENGTH) {
		facts->size = head->length;
		facts->size_final = true;
	}
	return ask(ex);
}

bool exchange_policy_body(struct exchange *ex, size_t more)
{
	const struct reader *reader = ex->request.reader;
	struct exchange_policy *p = ex->policy;
	uint64_t bytes = replay_end(&ex->replay) + more;

	if (!p || p->decided)
		return false;
	if (exchange_request_is_whole(ex)) {
		call_body(&p->facts,
			reader ? reader_request_facts(reader) : NULL, bytes);
		if (ask(ex))
			return true;
		assert(p->decided);
		return false;
	}
	if (p->facts.size_final || bytes < p->ask_at)
		return false;
	p->ask_at = 2 * bytes;
	p->facts.size = bytes;
	return ask(ex);
}

const struct policy_facts *exchange_policy_facts(struct exchange *ex, size_t more)
{
	const struct reader *reader = ex->request.reader;
	struct policy_facts *facts = &ex->policy->facts;

	if (exchange_request_is_whole(ex) && !facts->body_final)
		call_body(facts, reader ? reader_request_facts(reader) : NULL,
			replay_end(&ex->replay) + more);
	return facts;
}

/* ---- what goes on ---- */

bool exchange_policy_hides_field(const struct exchange *ex, const struct header *header)
{
	return ex->policy && ex->policy->by_key && credentials_issued_field(header);
}

bool exchange_policy_hides_query(const struct exchange *ex)
{
	return ex->policy && ex->policy->by_key && credentials_issued_query(ex->head->path);
}

/* ---- the record ---- */

static const char *credential_name(enum rule_credential credential)
{
	static const char *const names[] = {"none", "issued", "service", "other", "token"};

	return names[credential];
}

static void hide_content(struct event *event)
{
	event->input_messages = event->output_messages = event->tools = SLICE_NONE;
	event->input_messages_truncated = event->output_messages_truncated = EVENT_UNSET;
	event->tools_truncated = EVENT_UNSET;
	event->input_messages_cut = event->output_messages_cut = event->tools_cut =
		(struct event_number){0};
}

void exchange_policy_event(const struct exchange *ex, struct event *event)
{
	const struct exchange_policy *p = ex->policy;

	if (!p) {
		event->subject_found_by = SLICE("address");
		event->subject_groups =
			worker_policy_groups(&ex->worker->policy, &ex->source.address);
		return;
	}
	event->subject_found_by = p->by_key    ? SLICE("key")
				  : p->by_token ? SLICE("token")
						: SLICE("address");
	event->subject_object = slice_of_string(p->object);
	event->subject_application = slice_of_string(p->application);
	event->subject_tenant = slice_of_string(p->tenant);
	if (p->overage)
		event->subject_overage = EVENT_YES;
	event->subject_name = slice_of_string(p->name);
	event->subject_key = slice_of_string(p->key_id);
	event->subject_groups = buf_slice(&p->text);
	event->subject_credential = p->refused && p->token_state != TOKEN_VALID
					    ? slice_of_string(token_state_name(p->token_state))
				    : p->refused ? slice_of_string(key_state_name(p->state))
						 : slice_of_string(credential_name(p->facts.credential));
	if (p->decided ? p->verdict.log != RULE_LOG_CONTENT
		       : policy_hides(ex->worker->policy.file->policy))
		hide_content(event);
	if (!p->decided)
		return;
	event->rule_name = slice_of_string(
		p->verdict.rule ? p->verdict.rule->name : RULE_DEFAULT_NAME);
	if (p->verdict.shadow)
		event->rule_shadow = slice_of_string(p->verdict.shadow->name);
	if (p->verdict.unknown)
		event->rule_unknown = EVENT_YES;
}

void exchange_policy_owner(const struct exchange *ex, char owner[STANDING_JOB_OWNER])
{
	const struct exchange_policy *p = ex->policy;

	if (p && p->by_key)
		snprintf(owner, STANDING_JOB_OWNER, "%s %s", p->key_id, p->name);
	else
		snprintf(owner, STANDING_JOB_OWNER, "%s", address_format(&ex->source.address).text);
}

bool exchange_policy_records(const struct exchange *ex)
{
	const struct exchange_policy *p = ex->policy;

	if (!p || !p->decided || p->verdict.deny || p->verdict.log != RULE_LOG_NONE)
		return true;
	counter_add(ex->worker->counters, COUNTER_RULE_UNRECORDED, 1);
	return false;
}

void exchange_policy_free(struct exchange *ex)
{
	if (!ex->policy)
		return;
	buf_free(&ex->policy->text);
	free(ex->policy);
	ex->policy = NULL;
}
