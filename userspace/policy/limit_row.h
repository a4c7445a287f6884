/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was used of one limit by one of those whom it counts, in memory that all workers share. Nobody
 * waits for anybody, no sum ever passes the limit, and a worker may be killed between any two of its
 * steps: what it was about to take is in cells of its own, and is given back by whoever sees it dead.
 *
 * A worker has cells: what it asks for, what it holds for its calls, and how much of that for those that
 * are sent. An amount goes from the first to the second, and then to what all have used, and stands in
 * both for a moment, never in none. Whoever asks looks at the cells of the others in the same order: so
 * it sees each amount once, or twice, and of two that ask at once one at least sees the other. Of those
 * who see each other the one with the lower number goes on, and the others wait.
 *
 * Amounts count in the period in which they were taken; when that is over, they count nowhere. */
#ifndef POLICY_LIMIT_ROW_H
#define POLICY_LIMIT_ROW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMIT_NAME 64  /* longer ones are cut, and told apart by their keys */
#define LIMIT_WHO  128

/* Words of limit_word.h; only their worker changes them, and whoever cleans up after it. */
struct limit_cell {
	_Atomic uint64_t asks, held, sent; /* sent: of what is held */
};

struct limit_row {
	_Atomic uint64_t key;	  /* of limit_table.h; 0: nobody has this row */
	_Atomic uint64_t used;	  /* a word */
	_Atomic uint64_t alerted; /* a word: the highest percentage that was told */
	_Atomic uint64_t until_s; /* nothing counts any more after that (CLOCK_REALTIME) */
	_Atomic uint64_t shape;	  /* measure and period: limit_table.h */
	char limit[LIMIT_NAME], who[LIMIT_WHO]; /* NUL-terminated */
	struct limit_cell cells[];
};

enum limit_answer {
	LIMIT_TAKEN,
	LIMIT_REFUSED, /* there is not as much left */
	LIMIT_BUSY,    /* others ask for the last of it, and do not come to an end */
	LIMIT_GONE,    /* the row is another's by now: to be looked up again */
};

struct limit_ask {
	uint64_t key;
	unsigned worker, workers; /* the asking one; how many cells there are */
	uint16_t epoch;		  /* the period of now */
	uint64_t amount, most;
};

/* Takes the amount, held for a call that is not sent. *epoch is the period in which it counts: one of
 * the others may have seen the next one begin already. */
enum limit_answer limit_row_reserve(
	struct limit_row *row, const struct limit_ask *ask, uint16_t *epoch);
/* The call is sent now. */
void limit_row_send(
	struct limit_row *row, unsigned worker, uint16_t epoch, uint64_t amount);
/* The call is over: that much was used, and the amount is given back. */
void limit_row_settle(struct limit_row *row, unsigned worker, uint16_t epoch, uint64_t amount,
	bool sent, uint64_t spent);
/* The worker is dead. What was sent is taken for used, as nobody knows, unless what counts is how many
 * there are at once. */
void limit_row_forget(struct limit_row *row, unsigned worker, bool at_once);

struct limit_sum {
	uint64_t used, reserved;
};
struct limit_sum limit_row_sum(const struct limit_row *row, unsigned workers, uint16_t epoch);
/* Whether no worker has, or is about to have, anything in it. */
bool limit_row_is_idle(const struct limit_row *row, unsigned workers);

#endif
