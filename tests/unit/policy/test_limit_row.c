// SPDX-License-Identifier: GPL-2.0-or-later
/* The arithmetic of the limits, in every order in which the steps of several workers can follow each
 * other, and with a worker killed before any step: the sum never passes the limit, and nothing is lost.
 *
 * The very source of it runs here, each worker on a stack of its own, which is left before every access
 * to what all share. A schedule is a number for each step: which of the workers goes on. All of them are
 * tried, or, of more workers, those with a few changes from one to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static void step(void);
#define LIMIT_STEP()  step()
#define LIMIT_PAUSE() ((void)0)
#define LIMIT_TRIES   3
#include "policy/limit_row.c"
#include "policy/limit_word.h"

#define WORKERS	   3
#define STACK	   65536
#define DEPTH	   512
#define EPOCH	   7
#define KEY	   99

/* ---- the workers ---- */

struct play {
	unsigned n; /* workers */
	uint64_t most, amount[WORKERS], spent[WORKERS];
	uint16_t epoch[WORKERS]; /* by its clock */
	int changes;		 /* from one worker to another, at most; -1: any number */
	int victim;		 /* who is killed; -1: nobody … */
	unsigned fatal;		 /* … before which of its steps */
	uint64_t before;	 /* used of the period before */
};

static struct {
	const struct play *play;
	struct limit_row *row;
	ucontext_t home, of[WORKERS];
	char *stacks[WORKERS];
	bool over[WORKERS], dead[WORKERS];
	enum limit_answer answers[WORKERS];
	unsigned at, steps[WORKERS];
	/* What is true, apart from the memory that is tested. */
	uint64_t taken[WORKERS]; /* by period, of calls that are not over, or whose worker is dead */
	bool sent[WORKERS], settles[WORKERS];
	bool doubt[WORKERS]; /* while it asked, another one was about to give back */
	uint16_t in[WORKERS];
	uint64_t used;
} world;

static void step(void)
{
	if (world.play)
		swapcontext(&world.of[world.at], &world.home);
}

static uint64_t true_sum(uint16_t epoch)
{
	uint64_t sum = epoch == EPOCH ? world.used : 0;

	for (unsigned i = 0; i < world.play->n; i++)
		if (world.in[i] == epoch)
			sum += world.taken[i];
	return sum;
}

static void must_not_pass(void)
{
	assert_true(true_sum(EPOCH) <= world.play->most);
	assert_true(true_sum(EPOCH + 1) <= world.play->most);
}

/* A call: reserved, sent, and over. */
static void work(void)
{
	const struct play *play = world.play;
	unsigned i = world.at;
	struct limit_ask ask = {.key = KEY, .worker = i, .workers = play->n,
		.epoch = play->epoch[i], .amount = play->amount[i], .most = play->most};
	uint16_t epoch;

	world.answers[i] = limit_row_reserve(world.row, &ask, &epoch);
	if (world.answers[i] == LIMIT_TAKEN) {
		world.in[i] = epoch;
		world.taken[i] = ask.amount;
		must_not_pass();
		limit_row_send(world.row, i, epoch, ask.amount);
		world.sent[i] = true;
		/* That much is used from now on, whoever writes it down when. */
		world.taken[i] = play->spent[i] > ask.amount ? play->spent[i] : ask.amount;
		world.settles[i] = true;
		limit_row_settle(world.row, i, epoch, ask.amount, true, play->spent[i]);
		world.settles[i] = false;
		world.taken[i] = 0;
		if (epoch == EPOCH)
			world.used += play->spent[i];
	}
	world.over[i] = true;
	swapcontext(&world.of[i], &world.home);
}

static void begin(const struct play *play)
{
	size_t size = sizeof(struct limit_row) + WORKERS * sizeof(struct limit_cell);

	memset(world.row, 0, size);
	world.play = NULL;
	atomic_store(&world.row->key, KEY);
	atomic_store(&world.row->used, limit_word(EPOCH - 1, play->before));
	if (!play->before)
		atomic_store(&world.row->used, limit_word(EPOCH, 0));
	/* For all that the compiler knows getcontext returns twice. */
	for (volatile unsigned i = 0; i < WORKERS; i++) {
		world.over[i] = world.dead[i] = world.sent[i] = world.settles[i] = world.doubt[i] = false;
		world.steps[i] = 0;
		world.taken[i] = 0;
		world.in[i] = EPOCH;
		getcontext(&world.of[i]);
		world.of[i].uc_stack.ss_sp = world.stacks[i];
		world.of[i].uc_stack.ss_size = STACK;
		world.of[i].uc_link = NULL;
		makecontext(&world.of[i], work, 0);
	}
	world.used = 0;
	world.play = play;
}

/* Whoever is dead is cleaned up after in one go: the others see each step of it as they would see
 * those of a worker that goes on. */
static void go(unsigned i)
{
	const struct play *play = world.play;

	world.at = i;
	if ((int)i == play->victim && world.steps[i] == play->fatal) {
		world.play = NULL;
		limit_row_forget(world.row, i, false);
		world.play = play;
		world.dead[i] = world.over[i] = true;
		/* What was not sent is given back; what was counts. */
		if (!world.sent[i])
			world.taken[i] = 0;
		return;
	}
	world.steps[i]++;
	for (unsigned k = 0; k < play->n; k++)
		world.doubt[i] |= k != i && world.settles[k];
	swapcontext(&world.home, &world.of[i]);
}

/* All is quiet: the memory says what is true. */
static void must_be_even(void)
{
	const struct play *play = world.play;
	struct limit_sum sum;
	uint64_t least = world.used;

	world.play = NULL;
	sum = limit_row_sum(world.row, play->n, EPOCH);
	assert_int_equal(sum.reserved, 0);
	assert_true(limit_row_is_idle(world.row, play->n));
	assert_true(sum.used >= least || limit_word_epoch(world.row->used) != EPOCH);
	/* One that dies while it writes down what it has used may have it counted twice. */
	assert_true(sum.used <= play->most + (play->victim >= 0 ? play->amount[play->victim] : 0));
	if (play->victim < 0 && limit_word_epoch(world.row->used) == EPOCH)
		assert_int_equal(sum.used, world.used);
	world.play = play;
}

/* ---- the schedules ---- */

static unsigned path[DEPTH], ends[DEPTH], depth;

/* One schedule, whose beginning is path; what could be done otherwise is noted in ends. */
static void run(const struct play *play)
{
	int changes = 0;
	unsigned last = WORKERS, at = 0;

	begin(play);
	for (;; at++) {
		unsigned can[WORKERS], n = 0;

		/* The one that goes on comes first: then the rest are changes. */
		for (unsigned i = 0; i < play->n; i++)
			if (!world.over[i] && i == last)
				can[n++] = i;
		for (unsigned i = 0; i < play->n; i++)
			if (!world.over[i] && i != last &&
				(n == 0 || can[0] != last || play->changes < 0 ||
					changes < play->changes))
				can[n++] = i;
		if (!n)
			break;
		assert_true(at < DEPTH);
		if (at >= depth)
			path[at] = 0;
		ends[at] = n;
		changes += path[at] > 0 && can[0] == last;
		last = can[path[at]];
		go(last);
	}
	depth = at;
	must_be_even();
}

/* False: all were tried. */
static bool next(void)
{
	while (depth && path[depth - 1] + 1 >= ends[depth - 1])
		depth--;
	if (depth)
		path[depth - 1]++;
	return depth;
}

static unsigned long all_of(const struct play *play, void (*check)(const struct play *))
{
	unsigned long n = 0;

	depth = 0;
	do {
		run(play);
		if (check)
			check(play);
		n++;
	} while (next());
	world.play = NULL;
	return n;
}

static unsigned answered(enum limit_answer answer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world.play->n; i++)
		n += world.answers[i] == answer;
	return n;
}

/* ---- what must hold ---- */

static void one_at_least(const struct play *play)
{
	(void)play;
	assert_true(answered(LIMIT_TAKEN) + answered(LIMIT_BUSY) >= 1);
}

/* Nobody is refused but while an amount that is given back is seen twice, and nobody gives up but while
 * another one asks on. */
static void both(const struct play *play)
{
	for (unsigned i = 0; i < play->n; i++)
		assert_true(world.answers[i] != LIMIT_REFUSED || world.doubt[i]);
	assert_true(answered(LIMIT_TAKEN) >= 1);
}

static void two_for_whom_there_is_room_for_one(void **state)
{
	const struct play play = {.n = 2, .most = 10, .amount = {6, 5}, .spent = {6, 5},
		.epoch = {EPOCH, EPOCH}, .changes = 4, .victim = -1};

	(void)state;
	print_message("%lu schedules\n", all_of(&play, one_at_least));
}

static void two_for_whom_there_is_room(void **state)
{
	const struct play play = {.n = 2, .most = 11, .amount = {6, 5}, .spent = {1, 5},
		.epoch = {EPOCH, EPOCH}, .changes = 4, .victim = -1};

	(void)state;
	print_message("%lu schedules\n", all_of(&play, both));
}

static void three_for_whom_there_is_room_for_two(void **state)
{
	const struct play play = {.n = 3, .most = 10, .amount = {5, 5, 5}, .spent = {5, 4, 0},
		.epoch = {EPOCH, EPOCH, EPOCH}, .changes = 2, .victim = -1};

	(void)state;
	print_message("%lu schedules\n", all_of(&play, one_at_least));
}

/* What was used before counts no more, whoever sees it first; and a clock that is late charges the
 * period that has begun, or the one before, but never both or none. */
static void two_while_the_next_period_begins(void **state)
{
	const struct play plays[] = {
		{.n = 2, .most = 10, .amount = {6, 5}, .spent = {6, 5}, .epoch = {EPOCH, EPOCH},
			.changes = 3, .victim = -1, .before = 10},
		{.n = 2, .most = 10, .amount = {6, 5}, .spent = {6, 5}, .epoch = {EPOCH, EPOCH + 1},
			.changes = 3, .victim = -1},
		{.n = 2, .most = 10, .amount = {6, 5}, .spent = {6, 5}, .epoch = {EPOCH + 1, EPOCH},
			.changes = 3, .victim = -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++)
		print_message("%lu schedules\n", all_of(&plays[i], NULL));
}

/* Before each of its steps: the others never pass the limit, and what it has not sent is there again. */
static void one_is_killed(void **state)
{
	struct play play = {.n = 2, .most = 10, .amount = {6, 5}, .spent = {6, 5},
		.epoch = {EPOCH, EPOCH}, .changes = 2};
	unsigned long n = 0;

	(void)state;
	for (play.victim = 0; play.victim < 2; play.victim++)
		for (play.fatal = 0; play.fatal < 40; play.fatal++)
			n += all_of(&play, NULL);
	play.n = 3;
	play.amount[2] = play.spent[2] = 5;
	play.epoch[2] = EPOCH;
	play.changes = 1;
	for (play.victim = 0; play.victim < 3; play.victim++)
		for (play.fatal = 0; play.fatal < 40; play.fatal++)
			n += all_of(&play, NULL);
	print_message("%lu schedules\n", n);
}

/* The row that is asked for is another one's by then. */
static void a_row_that_is_given_away(void **state)
{
	struct limit_ask ask = {.key = KEY + 1, .workers = 2, .epoch = EPOCH, .amount = 1, .most = 9};
	uint16_t epoch;

	(void)state;
	begin(&(struct play){.n = 2});
	world.play = NULL;
	assert_int_equal(limit_row_reserve(world.row, &ask, &epoch), LIMIT_GONE);
	assert_true(limit_row_is_idle(world.row, 2));
}

/* The edge ± 1, and amounts that no word holds. */
static void edges(void **state)
{
	struct limit_ask ask = {.key = KEY, .workers = 2, .epoch = EPOCH, .most = 10};
	static const struct {
		uint64_t amount;
		enum limit_answer answer;
	} asks[] = {{11, LIMIT_REFUSED}, {10, LIMIT_TAKEN}, {1, LIMIT_REFUSED}, {0, LIMIT_TAKEN},
		{UINT64_MAX / 2, LIMIT_REFUSED}};
	uint16_t epoch;

	(void)state;
	begin(&(struct play){.n = 2});
	world.play = NULL;
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		ask.amount = asks[i].amount;
		assert_int_equal(limit_row_reserve(world.row, &ask, &epoch), asks[i].answer);
	}
	limit_row_settle(world.row, 0, EPOCH, 10, false, 9);
	ask.amount = 2;
	assert_int_equal(limit_row_reserve(world.row, &ask, &epoch), LIMIT_REFUSED);
	ask.amount = 1;
	assert_int_equal(limit_row_reserve(world.row, &ask, &epoch), LIMIT_TAKEN);
	/* More than was reserved: it is written down, and the next ones bear it. */
	limit_row_settle(world.row, 0, EPOCH, 1, false, LIMIT_AMOUNT_MAX);
	limit_row_settle(world.row, 0, EPOCH, 0, false, LIMIT_AMOUNT_MAX);
	assert_int_equal(limit_row_sum(world.row, 2, EPOCH).used, LIMIT_AMOUNT_MAX);
	/* The next period knows nothing of it. */
	ask.epoch = EPOCH + 1;
	ask.amount = 10;
	assert_int_equal(limit_row_reserve(world.row, &ask, &epoch), LIMIT_TAKEN);
	/* What was taken in a period that is over settles nowhere. */
	limit_row_settle(world.row, 1, EPOCH, 5, false, 5);
	assert_int_equal(limit_row_sum(world.row, 2, EPOCH + 1).used, 0);
	assert_int_equal(limit_row_sum(world.row, 2, EPOCH + 1).reserved, 10);
}

static int set_up(void **state)
{
	(void)state;
	world.row = calloc(1, sizeof(struct limit_row) + WORKERS * sizeof(struct limit_cell));
	for (unsigned i = 0; i < WORKERS; i++)
		world.stacks[i] = malloc(STACK);
	return world.row && world.stacks[WORKERS - 1] ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		free(world.stacks[i]);
	free(world.row);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_for_whom_there_is_room_for_one),
		cmocka_unit_test(two_for_whom_there_is_room),
		cmocka_unit_test(three_for_whom_there_is_room_for_two),
		cmocka_unit_test(two_while_the_next_period_begins),
		cmocka_unit_test(one_is_killed),
		cmocka_unit_test(a_row_that_is_given_away),
		cmocka_unit_test(edges),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
