/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much a call counts: by its tokens, their classes, and the prices of the day. */
#ifndef POLICY_LIMIT_AMOUNT_H
#define POLICY_LIMIT_AMOUNT_H

#include "base/slice.h"
#include "policy/limit.h"

/* Cached ones are part of the input, and reasoning is part of the output. */
struct limit_tokens {
	uint64_t input, cached, output, reasoning;
};

/* The weighted sum, in thousandths; at most LIMIT_AMOUNT_MAX. */
uint64_t limit_amount_tokens(
	const struct limit_weights *weights, const struct limit_tokens *tokens);
/* The same of as many tokens, of the classes of which it is most. */
uint64_t limit_amount_tokens_most(
	const struct limit_weights *weights, const struct limit_tokens *tokens);

/* The price of the model on that day (days since 1970), served by that tier. NULL: none is known. */
const struct price *price_find(
	const struct limit_set *set, struct slice model, struct slice tier, uint32_t day);
/* In 1e-8 of the currency, rounded up, as above; 0: no price is known. */
uint64_t limit_amount_cost(const struct limit_set *set, struct slice model, struct slice tier,
	uint32_t day, const struct limit_tokens *tokens);
/* The same of as many tokens, of the classes, and by the tier of those that may serve a call that asks
 * for this one, of which it is most. */
uint64_t limit_amount_cost_most(const struct limit_set *set, struct slice model,
	struct slice tier, uint32_t day, const struct limit_tokens *tokens);

#endif
