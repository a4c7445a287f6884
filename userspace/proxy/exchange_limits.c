// SPDX-License-Identifier: GPL-2.0-or-later
/* How much may be asked: what a call can need is reserved before the last of it goes to an origin, and
 * what it has used is settled before it is recorded. */
#include "proxy/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "audit/event.h"
#include "audit/recorder.h"
#include "base/clock.h"
#include "policy/limits.h"

/* A client waits no longer than that of its own accord: then it is told not to try again. */
#define PATIENCE_MS 60000

struct exchange_limits {
	struct limit_holds holds;
	struct limit_refusal refusal; /* limit NULL: it was not refused */
	char who[LIMIT_WHO];	      /* of the refusal */
	uint64_t input;		      /* tokens, as they were estimated */
	const struct limit *shadow;
	char texts[LIMIT_FIELDS_MAX][32]; /* of the response's fields */
};

static uint64_t now_ms(void)
{
	return clock_realtime_ns() / NS_PER_MS;
}

/* ---- before it is sent ---- */

/* Tokens of output come from what generates; the rest is counted by its input alone. */
static bool generates(const struct operation *operation)
{
	return operation->family != FAMILY_NONE && operation->family != FAMILY_EMBEDDINGS &&
	       operation->family != FAMILY_MODERATION && !operation->counts_only;
}

static struct limit_call call_of(
	struct exchange *ex, size_t more, const struct address_text *address)
{
	const struct operation *operation = ex->match.operation;
	const struct policy_facts *facts = exchange_policy_facts(ex, more);
	struct limit_call call = {
		.facts = facts,
		.subject = facts->key_id.len   ? facts->key_id
			   : facts->object.len ? facts->object
					       : slice_of_string(address->text),
	};

	if (ex->request.reader && !operation->counts_only) {
		call.input = reader_estimate_request(ex->request.reader);
		call.generates = generates(operation);
	}
	return call;
}

/* "100000 tokens per minute", or "5 calls at once". */
static void describe(const struct limit *limit, char *text, size_t room)
{
	enum limit_measure measure = limit_measure_of(limit);
	uint64_t unit = limit_measure_unit(measure);

	if (measure == LIMIT_CONCURRENT)
		snprintf(text, room, "%" PRIu64 " calls at once", limit->concurrent);
	else if (measure == LIMIT_COST)
		snprintf(text, room, "a cost of %.2f per %s",
			(double)limit_most(limit) / (double)unit,
			limit_period_name(limit_period_of(limit)));
	else
		snprintf(text, room, "%" PRIu64 " %s per %s", limit_most(limit) / unit,
			limit_measure_name(measure), limit_period_name(limit_period_of(limit)));
}

static void explain(const struct limit_refusal *refusal, char *text, size_t room)
{
	uint64_t seconds = (refusal->wait_ms + 999) / 1000;
	uint64_t unit = limit_measure_unit(limit_measure_of(refusal->limit));
	char amount[96];

	describe(refusal->limit, amount, sizeof(amount));
	if (refusal->reason == LIMIT_TOO_MUCH)
		snprintf(text, room,
			"This call may need %" PRIu64 ", and the limit \"%s\" of your network is %s: send "
			"less, or allow a shorter answer.",
			(refusal->wanted + unit - 1) / unit, refusal->limit->name, amount);
	else if (refusal->limit->action == LIMIT_CUT_OFF && refusal->reason == LIMIT_USED_UP)
		snprintf(text, room,
			"The limit \"%s\" of your network (%s) is used up for the next %" PRIu64
			" seconds.",
			refusal->limit->name, amount, seconds);
	else
		snprintf(text, room,
			"The limit \"%s\" of your network (%s) is reached. Please retry after %" PRIu64
			" seconds.",
			refusal->limit->name, amount, seconds);
}

static bool refuse(struct exchange *ex)
{
	const struct limit_refusal *refusal = &ex->limits->refusal;
	enum ending ending = ENDING_LIMIT;
	char message[384];

	if (refusal->reason == LIMIT_TOO_MUCH)
		ending = ENDING_LIMIT_SMALL;
	else if (refusal->reason == LIMIT_USED_UP && refusal->limit->action == LIMIT_CUT_OFF)
		ending = ENDING_QUOTA;
	counter_add(ex->worker->counters,
		refusal->reason == LIMIT_CROWDED ? COUNTER_LIMIT_CROWDED : COUNTER_LIMIT_REFUSED, 1);
	explain(refusal, message, sizeof(message));
	if (refusal->reason != LIMIT_TOO_MUCH)
		ex->pool.wait_ns = refusal->wait_ms * NS_PER_MS;
	exchange_fail(ex, ending, &(struct ending_detail){NULL, message, 0});
	return true;
}

static int reserve(struct exchange *ex, size_t more)
{
	struct address_text address = address_format(&ex->source.address);
	struct limit_call call = call_of(ex, more, &address);
	struct exchange_limits *l = calloc(1, sizeof(*l));
	struct buf who = BUF_EMPTY;
	int error;

	if (!l)
		return -ENOMEM;
	ex->limits = l;
	l->input = call.input;
	error = limits_reserve(ex->worker->policy.limits, &call, now_ms(), &l->holds, &l->refusal);
	l->shadow = l->holds.shadow;
	if (error == -EDQUOT && limit_who(l->refusal.limit, &call, &who) == 0)
		snprintf(l->who, sizeof(l->who), "%.*s", SLICE_ARG(buf_slice(&who)));
	buf_free(&who);
	return error;
}

bool exchange_limits_take(struct exchange *ex, size_t more)
{
	int error;

	if (ex->limits || !limits_any(ex->worker->policy.limits))
		return false;
	error = reserve(ex, more);
	if (error == -EDQUOT)
		return refuse(ex);
	if (error) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return true;
	}
	if (ex->limits->shadow)
		counter_add(ex->worker->counters, COUNTER_LIMIT_SHADOWED, 1);
	return false;
}

void exchange_limits_send(struct exchange *ex)
{
	if (ex->limits)
		limits_send(ex->worker->policy.limits, &ex->limits->holds);
}

/* ---- when it is over ---- */

static void tell_alert(
	void *context, const struct limit_hold *hold, unsigned percent, uint64_t used)
{
	struct exchange *ex = context;
	double unit = (double)limit_measure_unit(limit_measure_of(hold->limit));
	struct event event = {
		.time_ns = clock_realtime_ns(),
		.kind = SLICE("limit.alert"),
		.action = SLICE("alert"),
		.outcome = SLICE("success"),
		.limit_name = slice_of_string(hold->limit->name),
		.limit_who = slice_of_string(hold->row->who),
		.limit_percent = event_number(percent),
		.limit_used = event_real((double)used / unit),
		.limit_most = event_real((double)limit_most(hold->limit) / unit),
	};

	counter_add(ex->worker->counters, COUNTER_LIMIT_ALERTED, 1);
	/* Nobody waits for it. */
	recorder_record(ex->worker->recorder, &event, NULL);
}

/* What the provider says; else what the event estimates, as the model makes tokens of it. */
static void take_usage(struct exchange *ex, struct limit_spent *spent)
{
	struct reader *response = ex->attempt.response.reader;
	const struct response_facts *facts =
		response ? response_reader_facts(reader_response(response)) : NULL;
	uint64_t ratio;

	if (response)
		reader_conclude(response);
	if (exchange_spend(ex) == SPEND_AGAIN || exchange_spend(ex) == SPEND_NONE)
		return;
	if (facts && facts->has_usage) {
		spent->tokens = (struct limit_tokens){
			.input = facts->input_tokens,
			.cached = facts->parts[USAGE_CACHE_READ].tokens,
			.output = facts->output_tokens,
			.reasoning = facts->parts[USAGE_REASONING].tokens,
		};
		if (facts->has_input && ex->limits->input)
			limit_table_learn(ex->worker->policy.limit_table, spent->model,
				ex->limits->input, facts->input_tokens);
		return;
	}
	if (!exchange_was_served(ex) || (facts && facts->has_seconds))
		return;
	ratio = limit_table_ratio(ex->worker->policy.limit_table, spent->model);
	spent->tokens.input = ex->limits->input * ratio / 1024;
	spent->tokens.output = facts ? response_estimate_tokens(reader_response(response)) : 0;
}

void exchange_limits_settle(struct exchange *ex)
{
	const struct limits_user user = {tell_alert, ex};
	struct exchange_limits *l = ex->limits;
	const struct policy_facts *facts;
	struct limit_spent spent;

	if (!l || !l->holds.n)
		return;
	facts = exchange_policy_facts(ex, 0);
	spent = (struct limit_spent){
		.made = l->holds.list[0].sent,
		.success = ex->ending == ENDING_NONE && ex->status >= 200 && ex->status <= 299,
		/* What goes on at the service after its answer is told to nobody who asks here. */
		.unknown = exchange_spend(ex) == SPEND_LATER,
		.model = facts->deployment.len ? facts->deployment : facts->model,
		.tier = facts->service_tier,
		.bytes = replay_end(&ex->replay) + ex->response_bytes,
	};
	if (ex->attempt.response.reader) {
		const struct response_facts *said =
			response_reader_facts(reader_response(ex->attempt.response.reader));

		if (said->service_tier.len)
			spent.tier = said->service_tier;
	}
	take_usage(ex, &spent);
	limits_settle(ex->worker->policy.limits, &l->holds, &spent, now_ms(), &user);
}

void exchange_limits_free(struct exchange *ex)
{
	static const struct limit_spent nothing;
	static const struct limits_user nobody;

	if (!ex->limits)
		return;
	limits_settle(ex->worker->policy.limits, &ex->limits->holds, &nothing, now_ms(), &nobody);
	free(ex->limits);
	ex->limits = NULL;
}

/* ---- telling the client ---- */

struct put {
	struct exchange_limits *limits;
	struct header *at;
	size_t n;
	bool azure;
};

static void put(struct put *f, const char *name, const char *format, ...)
{
	va_list list;

	if (f->n == LIMIT_FIELDS_MAX)
		return;
	va_start(list, format);
	vsnprintf(f->limits->texts[f->n], sizeof(f->limits->texts[0]), format, list);
	va_end(list);
	f->at[f->n] = (struct header){
		.name = slice_of_string(name), .value = slice_of_string(f->limits->texts[f->n])};
	f->n++;
}

/* As the provider writes it: "6m0s", "1.2s"; Azure has whole seconds. */
static void put_reset(struct put *f, const char *name, uint64_t ms)
{
	if (f->azure)
		put(f, name, "%" PRIu64, (ms + 999) / 1000);
	else if (ms < 1000)
		put(f, name, "%" PRIu64 "ms", ms);
	else if (ms < 60000)
		put(f, name, "%" PRIu64 "s", (ms + 999) / 1000);
	else
		put(f, name, "%" PRIu64 "m%" PRIu64 "s", (ms + 999) / 60000, (ms + 999) / 1000 % 60);
}

static void put_amount(
	struct put *f, const char *name, enum limit_measure measure, uint64_t amount)
{
	uint64_t unit = limit_measure_unit(measure);

	if (measure == LIMIT_COST)
		put(f, name, "%" PRIu64 ".%04" PRIu64, amount / unit, amount % unit / (unit / 10000));
	else
		put(f, name, "%" PRIu64, amount / unit);
}

static void put_ratelimit(
	struct put *f, enum limit_measure measure, const struct limit_standing *s)
{
	static const char *const names[2][3] = {
		{"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
			"x-ratelimit-reset-requests"},
		{"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
			"x-ratelimit-reset-tokens"}};
	uint64_t taken = s->used + s->reserved;

	if (measure != LIMIT_REQUESTS && measure != LIMIT_TOKENS)
		return;
	put_amount(f, names[measure == LIMIT_TOKENS][0], measure, s->most);
	put_amount(f, names[measure == LIMIT_TOKENS][1], measure,
		taken < s->most ? s->most - taken : 0);
	put_reset(f, names[measure == LIMIT_TOKENS][2], s->resets_ms);
}

/* The hold of that measure of which least is left, of those that are told. */
static const struct limit_hold *tightest(
	const struct exchange *ex, enum limit_measure measure, struct limit_standing *standing)
{
	const struct limit_hold *found = NULL;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < ex->limits->holds.n; i++) {
		const struct limit_hold *hold = &ex->limits->holds.list[i];
		struct limit_standing s;
		uint64_t left;

		if (!hold->limit->tell || limit_measure_of(hold->limit) != measure)
			continue;
		s = limits_standing(ex->worker->policy.limits, hold, now_ms());
		left = s.most > s.used + s.reserved ? s.most - s.used - s.reserved : 0;
		if (found && left >= least)
			continue;
		found = hold;
		least = left;
		*standing = s;
	}
	return found;
}

static void put_standing(
	struct put *f, enum limit_measure measure, const struct limit_standing *s)
{
	static const char *const names[LIMIT_MEASURES][2] = {
		{"x-sallyport-consumed-requests", "x-sallyport-remaining-requests"},
		{"x-sallyport-consumed-tokens", "x-sallyport-remaining-tokens"},
		{"x-sallyport-consumed-cost", "x-sallyport-remaining-cost"},
		{"x-sallyport-consumed-bytes", "x-sallyport-remaining-bytes"},
		{"x-sallyport-consumed-concurrent", "x-sallyport-remaining-concurrent"}};
	uint64_t taken = s->used + s->reserved;

	put_amount(f, names[measure][0], measure, taken);
	put_amount(f, names[measure][1], measure, taken < s->most ? s->most - taken : 0);
	put_ratelimit(f, measure, s);
}

size_t exchange_limits_fields(struct exchange *ex, struct header *at)
{
	struct put f = {ex->limits, at, 0, ex->match.dialect == DIALECT_AZURE};
	const struct limit_refusal *refusal;
	struct limit_standing standing;

	if (!ex->limits)
		return 0;
	refusal = &ex->limits->refusal;
	if (refusal->limit) {
		standing = (struct limit_standing){
			refusal->most, refusal->used, refusal->reserved, refusal->wait_ms};
		put_ratelimit(&f, limit_measure_of(refusal->limit), &standing);
		return f.n;
	}
	for (int measure = 0; measure < LIMIT_MEASURES; measure++)
		if (tightest(ex, (enum limit_measure)measure, &standing))
			put_standing(&f, (enum limit_measure)measure, &standing);
	return f.n;
}

bool exchange_limits_hide(const struct exchange *ex, struct slice name)
{
	if (!ex->limits || !slice_starts_with_nocase(name, SLICE("x-ratelimit-")))
		return false;
	for (size_t i = 0; i < ex->limits->holds.n; i++)
		if (ex->limits->holds.list[i].limit->tell)
			return true;
	return false;
}

bool exchange_limits_final(const struct exchange *ex)
{
	return ex->limits && ex->limits->refusal.limit &&
	       ex->limits->refusal.wait_ms > PATIENCE_MS;
}

/* ---- the record ---- */

void exchange_limits_event(const struct exchange *ex, struct event *event)
{
	const struct exchange_limits *l = ex->limits;
	double unit;

	if (!l)
		return;
	if (l->shadow)
		event->limit_shadow = slice_of_string(l->shadow->name);
	if (!l->refusal.limit)
		return;
	unit = (double)limit_measure_unit(limit_measure_of(l->refusal.limit));
	event->limit_name = slice_of_string(l->refusal.limit->name);
	event->limit_who = slice_of_string(l->who);
	event->limit_used =
		event_real((double)(l->refusal.used + l->refusal.reserved) / unit);
	event->limit_most = event_real((double)l->refusal.most / unit);
}
