// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/limit_row.h"

#include "policy/limit_word.h"

/* A test looks at all orders in which the steps of several workers can follow each other. */
#ifndef LIMIT_STEP
#include <sched.h>
#define LIMIT_STEP()  ((void)0)
#define LIMIT_PAUSE() ((void)sched_yield())
#define LIMIT_TRIES   4096
#endif
#define LIMIT_LOOKS 64 /* until the processor is left to others */

static uint64_t get(const _Atomic uint64_t *word)
{
	LIMIT_STEP();
	return atomic_load(word);
}

static void put(_Atomic uint64_t *word, uint64_t value)
{
	LIMIT_STEP();
	atomic_store(word, value);
}

static bool swap(_Atomic uint64_t *word, uint64_t from, uint64_t to)
{
	LIMIT_STEP();
	return atomic_compare_exchange_strong(word, &from, to);
}

/* ---- cells ---- */

static void cell_add(_Atomic uint64_t *cell, uint16_t epoch, uint64_t amount)
{
	put(cell, limit_word(epoch, limit_word_in(get(cell), epoch) + amount));
}

/* What is of another period counts nowhere any more. */
static void cell_take(_Atomic uint64_t *cell, uint16_t epoch, uint64_t amount)
{
	uint64_t has = get(cell), left = limit_word_in(has, epoch);

	if (limit_word_epoch(has) == epoch)
		put(cell, limit_word(epoch, left > amount ? left - amount : 0));
}

/* To what all have used, unless that is of another period. */
static void charge(struct limit_row *row, uint16_t epoch, uint64_t amount)
{
	uint64_t used = get(&row->used);

	while (limit_word_epoch(used) == epoch &&
		!swap(&row->used, used, limit_word(epoch, limit_word_in(used, epoch) + amount)))
		used = get(&row->used);
}

/* ---- looking ---- */

struct seen {
	uint64_t taken, asked; /* without what is asked for here */
	bool lower;	       /* somebody with a lower number asks */
	bool ahead;	       /* the next period has begun, … */
	uint16_t epoch;	       /* … which is this one */
	uint64_t used;	       /* the word */
};

static void note(struct seen *seen, uint64_t word)
{
	seen->ahead = true;
	seen->epoch = limit_word_epoch(word);
}

/* An empty cell is of no period. */
static void note_cell(struct seen *seen, uint64_t word, uint16_t epoch)
{
	if ((word & LIMIT_AMOUNT_MAX) && limit_word_is_ahead(word, epoch))
		note(seen, word);
}

static struct seen look(const struct limit_row *row, const struct limit_ask *ask, uint16_t epoch)
{
	struct seen seen = {.ahead = false};

	for (unsigned i = 0; i < ask->workers; i++) {
		const struct limit_cell *cell = &row->cells[i];
		/* In the order in which an amount moves. */
		uint64_t asks = i == ask->worker ? 0 : get(&cell->asks);
		uint64_t held = get(&cell->held);

		seen.asked += limit_word_in(asks, epoch);
		seen.lower |= i < ask->worker && limit_word_in(asks, epoch);
		seen.taken += limit_word_in(held, epoch);
		note_cell(&seen, asks, epoch);
		note_cell(&seen, held, epoch);
	}
	seen.used = get(&row->used);
	if (limit_word_is_ahead(seen.used, epoch))
		note(&seen, seen.used);
	seen.taken += limit_word_in(seen.used, epoch);
	return seen;
}

/* ---- the steps ---- */

/* What one look while it asks says; LIMIT_BUSY: to be looked at once more. */
static enum limit_answer decide(
	const struct limit_ask *ask, const struct seen *seen, uint16_t epoch)
{
	if (seen->ahead || limit_word_epoch(seen->used) != epoch)
		return LIMIT_BUSY;
	if (seen->taken + ask->amount > ask->most)
		return LIMIT_REFUSED;
	return seen->taken + seen->asked + ask->amount <= ask->most ? LIMIT_TAKEN : LIMIT_BUSY;
}

static bool lower_asks(const struct limit_row *row, const struct limit_ask *ask, uint16_t epoch)
{
	for (unsigned i = 0; i < ask->worker; i++)
		if (limit_word_in(get(&row->cells[i].asks), epoch))
			return true;
	return false;
}

/* Asks, and looks once. */
static enum limit_answer attempt(
	struct limit_row *row, const struct limit_ask *ask, uint16_t *epoch, bool *waits)
{
	_Atomic uint64_t *asks = &row->cells[ask->worker].asks;
	enum limit_answer answer;
	struct seen seen;

	put(asks, limit_word(*epoch, ask->amount));
	/* Whoever gives the row to another one has seen this, or is seen here. */
	if (get(&row->key) != ask->key)
		return LIMIT_GONE;
	seen = look(row, ask, *epoch);
	answer = decide(ask, &seen, *epoch);
	if (seen.ahead) {
		*epoch = seen.epoch;
	} else if (limit_word_epoch(seen.used) != *epoch) {
		/* What was used in a period that is over makes room for this one. */
		swap(&row->used, seen.used, limit_word(*epoch, 0));
	} else if (answer == LIMIT_BUSY && seen.lower) {
		put(asks, 0);
		*waits = true;
	}
	return answer;
}

enum limit_answer limit_row_reserve(
	struct limit_row *row, const struct limit_ask *ask, uint16_t *epoch)
{
	struct limit_cell *own = &row->cells[ask->worker];
	enum limit_answer answer = LIMIT_BUSY;
	bool waits = false, doubted = false;

	*epoch = ask->epoch;
	for (unsigned i = 1; i <= LIMIT_TRIES && answer == LIMIT_BUSY; i++) {
		if (i % LIMIT_LOOKS == 0)
			LIMIT_PAUSE();
		waits = waits && lower_asks(row, ask, *epoch);
		if (!waits)
			answer = attempt(row, ask, epoch, &waits);
		/* An amount on its way is seen twice, for a moment. */
		if (answer == LIMIT_REFUSED && !doubted) {
			doubted = true;
			answer = LIMIT_BUSY;
		}
	}
	if (answer == LIMIT_TAKEN)
		cell_add(&own->held, *epoch, ask->amount);
	put(&own->asks, 0);
	return answer;
}

void limit_row_send(struct limit_row *row, unsigned worker, uint16_t epoch, uint64_t amount)
{
	cell_add(&row->cells[worker].sent, epoch, amount);
}

void limit_row_settle(struct limit_row *row, unsigned worker, uint16_t epoch, uint64_t amount,
	bool sent, uint64_t spent)
{
	struct limit_cell *own = &row->cells[worker];

	if (spent)
		charge(row, epoch, spent);
	if (sent)
		cell_take(&own->sent, epoch, amount);
	cell_take(&own->held, epoch, amount);
}

void limit_row_forget(struct limit_row *row, unsigned worker, bool at_once)
{
	struct limit_cell *cell = &row->cells[worker];
	uint64_t sent = get(&cell->sent);
	uint16_t epoch = limit_word_epoch(sent);

	if (!at_once && limit_word_in(sent, epoch))
		charge(row, epoch, limit_word_in(sent, epoch));
	put(&cell->sent, 0);
	put(&cell->held, 0);
	put(&cell->asks, 0);
}

/* ---- telling ---- */

struct limit_sum limit_row_sum(const struct limit_row *row, unsigned workers, uint16_t epoch)
{
	struct limit_sum sum = {0, 0};

	for (unsigned i = 0; i < workers; i++)
		sum.reserved += limit_word_in(get(&row->cells[i].held), epoch);
	sum.used = limit_word_in(get(&row->used), epoch);
	return sum;
}

bool limit_row_is_idle(const struct limit_row *row, unsigned workers)
{
	for (unsigned i = 0; i < workers; i++) {
		const struct limit_cell *cell = &row->cells[i];

		if ((get(&cell->asks) | get(&cell->held)) & LIMIT_AMOUNT_MAX)
			return false;
	}
	return true;
}
