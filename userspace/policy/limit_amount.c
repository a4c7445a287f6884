// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/limit_amount.h"

#include "policy/limit_word.h"

#define MILLION UINT64_C(1000000)
/* A price of ten-thousandths for a million tokens is so many 1e-8 for ten thousand. */
#define COST_TOKENS 10000u

enum limit_measure limit_measure_of(const struct limit *l)
{
	return l->requests ? LIMIT_REQUESTS
	       : l->tokens ? LIMIT_TOKENS
	       : l->cost   ? LIMIT_COST
	       : l->bytes  ? LIMIT_BYTES
			   : LIMIT_CONCURRENT;
}

enum limit_period limit_period_of(const struct limit *l)
{
	return l->concurrent ? LIMIT_AT_ONCE : (enum limit_period)l->every;
}

uint64_t limit_most(const struct limit *l)
{
	return l->requests ? l->requests
	       : l->tokens ? l->tokens * 1000
	       : l->cost   ? l->cost * 10000
	       : l->bytes  ? l->bytes
			   : l->concurrent;
}

/* ---- sums ---- */

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) || product > LIMIT_AMOUNT_MAX * 1024
		       ? LIMIT_AMOUNT_MAX * 1024
		       : product;
}

static uint64_t capped(uint64_t amount)
{
	return amount < LIMIT_AMOUNT_MAX ? amount : LIMIT_AMOUNT_MAX;
}

static uint64_t more(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Every token counts by the rate of its class. */
static uint64_t sum(const struct limit_weights *rates, const struct limit_tokens *t)
{
	uint64_t cached = t->cached < t->input ? t->cached : t->input;
	uint64_t reasoning = t->reasoning < t->output ? t->reasoning : t->output;

	return times(t->input - cached, rates->input) + times(cached, rates->cached) +
	       times(t->output - reasoning, rates->output) + times(reasoning, rates->reasoning);
}

static struct limit_weights worst(const struct limit_weights *rates)
{
	uint64_t input = more(rates->input, rates->cached);
	uint64_t output = more(rates->output, rates->reasoning);

	return (struct limit_weights){input, input, output, output};
}

/* Of ten-thousandths, rounded up. */
static uint64_t thousandths(uint64_t total)
{
	return capped(total / 10 + (total % 10 != 0));
}

uint64_t limit_amount_tokens(
	const struct limit_weights *weights, const struct limit_tokens *tokens)
{
	return thousandths(sum(weights, tokens));
}

uint64_t limit_amount_tokens_most(
	const struct limit_weights *weights, const struct limit_tokens *tokens)
{
	struct limit_weights most = worst(weights);

	return thousandths(sum(&most, tokens));
}

/* ---- prices ---- */

static bool any_fits(char *const *patterns, size_t n, struct slice text)
{
	for (size_t i = 0; i < n; i++)
		if (slice_matches(slice_of_string(patterns[i]), text))
			return true;
	return false;
}

const struct price *price_find(
	const struct limit_set *set, struct slice model, struct slice tier, uint32_t day)
{
	/* A call without a model is one of those that "*" is for. */
	struct slice name = model.len ? model : SLICE("-");

	for (size_t i = 0; i < set->nprices; i++) {
		const struct price *p = &set->prices[i];

		if (p->from <= day && any_fits(p->models, p->nmodels, name) &&
			(!p->ntiers || any_fits(p->tiers, p->ntiers, tier)))
			return p;
	}
	return NULL;
}

static struct limit_weights rates_of(const struct price *p)
{
	struct limit_weights rates = {.input = p->input - 1, .output = p->output - 1};

	rates.cached = p->cached ? p->cached - 1 : rates.input;
	rates.reasoning = p->reasoning ? p->reasoning - 1 : rates.output;
	return rates;
}

static uint64_t cost(const struct limit_weights *rates, const struct limit_tokens *tokens)
{
	uint64_t total = sum(rates, tokens);

	return capped(total / (MILLION / COST_TOKENS) + (total % (MILLION / COST_TOKENS) != 0));
}

/* What serves a call unless the answer says otherwise. */
static struct slice served(struct slice tier)
{
	return tier.len && !slice_equal(tier, SLICE("auto")) ? tier : SLICE("default");
}

uint64_t limit_amount_cost(const struct limit_set *set, struct slice model, struct slice tier,
	uint32_t day, const struct limit_tokens *tokens)
{
	const struct price *p = price_find(set, model, served(tier), day);
	struct limit_weights rates;

	if (!p)
		return 0;
	rates = rates_of(p);
	return cost(&rates, tokens);
}

static uint64_t cost_most(const struct limit_set *set, struct slice model, struct slice tier,
	uint32_t day, const struct limit_tokens *tokens)
{
	const struct price *p = price_find(set, model, tier, day);
	struct limit_weights rates;

	if (!p)
		return 0;
	rates = rates_of(p);
	rates = worst(&rates);
	return cost(&rates, tokens);
}

uint64_t limit_amount_cost_most(const struct limit_set *set, struct slice model,
	struct slice tier, uint32_t day, const struct limit_tokens *tokens)
{
	uint64_t most = more(cost_most(set, model, served(tier), day, tokens),
		/* What the service may serve it by where that tier has no room. */
		cost_most(set, model, SLICE("default"), day, tokens));
	bool open = !tier.len || slice_equal(tier, SLICE("auto"));

	for (size_t i = 0; open && i < set->nprices; i++) {
		const struct price *p = &set->prices[i];

		for (size_t k = 0; k < p->ntiers; k++)
			most = more(most, cost_most(set, model, slice_of_string(p->tiers[k]), day,
						  tokens));
	}
	return most;
}
