// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/budget.h"

#include "base/clock.h"

#define ATTEMPT 1000u /* thousandths of one */

/* The balance is kept plus one: 0 is a budget that was never used, which is full. */
static uint64_t balance_of(uint64_t kept)
{
	return kept ? kept - 1 : (uint64_t)BUDGET_MOST * ATTEMPT;
}

static void budget_add(struct standing_budget *budget, uint64_t thousandths)
{
	uint64_t before = atomic_load(&budget->balance), after;

	do {
		after = balance_of(before) + thousandths;
		if (after > (uint64_t)BUDGET_MOST * ATTEMPT)
			after = (uint64_t)BUDGET_MOST * ATTEMPT;
	} while (!atomic_compare_exchange_weak(&budget->balance, &before, after + 1));
}

/* What time has brought since somebody asked last. */
static void budget_fill(struct standing_budget *budget, uint64_t now_ns)
{
	uint64_t before = atomic_load(&budget->filled_ns);
	uint64_t each_ns = NS_PER_S / BUDGET_PER_S, n;

	if (!before || now_ns <= before) {
		if (!before)
			atomic_compare_exchange_strong(&budget->filled_ns, &before, now_ns);
		return;
	}
	n = (now_ns - before) / each_ns;
	if (!n || !atomic_compare_exchange_strong(&budget->filled_ns, &before, before + n * each_ns))
		return; /* too early, or another worker does it */
	budget_add(budget, (n < BUDGET_MOST ? n : BUDGET_MOST) * ATTEMPT);
}

void budget_earn(struct standing_budget *budget, uint32_t percent, uint64_t now_ns)
{
	budget_fill(budget, now_ns);
	budget_add(budget, (uint64_t)percent * ATTEMPT / 100);
}

bool budget_spend(struct standing_budget *budget, uint64_t now_ns)
{
	uint64_t before;

	budget_fill(budget, now_ns);
	before = atomic_load(&budget->balance);
	do {
		if (balance_of(before) < ATTEMPT) {
			atomic_fetch_add(&budget->refused, 1);
			return false;
		}
	} while (!atomic_compare_exchange_weak(
		&budget->balance, &before, balance_of(before) - ATTEMPT + 1));
	return true;
}
