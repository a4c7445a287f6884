// SPDX-License-Identifier: GPL-2.0-or-later
/* Whom an exchange asks: a backend of its pool, and another one when that one does not answer. */
#include "proxy/exchange.h"

#include <inttypes.h>

#include "audit/event.h"
#include "audit/recorder.h"
#include "backend/budget.h"
#include "backend/owner.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy/again.h"

/* The rest of an answer that says no is there by then, or is not waited for. */
#define REASON_NS NS_PER_S

/* So much of a body is looked through for what it refers to. */
#define REFERS_MAX (256 * 1024)

/* Shorter prompts are not cached by the provider; of longer ones this much is compared. */
#define PROMPT_LONG	 4096
#define PROMPT_BEGINNING 2048

/* A deployment's name in the path, or else the model's in the body. */
static struct slice exchange_deployment(const struct exchange *ex)
{
	if (ex->match.deployment.len || !ex->request.reader)
		return ex->match.deployment;
	return reader_request_facts(ex->request.reader)->model;
}

/* What the outcome is remembered by: of chats the model, of all else the name of the operation before it.
 * A key, or a model, may be good for one and not for another, and whoever makes calls that are refused
 * (embeddings of a model for chats) takes out no others. No name that a client invents is another's. */
static void exchange_set_kind(struct exchange *ex)
{
	const struct operation *operation = ex->match.operation;
	struct slice deployment = slice_first(exchange_deployment(ex), EXCHANGE_KIND / 2);
	bool plain = operation && operation->id == OPERATION_CHAT && deployment.len &&
		     slice_index(deployment, ' ') == deployment.len;

	if (!deployment.len)
		deployment = SLICE("*");
	snprintf(ex->pool.kind, sizeof(ex->pool.kind), "%s%s%.*s",
		plain	    ? ""
		: operation ? operation->name
			    : "other",
		plain ? "" : " ", SLICE_ARG(deployment));
}

static struct slice exchange_kind(const struct exchange *ex)
{
	return slice_of_string(ex->pool.kind);
}

/* A bit for each member. */
static uint64_t exchange_all(const struct exchange *ex)
{
	unsigned n = ex->pool.entry->pool.n;

	return n == POOL_MEMBERS ? UINT64_MAX : (1ULL << n) - 1;
}

static bool exchange_has_others(const struct exchange *ex)
{
	return ex->pool.entry && (ex->pool.tried & exchange_all(ex)) != exchange_all(ex);
}

/* ---- the choice ---- */

/* What calls have in common that the same backend should answer; 0: nothing. */
static uint64_t exchange_affinity(const struct exchange *ex)
{
	enum config_affinity kind = ex->pool.entry->affinity;
	const struct request_facts *facts;

	if (kind == CONFIG_AFFINITY_OFF || ex->pool.entry->pool.n < 2 || !ex->request.reader)
		return 0;
	facts = reader_request_facts(ex->request.reader);
	if (facts->prompt_cache_key.len)
		return standing_hash(facts->prompt_cache_key);
	if (facts->conversation.len)
		return standing_hash(facts->conversation);
	if (kind != CONFIG_AFFINITY_PROMPT || facts->messages.len < PROMPT_LONG)
		return 0;
	return standing_hash(slice_first(facts->messages, PROMPT_BEGINNING));
}

void exchange_pool_open(struct exchange *ex)
{
	ex->pool.entry = pool_table_find(ex->worker->pools, ex->host);
	ex->pool.choice.member = ex->pool.owner = -1;
}

/* Whether it may be done twice: it has no effect but its answer, and its cost. A response that is kept
 * besides is one that nobody asks for; what is appended to a conversation, or what tools do that run at
 * the service, is an effect. */
static bool exchange_is_harmless(const struct exchange *ex)
{
	const unsigned pure = 1u << REQUEST_TOOL_FUNCTION | 1u << REQUEST_TOOL_CUSTOM |
			      1u << REQUEST_TOOL_WEB_SEARCH | 1u << REQUEST_TOOL_FILE_SEARCH |
			      1u << REQUEST_TOOL_IMAGE_GENERATION;
	const struct operation *operation = ex->match.operation;
	const struct request_facts *facts;

	if (again_is_harmless(operation, ex->method))
		return true;
	if (!operation || operation->id != OPERATION_RESPONSES || !ex->request.reader ||
		!exchange_request_is_whole(ex))
		return false;
	facts = reader_request_facts(ex->request.reader);
	return facts->readable && facts->background != REQUEST_TRUE && !facts->conversation.len &&
	       !(facts->tool_kinds & ~pure);
}

/* ---- who keeps what the call is about ---- */

/* Whether calls of this kind have to do with what the service keeps. */
static bool exchange_keeps(const struct exchange *ex)
{
	const struct operation *operation = ex->match.operation;

	return ex->pool.entry && ex->pool.entry->pool.n > 1 && operation &&
	       (!operation->stateless || operation->family == FAMILY_RESPONSES);
}

static void exchange_refers(void *context, struct slice id)
{
	struct exchange_pool *pool = &((struct exchange *)context)->pool;

	pool->refers = true;
	if (pool->owner < 0)
		pool->owner = owner_find(
			((struct exchange *)context)->worker->standing, id, &pool->entry->pool);
}

/* By the names in the path, and in what is held of the body. */
static void exchange_find_owner(struct exchange *ex)
{
	struct slice path = slice_first(ex->target, slice_index(ex->target, '?'));
	struct id_scan scan = {.len = 0};

	if (!exchange_keeps(ex))
		return;
	while (path.len) {
		struct slice segment = slice_first(path, slice_index(path, '/'));

		if (id_is_one(segment))
			exchange_refers(ex, segment);
		path = slice_after(path, segment.len + 1);
	}
	id_scan_feed(&scan, slice_first(replay_from(&ex->replay, 0), REFERS_MAX), exchange_refers, ex);
}

static void exchange_learn(void *context, struct slice id)
{
	struct exchange *ex = context;
	uint64_t hash = standing_hash(id);

	if (hash == ex->pool.learned)
		return;
	ex->pool.learned = hash;
	owner_learn(ex->worker->standing, id, &ex->pool.entry->pool, ex->pool.choice.member,
		clock_monotonic_ns() / NS_PER_S);
}

void exchange_learn_owner(struct exchange *ex, struct slice span)
{
	if (exchange_keeps(ex) && ex->status >= 200 && ex->status <= 299)
		id_scan_feed(&ex->pool.scan, span, exchange_learn, ex);
}

bool exchange_choose_backend(struct exchange *ex)
{
	struct exchange_pool *pool = &ex->pool;
	uint64_t now = clock_monotonic_ns();
	struct choice_query query = {
		.random = worker_random(ex->worker),
		.careful = !exchange_is_harmless(ex),
	};
	struct choice choice;

	if (!pool->entry)
		return true;
	exchange_set_kind(ex);
	query.deployment = exchange_kind(ex);
	if (!pool->tried) {
		budget_earn(standing_budget(ex->worker->standing, pool->entry->pool.name),
			pool->entry->pool.retry_percent, now);
		exchange_find_owner(ex);
		if (pool->owner >= 0)
			pool->tried = ~(1ULL << pool->owner);
		pool->unfit = exchange_unfit(ex);
		pool->tried |= pool->unfit;
	}
	query.tried = pool->tried;
	query.affinity = exchange_affinity(ex);
	choice = pool_choose(ex->worker->standing, &pool->entry->pool, &query, now);
	if (choice.member < 0) {
		pool->wait_ns = choice.wait_ns;
		pool->throttled += choice.paused;
		return false;
	}
	pool->choice = choice;
	pool->open = true;
	pool->outcome = BACKEND_NONE;
	pool->tried |= 1ULL << choice.member;
	ex->backend = pool->entry->backends[choice.member];
	pool->asks_around = pool->spills = false;
	pool->scan = (struct id_scan){.len = 0};
	return true;
}

/* Nobody is to be asked now. */
void exchange_fail_for_want_of_backends(struct exchange *ex)
{
	counter_add(ex->worker->counters, COUNTER_BACKEND_NONE, 1);
	if (ex->pool.entry && exchange_all(ex) == (ex->pool.unfit & exchange_all(ex))) {
		exchange_fail(ex, ENDING_UNTRANSLATABLE, NULL);
		return;
	}
	if (!ex->pool.wait_ns)
		ex->pool.wait_ns = exchange_pool_wait(ex);
	exchange_fail(ex,
		ex->pool.throttled	? ENDING_BACKENDS_BUSY
		: ex->pool.owner >= 0	? ENDING_OWNER_DOWN
					: ENDING_BACKENDS_DOWN,
		NULL);
}

/* ---- what came of it ---- */

static void exchange_log_backend(struct exchange *ex, enum backend_outcome outcome, bool out)
{
	const struct config_backend *backend = ex->backend;
	uint64_t left_out;

	if (!log_limit(&ex->worker->backend_log, &left_out))
		return;
	if ((outcome == BACKEND_CREDENTIAL || outcome == BACKEND_QUOTA) && out)
		log_error("backend %s %s credential %s: it is not asked until it takes it (%" PRIu64
			  " more were not logged)",
			backend->name,
			outcome == BACKEND_QUOTA ? "has no quota left for" : "refuses",
			backend->credential->name, left_out);
	else if (out)
		log_warning("backend %s is taken out for %s: %s (%" PRIu64 " more were not logged)",
			backend->name, log_quote(exchange_kind(ex)).text,
			backend_outcome_name(outcome), left_out);
	else
		log_info("backend %s is in again for %s (%" PRIu64 " more were not logged)",
			backend->name, log_quote(exchange_kind(ex)).text, left_out);
}

static void exchange_tell_backend(struct exchange *ex, enum backend_outcome outcome)
{
	const struct config_backend *backend = ex->backend;
	struct choice_view view = pool_view(ex->worker->standing, slice_of_string(backend->name),
		exchange_kind(ex), clock_monotonic_ns());
	bool out = view.state >= BREAKER_HALF_OPEN;
	struct event event = {
		.time_ns = clock_realtime_ns(),
		.kind = SLICE("backend.state"),
		.action = out ? SLICE("out") : SLICE("in"),
		.outcome = out ? SLICE("failure") : SLICE("success"),
		.backend_name = slice_of_string(backend->name),
		.backend_region = slice_of_string(backend->region),
		.server_address = slice_of_string(ex->attempt.target.host),
		.azure_deployment = exchange_deployment(ex),
		.error_type = out ? slice_of_string(backend_outcome_name(outcome)) : SLICE_NONE,
	};

	counter_add(ex->worker->counters, out ? COUNTER_BACKEND_OUT : COUNTER_BACKEND_IN, 1);
	exchange_log_backend(ex, outcome, out);
	/* Nobody waits for it. */
	recorder_record(ex->worker->recorder, &event, NULL);
}

/* A backend that gives up a request of which it has not got all may have waited for its client in vain:
 * who is slow on purpose takes out no backend. */
static bool exchange_client_owes(const struct exchange *ex)
{
	return ex->phase == EXCHANGE_SENDING && ex->owed.side == ENDING_BY_CLIENT;
}

/* A 401 may be about a store of data that the call names, and that wants a credential of its own. */
static bool exchange_names_others(const struct exchange *ex)
{
	return ex->request.reader && reader_request_facts(ex->request.reader)->data_sources;
}

void exchange_backend_outcome(struct exchange *ex, enum backend_outcome outcome)
{
	struct exchange_pool *pool = &ex->pool;
	bool failed = outcome != BACKEND_ANSWERED && outcome != BACKEND_NONE;
	struct choice choice = pool->choice;

	if (!pool->entry || choice.member < 0)
		return;
	/* An answer that was begun, and is lost, is told once more; and a limit that turns out to be none
	 * that passes. */
	if (!pool->open && !(failed && pool->outcome == BACKEND_ANSWERED) &&
		!(outcome == BACKEND_QUOTA && pool->outcome == BACKEND_THROTTLED))
		return;
	if (outcome == BACKEND_QUOTA && pool->outcome == BACKEND_THROTTLED && pool->throttled)
		pool->throttled--;
	if ((outcome == BACKEND_LOST && exchange_client_owes(ex)) ||
		(outcome == BACKEND_CREDENTIAL && exchange_names_others(ex)))
		outcome = BACKEND_NONE;
	choice.probe = choice.probe && pool->open;
	pool->open = false;
	pool->outcome = outcome;
	pool->throttled += outcome == BACKEND_THROTTLED;
	if (pool_record(ex->worker->standing, &pool->entry->pool, &choice, exchange_kind(ex),
		    outcome, pool->has_reading ? &pool->reading : NULL, clock_monotonic_ns()))
		exchange_tell_backend(ex, outcome);
	pool->has_reading = false;
}

/* What a status says of the backend; of our credential only if it was ours. */
static enum backend_outcome outcome_of_status(
	int status, bool keyed, const struct operation *operation)
{
	switch (status) {
	case 408:
	case 500:
	case 502:
	case 503:
	case 504:
		return BACKEND_FAILED;
	case 429:
		return BACKEND_THROTTLED;
	case 401:
		/* A key may be good for models, and for nothing else. */
		if (keyed && operation && operation->stateless)
			return BACKEND_CREDENTIAL;
		/* fall through */
	case 403:
		return keyed ? BACKEND_FORBIDDEN : BACKEND_ANSWERED;
	default:
		return BACKEND_ANSWERED;
	}
}

/* Whether another backend may be asked after that: nothing is done twice that may have had an
 * effect, nothing after the client has got a part of an answer. */
static bool exchange_may_turn(const struct exchange *ex, enum backend_outcome outcome)
{
	const struct exchange_pool *pool = &ex->pool;

	if (!ex->client || ex->answer != ANSWER_NONE || !exchange_has_others(ex) ||
		!replay_is_whole(&ex->replay) ||
		ex->tries >= ex->worker->config->origin.attempts_max ||
		clock_monotonic_ns() - ex->started_ns >= pool->entry->retry_ns)
		return false;
	switch (outcome) {
	case BACKEND_UNREACHED:
	case BACKEND_THROTTLED:
	case BACKEND_CREDENTIAL:
	case BACKEND_QUOTA:
	case BACKEND_FORBIDDEN:
		return true;
	case BACKEND_FAILED:
	case BACKEND_SLOW:
	case BACKEND_LOST:
		return exchange_is_harmless(ex);
	default:
		return pool->asks_around || pool->spills;
	}
}

/* What is too long for the model that one PTU has is so for the others'. */
static uint64_t exchange_ptus(const struct exchange *ex)
{
	const struct pool_entry *entry = ex->pool.entry;
	uint64_t ptus = 0;

	for (unsigned i = 0; i < entry->pool.n; i++)
		if (entry->backends[i]->kind == CONFIG_KIND_PTU)
			ptus |= 1ULL << i;
	return ptus;
}

bool exchange_turn_away(struct exchange *ex, enum backend_outcome outcome)
{
	exchange_backend_outcome(ex, outcome);
	if (!exchange_may_turn(ex, outcome))
		return false;
	if (ex->pool.spills)
		ex->pool.tried |= exchange_ptus(ex);
	/* One that was not reached has nothing to bear. */
	if (outcome != BACKEND_UNREACHED &&
		!budget_spend(standing_budget(ex->worker->standing, ex->pool.entry->pool.name),
			clock_monotonic_ns())) {
		counter_add(ex->worker->counters, COUNTER_BACKEND_BUDGET, 1);
		return false;
	}
	if (!exchange_choose_backend(ex))
		return false;
	ex->attempt.record->outcome = outcome;
	counter_add(ex->worker->counters, COUNTER_BACKEND_TURNED, 1);
	ex->edit_known = EDIT_UNKNOWN; /* what the last one makes of it says nothing of this one */
	exchange_try_again(ex, ATTEMPT_ELSEWHERE);
	return true;
}

/* ---- the answer ---- */

void exchange_pool_head(struct exchange *ex, const struct head *head)
{
	struct exchange_pool *pool = &ex->pool;
	uint64_t now_s = clock_realtime_ns() / NS_PER_S;

	if (head->status == 401 && ex->credential.kind == CREDENTIAL_OURS && !exchange_names_others(ex))
		worker_credential_refused(ex->worker, ex->backend, &ex->credential);
	if (!pool->entry)
		return;
	pool->reading = (struct reading){0};
	pool->has_reading = true;
	for (size_t i = 0; i < head->nheaders; i++)
		reading_field(&pool->reading, head->headers[i].name, head->headers[i].value, now_s);
	pool->says = outcome_of_status(
		head->status, ex->credential.kind == CREDENTIAL_OURS, ex->match.operation);
	if (head->status == 408 && exchange_client_owes(ex))
		pool->says = BACKEND_ANSWERED;
	/* Who invents names of deployments gets no place for them. */
	if (pool->says == BACKEND_ANSWERED && head->status >= 300)
		pool->has_reading = false;
	/* Of one that tries a backend that was out the whole answer counts: it may be out for just that. */
	if (pool->says != BACKEND_ANSWERED &&
		!(pool->says == BACKEND_THROTTLED && pool->choice.probe))
		exchange_backend_outcome(ex, pool->says);
	pool->spills = head->status == 400 && pool->entry->spill_context &&
		       ex->backend->kind == CONFIG_KIND_PTU;
	pool->asks_around = head->status == 404 && pool->refers && pool->owner < 0;
}

static bool head_is_of(const struct head *head, struct slice type)
{
	const struct header *field = head_find(head, SLICE("content-type"));

	return field && slice_equal_nocase(slice_first(field->value, type.len), type);
}

static bool head_is_stream(const struct head *head)
{
	return head_is_of(head, SLICE("text/event-stream"));
}

bool exchange_pool_judges(const struct exchange *ex, const struct head *head)
{
	if (ex->phase != EXCHANGE_AWAITING || head->framing == HEAD_NO_BODY)
		return false;
	if (ex->pool.entry && (ex->pool.says != BACKEND_ANSWERED || ex->pool.asks_around || ex->pool.spills))
		return exchange_may_turn(ex, ex->pool.says);
	/* A stream may yet turn out to be an error; what is no stream may be lost before its end, and its
	 * client has no use of a part of it. */
	return head->status == 200 && ex->attempt.response.reader &&
	       (head_is_stream(head) || head_is_of(head, SLICE("application/json"))) &&
	       exchange_may_turn(ex, BACKEND_FAILED);
}

static const struct response_facts *answer_facts(const struct exchange *ex)
{
	const struct reader *reader = ex->attempt.response.reader;

	return reader ? response_reader_facts(reader_response(reader)) : NULL;
}

static bool answer_says(const struct exchange *ex, struct slice error)
{
	const struct response_facts *facts = answer_facts(ex);

	return facts && (slice_equal(facts->error_code, error) || slice_equal(facts->error_type, error));
}

/* What is paid for is used up, of our credential: it does not come back by waiting. */
static bool answer_is_out_of_quota(const struct exchange *ex)
{
	return ex->status == 429 && ex->credential.kind == CREDENTIAL_OURS &&
	       answer_says(ex, SLICE("insufficient_quota"));
}

/* A pause and a quota that is used up have the same status: what tells them apart comes behind. */
bool exchange_awaits_reason(const struct exchange *ex)
{
	return ex->pool.entry && ex->phase == EXCHANGE_JUDGING && ex->status == 429 &&
	       ex->credential.kind == CREDENTIAL_OURS && ex->pool.reason_late != ex->tries &&
	       answer_facts(ex) && !hold_is_full(&ex->attempt.hold);
}

enum exchange_judgement exchange_pool_judgement(const struct exchange *ex)
{
	const struct response_facts *facts = answer_facts(ex);

	if (!ex->pool.entry)
		return JUDGEMENT_OPEN;
	if (ex->pool.says != BACKEND_ANSWERED || ex->pool.asks_around)
		return JUDGEMENT_ERROR;
	if (ex->pool.spills)
		return answer_says(ex, SLICE("context_length_exceeded")) ? JUDGEMENT_ERROR
									 : JUDGEMENT_OPEN;
	if (ex->status != 200 || !facts)
		return JUDGEMENT_OPEN;
	if (head_is_stream(ex->attempt.head)) {
		if (facts->output_bytes)
			return JUDGEMENT_ANSWER;
		if (facts->has_error)
			return JUDGEMENT_ERROR;
	}
	return facts->complete || !facts->readable ? JUDGEMENT_ANSWER : JUDGEMENT_OPEN;
}

/* Of an answer that is no stream no more is held than what is in flight of any. */
bool exchange_pool_held_enough(const struct exchange *ex)
{
	return ex->status == 200 && !head_is_stream(ex->attempt.head) &&
	       buf_len(&ex->attempt.hold.body) > ex->worker->config->http.window;
}

enum backend_outcome exchange_judged_outcome(const struct exchange *ex)
{
	if (answer_is_out_of_quota(ex))
		return BACKEND_QUOTA;
	if (ex->pool.says != BACKEND_ANSWERED || ex->pool.asks_around || ex->pool.spills)
		return ex->pool.says;
	return BACKEND_FAILED;
}

/* Another backend has said something that helps the client more than this answer does. */
bool exchange_has_better(const struct exchange *ex)
{
	return ex->pool.entry && ex->pool.throttled && ex->pool.entry->pool.n > 1 &&
	       (ex->pool.says == BACKEND_FAILED || ex->pool.says == BACKEND_CREDENTIAL ||
		       ex->pool.says == BACKEND_FORBIDDEN);
}

/* The shortest time after which one of the backends may be asked, in ns; 0: it is not known. */
uint64_t exchange_pool_wait(const struct exchange *ex)
{
	const struct choice_query query = {
		.deployment = exchange_kind(ex), .tried = UINT64_MAX};

	if (!ex->pool.entry || ex->pool.entry->pool.n < 2)
		return 0;
	return pool_choose(ex->worker->standing, &ex->pool.entry->pool, &query,
		clock_monotonic_ns())
		.wait_ns;
}

uint64_t exchange_first_output_ns(const struct exchange *ex)
{
	const struct exchange_pool *pool = &ex->pool;
	double waited = ev_now(ex->worker->loop) - ex->awaited_since;
	uint64_t waited_ns = waited > 0 ? (uint64_t)(waited * (double)NS_PER_S) : 0;

	if (exchange_awaits_reason(ex))
		return REASON_NS;
	if (!pool->entry || !pool->entry->first_output_ns || pool->patient ||
		!exchange_may_turn(ex, BACKEND_SLOW))
		return 0;
	return pool->entry->first_output_ns > waited_ns ? pool->entry->first_output_ns - waited_ns : 1;
}

/* ---- the end ---- */

static enum backend_outcome outcome_of_ending(enum ending ending)
{
	switch (ending) {
	case ENDING_ORIGIN_TIMEOUT:
		return BACKEND_SLOW;
	case ENDING_ORIGIN_CLOSED:
	case ENDING_ORIGIN_LOST:
	case ENDING_RESPONSE_MALFORMED:
	case ENDING_TRUNCATED:
		return BACKEND_LOST;
	default:
		return BACKEND_NONE;
	}
}

void exchange_pool_close(struct exchange *ex)
{
	const struct response_facts *facts = answer_facts(ex);
	struct pool_used used;

	if (!ex->pool.entry || ex->pool.choice.member < 0)
		return;
	exchange_backend_outcome(ex,
		answer_is_out_of_quota(ex) ? BACKEND_QUOTA : outcome_of_ending(ex->ending));
	if (!facts || !facts->has_usage || !facts->has_input || exchange_spend(ex) != SPEND_NOW)
		return;
	used = (struct pool_used){
		facts->input_tokens, facts->output_tokens, facts->parts[USAGE_CACHE_READ].tokens};
	pool_usage(ex->worker->standing, &ex->pool.entry->pool, &ex->pool.choice,
		exchange_kind(ex), &used, clock_monotonic_ns());
}
