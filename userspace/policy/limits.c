// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/condition.h"
#include "policy/limit_word.h"

/* Beside the estimate: an eighth, and what a template of messages adds. */
#define MARGIN_PART 8
#define MARGIN	    16
/* After which it is worth another try, where that depends on others. */
#define SOON_MS	    1000
#define CROWDED_MS  100
#define DAY_S	    86400
/* A row may be given away between looking for it and asking there. */
#define ROW_TRIES 4

struct limits {
	const struct limit_set *set;
	struct limit_table *table;
	uint32_t worker;
	struct limit_window windows[LIMIT_PERIODS];
	struct buf who; /* scratch */
};

struct limits *limits_new(const struct limit_set *set, struct limit_table *table, uint32_t worker)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (limits) {
		limits->set = set;
		limits->table = table;
		limits->worker = worker;
	}
	return limits;
}

void limits_free(struct limits *limits)
{
	if (!limits)
		return;
	buf_free(&limits->who);
	free(limits);
}

bool limits_any(const struct limits *limits)
{
	return limits->set->nlimits > 0;
}

/* ---- which limits ---- */

bool limit_counts(const struct limit *limit, const struct policy_facts *facts)
{
	return condition_all(&limit->when, facts, true) != FIT_NO;
}

/* ---- whom they count ---- */

static struct slice model_of(const struct policy_facts *f)
{
	return f->deployment.len ? f->deployment : f->model;
}

/* Of several the first that the limit names, in its order. */
static struct slice group_of(const struct limit *limit, const struct policy_facts *f)
{
	for (size_t i = 0; i < limit->when.ngroups; i++)
		for (size_t k = 0; k < f->ngroups; k++)
			if (slice_matches(slice_of_string(limit->when.groups[i]), f->groups[k]))
				return f->groups[k];
	return f->ngroups ? f->groups[0] : SLICE_NONE;
}

/* A name as a part of a text, which can be no two parts; letters without case. */
static int put_part(struct buf *text, const char *kind, struct slice name)
{
	int error = buf_printf(text, "%s%s=", buf_len(text) ? " " : "", kind) < 0 ? -ENOMEM : 0;

	for (size_t i = 0; i < name.len && !error; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c + ('a' - 'A'));
		if (c <= ' ' || c == '%' || c == 0x7f)
			error = buf_printf(text, "%%%02x", c) < 0 ? -ENOMEM : 0;
		else
			error = buf_append(text, &c, 1);
	}
	return error;
}

int limit_who(const struct limit *limit, const struct limit_call *call, struct buf *text)
{
	const struct policy_facts *f = call->facts;
	struct address_text address = address_format(&f->source);
	int error = 0;

	for (size_t i = 0; i < limit->nper && !error; i++)
		switch ((enum limit_per)limit->per[i]) {
		case LIMIT_PER_SUBJECT:
			error = put_part(text, "subject", call->subject);
			break;
		case LIMIT_PER_GROUP:
			error = put_part(text, "group", group_of(limit, f));
			break;
		case LIMIT_PER_ADDRESS:
			error = put_part(text, "address", slice_of_string(address.text));
			break;
		case LIMIT_PER_MODEL:
			error = put_part(text, "model", model_of(f));
			break;
		case LIMIT_PER_OPERATION:
			error = put_part(text, "operation", f->operation);
			break;
		case LIMIT_PER_HOST:
			error = put_part(text, "host", f->host);
			break;
		}
	return error;
}

/* ---- how much ---- */

static uint32_t day_of(uint64_t now_ms)
{
	return (uint32_t)(now_ms / 1000 / DAY_S);
}

/* The most tokens that a call can need of a limit. */
static struct limit_tokens tokens_most(
	const struct limits *limits, const struct limit *limit, const struct limit_call *call)
{
	const struct policy_facts *f = call->facts;
	struct limit_tokens tokens = {0};
	uint64_t ratio;

	if (call->input) {
		ratio = limit_table_ratio(limits->table, model_of(f));
		tokens.input = call->input * ratio / 1024;
		tokens.input += tokens.input / MARGIN_PART + MARGIN;
	}
	if (call->generates && f->output_given)
		tokens.output = f->output;
	else if (call->generates && __builtin_mul_overflow(limit->output,
				     f->choices ? f->choices : 1, &tokens.output))
		tokens.output = UINT64_MAX;
	return tokens;
}

static uint64_t amount_of(const struct limits *limits, const struct limit *limit,
	const struct limit_call *call, uint64_t now_ms)
{
	const struct policy_facts *f = call->facts;
	struct limit_tokens tokens;

	switch (limit_measure_of(limit)) {
	case LIMIT_TOKENS:
		tokens = tokens_most(limits, limit, call);
		return limit_amount_tokens_most(&limit->weight, &tokens);
	case LIMIT_COST:
		tokens = tokens_most(limits, limit, call);
		return limit_amount_cost_most(limits->set, model_of(f), f->service_tier,
			day_of(now_ms), &tokens);
	case LIMIT_BYTES:
		return f->size;
	default:
		return 1;
	}
}

static uint64_t amount_spent(const struct limits *limits, const struct limit_hold *hold,
	const struct limit_spent *spent, uint64_t now_ms)
{
	const struct limit *limit = hold->limit;
	enum limit_measure measure = limit_measure_of(limit);

	if (!spent->made || measure == LIMIT_CONCURRENT ||
		(limit->count == LIMIT_COUNT_SUCCESS && !spent->success))
		return 0;
	if (measure == LIMIT_REQUESTS)
		return hold->amount;
	if (measure == LIMIT_BYTES)
		return spent->bytes;
	if (spent->unknown)
		return hold->amount;
	if (measure == LIMIT_TOKENS)
		return limit_amount_tokens(&limit->weight, &spent->tokens);
	return limit_amount_cost(
		limits->set, spent->model, spent->tier, day_of(now_ms), &spent->tokens);
}

/* ---- reserving ---- */

static uint64_t until(const struct limit_window *window, uint64_t now_ms)
{
	uint64_t ends_ms = window->ends_s * 1000;

	return ends_ms > now_ms ? ends_ms - now_ms : 1;
}

static int refuse(struct limits *limits, const struct limit_hold *hold, enum limit_reason reason,
	uint64_t now_ms, struct limit_refusal *refusal)
{
	struct limit_sum sum = {0, 0};
	bool at_once = limit_period_of(hold->limit) == LIMIT_AT_ONCE;

	if (hold->row)
		sum = limit_row_sum(
			hold->row, limit_table_workers(limits->table), hold->window.epoch);
	*refusal = (struct limit_refusal){
		.limit = hold->limit,
		.reason = reason,
		.wanted = hold->amount,
		.most = limit_most(hold->limit),
		.used = sum.used,
		.reserved = sum.reserved,
		.wait_ms = reason == LIMIT_CROWDED ? CROWDED_MS
			   : at_once		   ? SOON_MS
						   : until(&hold->window, now_ms),
	};
	/* What others have reserved may be given back any moment. */
	if (reason == LIMIT_USED_UP && !at_once && sum.used + hold->amount <= refusal->most &&
		refusal->wait_ms > SOON_MS)
		refusal->wait_ms = SOON_MS;
	return -EDQUOT;
}

/* What it would have been refused for is taken as well: it is used. */
static bool shadowed(const struct limits *limits, const struct limit_hold *hold)
{
	struct limit_sum sum = limit_row_sum(
		hold->row, limit_table_workers(limits->table), hold->epoch);

	return sum.used + sum.reserved > limit_most(hold->limit);
}

static enum limit_answer ask(struct limits *limits, struct limit_hold *hold,
	const struct limit_key *key, uint64_t now_s)
{
	enum limit_answer answer = LIMIT_GONE;
	struct limit_ask ask = {
		.worker = limits->worker,
		.workers = limit_table_workers(limits->table),
		.epoch = hold->window.epoch,
		.amount = hold->amount,
		.most = hold->limit->action == LIMIT_SHADOW ? UINT64_MAX
							     : limit_most(hold->limit),
	};
	bool shared;

	for (int i = 0; i < ROW_TRIES && answer == LIMIT_GONE; i++) {
		hold->row = limit_table_take(limits->table, limits->worker, key, now_s,
			key->period == LIMIT_AT_ONCE ? now_s : hold->window.ends_s, &shared);
		if (!hold->row)
			return LIMIT_BUSY;
		hold->key = ask.key = atomic_load(&hold->row->key);
		answer = limit_row_reserve(hold->row, &ask, &hold->epoch);
	}
	return answer;
}

/* 0, -EDQUOT or -ENOMEM. */
static int reserve_one(struct limits *limits, const struct limit_call *call, uint64_t now_ms,
	struct limit_hold *hold, struct limit_refusal *refusal)
{
	const struct limit *limit = hold->limit;
	struct limit_key key = {
		.limit = slice_of_string(limit->name),
		.measure = limit_measure_of(limit),
		.period = limit_period_of(limit),
	};

	limit_window_move(key.period, now_ms / 1000, &limits->windows[key.period]);
	hold->window = limits->windows[key.period];
	buf_clear(&limits->who);
	if (limit_who(limit, call, &limits->who))
		return -ENOMEM;
	key.who = buf_slice(&limits->who);
	if (limits->worker == LIMIT_NOBODY)
		return refuse(limits, hold, LIMIT_CROWDED, now_ms, refusal);
	if (limit->action != LIMIT_SHADOW && hold->amount > limit_most(limit))
		return refuse(limits, hold, LIMIT_TOO_MUCH, now_ms, refusal);
	switch (ask(limits, hold, &key, now_ms / 1000)) {
	case LIMIT_TAKEN:
		return 0;
	case LIMIT_REFUSED:
		return refuse(limits, hold, LIMIT_USED_UP, now_ms, refusal);
	default:
		return refuse(limits, hold, LIMIT_CROWDED, now_ms, refusal);
	}
}

/* Its row is there still: that of a period that is over may have been given away. */
static bool is_there(const struct limit_hold *hold)
{
	return atomic_load(&hold->row->key) == hold->key;
}

static void give_back(struct limits *limits, struct limit_holds *holds)
{
	for (size_t i = 0; i < holds->n; i++) {
		const struct limit_hold *hold = &holds->list[i];

		if (is_there(hold))
			limit_row_settle(hold->row, limits->worker, hold->epoch, hold->amount,
				hold->sent, 0);
	}
	free(holds->list);
	*holds = (struct limit_holds){.list = NULL};
}

/* 0, -EDQUOT or -ENOMEM. */
static int add(struct limits *limits, const struct limit *limit, const struct limit_call *call,
	uint64_t now_ms, struct limit_holds *holds, struct limit_refusal *refusal)
{
	struct limit_hold hold = {
		.limit = limit, .amount = amount_of(limits, limit, call, now_ms)};
	struct limit_hold *list;
	int error;

	/* A call that has no tokens, and none that cost anything, is not held up for them. */
	if (!hold.amount && (limit->tokens || limit->cost))
		return 0;
	list = reallocarray(holds->list, holds->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	holds->list = list;
	error = reserve_one(limits, call, now_ms, &hold, refusal);
	if (error)
		return error;
	if (limit->action == LIMIT_SHADOW && !holds->shadow && shadowed(limits, &hold))
		holds->shadow = limit;
	list[holds->n++] = hold;
	return 0;
}

int limits_reserve(struct limits *limits, const struct limit_call *call, uint64_t now_ms,
	struct limit_holds *holds, struct limit_refusal *refusal)
{
	const struct limit_set *set = limits->set;
	int error = 0;

	*holds = (struct limit_holds){.list = NULL};
	for (size_t i = 0; i < set->nlimits && !error; i++)
		if (limit_counts(&set->limits[i], call->facts))
			error = add(limits, &set->limits[i], call, now_ms, holds, refusal);
	if (error)
		give_back(limits, holds);
	return error;
}

void limits_send(struct limits *limits, struct limit_holds *holds)
{
	for (size_t i = 0; i < holds->n; i++) {
		struct limit_hold *hold = &holds->list[i];

		if (!hold->sent && is_there(hold))
			limit_row_send(hold->row, limits->worker, hold->epoch, hold->amount);
		hold->sent = true;
	}
}

/* ---- settling ---- */

/* Tells the highest threshold that was passed, unless somebody has told it in this period. */
static void alert(const struct limits *limits, const struct limit_hold *hold,
	const struct limits_user *user)
{
	const struct limit *limit = hold->limit;
	uint64_t used = limit_row_sum(hold->row, limit_table_workers(limits->table), hold->epoch)
				.used;
	uint64_t percent = used / ((limit_most(limit) + 99) / 100), told;
	uint32_t passed = 0;

	if (limit_most(limit) < UINT64_MAX / 100)
		percent = used * 100 / limit_most(limit);
	for (size_t i = 0; i < limit->nalert; i++)
		if (limit->alert[i] <= percent && limit->alert[i] > passed)
			passed = limit->alert[i];
	told = atomic_load(&hold->row->alerted);
	while (passed > limit_word_in(told, hold->epoch))
		if (atomic_compare_exchange_weak(
			    &hold->row->alerted, &told, limit_word(hold->epoch, passed))) {
			user->alert(user->context, hold, passed, used);
			return;
		}
}

void limits_settle(struct limits *limits, struct limit_holds *holds,
	const struct limit_spent *spent, uint64_t now_ms, const struct limits_user *user)
{
	for (size_t i = 0; i < holds->n; i++) {
		const struct limit_hold *hold = &holds->list[i];
		uint64_t used = amount_spent(limits, hold, spent, now_ms);

		if (!is_there(hold))
			continue;
		limit_row_settle(
			hold->row, limits->worker, hold->epoch, hold->amount, hold->sent, used);
		if (used && hold->limit->nalert)
			alert(limits, hold, user);
	}
	free(holds->list);
	*holds = (struct limit_holds){.list = NULL};
}

/* ---- telling ---- */

struct limit_standing limits_standing(
	const struct limits *limits, const struct limit_hold *hold, uint64_t now_ms)
{
	struct limit_sum sum = limit_row_sum(
		hold->row, limit_table_workers(limits->table), hold->epoch);

	return (struct limit_standing){
		.most = limit_most(hold->limit),
		.used = sum.used,
		.reserved = sum.reserved,
		.resets_ms = limit_period_of(hold->limit) == LIMIT_AT_ONCE
				     ? 0
				     : until(&hold->window, now_ms),
	};
}
