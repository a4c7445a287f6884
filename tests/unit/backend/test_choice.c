// SPDX-License-Identifier: GPL-2.0-or-later
/* Which backend is asked: by tables, and by thousands of random calls whose outcomes are known to
 * the test alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/budget.h"
#include "backend/choice.h"
#include "base/clock.h"

#define T0 (1000 * NS_PER_S)

static const struct pool_member members[] = {
	{{"ptu", 3}, 1, 1, 0},
	{{"east", 4}, 2, 3, 0},
	{{"west", 4}, 2, 1, 0},
};
static const struct pool pool = {
	.name = {"chat", 4},
	.members = members,
	.n = 3,
	.rules = {.failures = 3, .open_ns = 10 * NS_PER_S, .open_max_ns = 60 * NS_PER_S,
		.pause_max_ns = 60 * NS_PER_S},
	.retry_percent = 20,
};

static uint64_t random_state = 88172645463325252ULL;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct choice choose(struct standing *standing, uint64_t tried, uint64_t affinity, uint64_t now)
{
	const struct choice_query query = {.deployment = SLICE("gpt-4o"),
		.tried = tried,
		.affinity = affinity,
		.random = random_next()};

	return pool_choose(standing, &pool, &query, now);
}

static void record(
	struct standing *standing, int member, enum backend_outcome outcome, bool probe, uint64_t now)
{
	const struct choice choice = {.member = member, .probe = probe};

	pool_record(standing, &pool, &choice, SLICE("gpt-4o"), outcome, NULL, now);
}

static void test_the_lowest_priority_that_is_alive(void **state)
{
	struct standing *standing = standing_new();

	(void)state;
	assert_int_equal(choose(standing, 0, 0, T0).member, 0);
	assert_int_not_equal(choose(standing, 1 << 0, 0, T0).member, 0);
	record(standing, 0, BACKEND_THROTTLED, false, T0);
	assert_in_range(choose(standing, 0, 0, T0).member, 1, 2); /* spill-over … */
	assert_int_equal(choose(standing, 0, 0, T0 + NS_PER_S).member, 0); /* … and return */
	assert_int_equal(choose(standing, 7, 0, T0).member, -1);
	standing_free(standing);
}

static void test_a_deployment_that_throttles_is_not_the_backend(void **state)
{
	const struct choice_query other = {.deployment = SLICE("gpt-4o-mini")};
	const struct choice_query none = {.random = 1};
	struct standing *standing = standing_new();

	(void)state;
	record(standing, 0, BACKEND_THROTTLED, false, T0);
	assert_int_not_equal(choose(standing, 0, 0, T0).member, 0);
	assert_int_equal(pool_choose(standing, &pool, &other, T0).member, 0);
	assert_int_equal(pool_choose(standing, &pool, &none, T0).member, 0);
	/* What is not reached is not reached for anybody. */
	for (int i = 0; i < 3; i++)
		record(standing, 0, BACKEND_UNREACHED, false, T0);
	assert_int_not_equal(pool_choose(standing, &pool, &other, T0).member, 0);
	assert_int_not_equal(pool_choose(standing, &pool, &none, T0).member, 0);
	standing_free(standing);
}

static void test_nearly_empty_is_asked_when_nobody_else_is_there(void **state)
{
	const struct choice_query query = {.random = 5};
	struct choice_view views[3] = {{BREAKER_LOW, T0 + 1, 1000}, {BREAKER_CLOSED, 0, 1000},
		{BREAKER_OPEN, T0 + 1, 1000}};

	(void)state;
	assert_int_equal(choice_of(&pool, views, &query, T0).member, 1);
	views[1].state = BREAKER_PAUSED;
	views[1].until_ns = T0 + 5;
	assert_int_equal(choice_of(&pool, views, &query, T0).member, 0);
}

static void test_when_nobody_is_alive_it_says_when(void **state)
{
	const struct choice_query query = {.tried = 2};
	const struct choice_view views[3] = {{BREAKER_PAUSED, T0 + 9, 1000},
		{BREAKER_PAUSED, T0 + 5, 1000}, {BREAKER_OPEN, T0 + 7, 1000}};
	struct choice choice = choice_of(&pool, views, &query, T0);

	(void)state;
	assert_int_equal(choice.member, -1);
	assert_int_equal(choice.wait_ns, 5);
	assert_true(choice.paused);
}

/* Who makes all of them refuse our credentials takes nothing from others. */
static void test_backends_that_refuse_are_asked_when_nobody_else_is_there(void **state)
{
	struct standing *standing = standing_new();

	(void)state;
	record(standing, 1, BACKEND_CREDENTIAL, false, T0);
	assert_int_equal(choose(standing, 1 << 0, 0, T0).member, 2);
	record(standing, 2, BACKEND_CREDENTIAL, false, T0);
	assert_int_equal(choose(standing, 0, 0, T0).member, 0);
	for (int i = 0; i < 3; i++)
		record(standing, 0, BACKEND_UNREACHED, false, T0);
	assert_int_equal(choose(standing, 0, 0, T0).member, 1);
	assert_false(choose(standing, 0, 0, T0).probe);
	assert_int_equal(choose(standing, 1 << 1, 0, T0).member, 2);
	assert_int_equal(choose(standing, 3 << 1, 0, T0).member, -1);
	standing_free(standing);
}

static void test_one_call_tries_a_backend_that_was_dead(void **state)
{
	const struct choice_query careful = {.deployment = SLICE("gpt-4o"), .careful = true};
	struct standing *standing = standing_new();
	uint64_t later = T0 + 10 * NS_PER_S;
	struct choice choice;

	(void)state;
	for (int i = 0; i < 3; i++)
		record(standing, 0, BACKEND_FAILED, false, T0);
	assert_int_not_equal(choose(standing, 0, 0, later - 1).member, 0);
	assert_int_not_equal(pool_choose(standing, &pool, &careful, later + 30 * NS_PER_S - 1).member, 0);
	assert_int_equal(choose(standing, 0, 0, later).member, 0);
	record(standing, 0, BACKEND_NONE, true, later);
	later += 30 * NS_PER_S;
	choice = pool_choose(standing, &pool, &careful, later);
	assert_int_equal(choice.member, 0);
	assert_true(choice.probe);
	assert_int_not_equal(choose(standing, 0, 0, later).member, 0);
	record(standing, 0, BACKEND_ANSWERED, true, later);
	choice = choose(standing, 0, 0, later);
	assert_int_equal(choice.member, 0);
	assert_false(choice.probe);
	standing_free(standing);
}

/* Both the backend and the deployment are to be tried: the one call does it for both. */
static void test_one_probe_is_for_both_rows(void **state)
{
	struct standing *standing = standing_new();
	uint64_t later = T0 + 10 * NS_PER_S;

	(void)state;
	for (int i = 0; i < 3; i++) {
		record(standing, 0, BACKEND_FAILED, false, T0);
		record(standing, 0, BACKEND_UNREACHED, false, T0);
	}
	assert_int_equal(choose(standing, 0, 0, later).member, 0);
	assert_int_not_equal(choose(standing, 0, 0, later).member, 0);
	record(standing, 0, BACKEND_FAILED, true, later);
	/* It was reached: other deployments are asked again. */
	assert_int_not_equal(choose(standing, 0, 0, later).member, 0);
	assert_int_equal(pool_choose(standing, &pool,
				 &(struct choice_query){.deployment = SLICE("other")}, later)
				 .member,
		0);
	standing_free(standing);
}

static void test_weights(void **state)
{
	struct standing *standing = standing_new();
	unsigned asked[3] = {0};

	(void)state;
	for (int i = 0; i < 10000; i++)
		asked[choose(standing, 1, 0, T0).member]++;
	assert_int_equal(asked[0], 0);
	assert_in_range(asked[1], 7300, 7700);
	assert_in_range(asked[2], 2300, 2700);
	standing_free(standing);
}

static void test_a_backend_that_recovered_gets_its_part_slowly(void **state)
{
	struct standing *standing = standing_new();
	unsigned asked[3] = {0};
	uint64_t later = T0 + 10 * NS_PER_S;

	(void)state;
	for (int i = 0; i < 3; i++)
		record(standing, 1, BACKEND_FAILED, false, T0);
	while (choose(standing, 1, 0, later).member != 1)
		;
	record(standing, 1, BACKEND_ANSWERED, true, later);
	for (int i = 0; i < 10000; i++)
		asked[choose(standing, 1, 0, later).member]++;
	assert_in_range(asked[1], 2108, 2508); /* 0.3 of 1.3 */
	standing_free(standing);
}

static void test_the_same_affinity_goes_to_the_same_backend(void **state)
{
	struct standing *standing = standing_new();
	unsigned moved = 0, east = 0;

	(void)state;
	for (uint64_t key = 1; key <= 1000; key++) {
		int before = choose(standing, 1, key, T0).member;

		assert_int_equal(choose(standing, 1, key, T0).member, before);
		east += before == 1;
		record(standing, 2, BACKEND_THROTTLED, false, T0);
		moved += before == 1 && choose(standing, 1, key, T0).member != 1;
		assert_int_equal(choose(standing, 1, key, T0).member, 1); /* it yields */
		standing_free(standing);
		standing = standing_new();
	}
	assert_int_equal(moved, 0);
	assert_in_range(east, 700, 800);
	standing_free(standing);
}

static void test_the_only_member_is_asked_whatever_is_known(void **state)
{
	const struct pool alone = {.name = SLICE("alone"), .members = members, .n = 1, .rules = pool.rules};
	const struct choice_query query = {.random = 1}, tried = {.random = 1, .tried = 1};
	struct standing *standing = standing_new();

	(void)state;
	for (int i = 0; i < 9; i++)
		record(standing, 0, BACKEND_UNREACHED, false, T0);
	assert_int_equal(pool_choose(standing, &alone, &query, T0).member, 0);
	assert_false(pool_choose(standing, &alone, &query, T0).probe);
	assert_int_equal(pool_choose(standing, &alone, &tried, T0).member, -1);
	standing_free(standing);
}

/* A backend that has used what it takes in a minute spills over, and has its calls back in the next. */
static void test_a_capacity_that_is_used_up(void **state)
{
	static const struct pool_member two[] = {{{"ptu", 3}, 1, 1, 1000}, {{"east", 4}, 2, 1, 0}};
	const struct pool of = {.name = SLICE("of"), .members = two, .n = 2, .rules = pool.rules};
	const struct choice_query query = {.deployment = SLICE("gpt-4o"), .random = 1},
				  last = {.random = 1, .tried = 2};
	const struct choice choice = {.member = 0}, other = {.member = 1};
	const struct pool_used most = {.input_tokens = 900, .output_tokens = 99}, one = {1, 0, 0};
	struct standing *standing = standing_new();
	uint64_t end = breaker_minute_end(T0);

	(void)state;
	pool_record(standing, &of, &choice, query.deployment, BACKEND_ANSWERED, NULL, T0);
	pool_record(standing, &of, &other, query.deployment, BACKEND_ANSWERED, NULL, T0);
	pool_usage(standing, &of, &choice, query.deployment, &most, T0);
	pool_usage(standing, &of, &other, query.deployment, &most, T0);
	assert_int_equal(pool_choose(standing, &of, &query, T0).member, 0);
	pool_usage(standing, &of, &choice, query.deployment, &one, T0);
	assert_int_equal(pool_choose(standing, &of, &query, T0).member, 1);
	assert_int_equal(pool_choose(standing, &of, &last, T0).member, 0); /* nobody else is left */
	assert_int_equal(pool_choose(standing, &of, &query, end - 1).member, 1);
	assert_int_equal(pool_choose(standing, &of, &query, end).member, 0);
	standing_free(standing);
}

static void test_a_credential_is_dead_for_a_backend_as_a_whole(void **state)
{
	const struct choice_query other = {.deployment = SLICE("gpt-4o-mini"), .random = 1};
	struct standing *standing = standing_new();

	(void)state;
	record(standing, 0, BACKEND_QUOTA, false, T0);
	assert_int_not_equal(choose(standing, 0, 0, T0 + 1).member, 0);
	assert_int_not_equal(pool_choose(standing, &pool, &other, T0 + 1).member, 0);
	assert_false(pool_renewed(standing, SLICE("east"), T0 + 1));
	assert_true(pool_renewed(standing, SLICE("ptu"), T0 + 1));
	assert_int_equal(choose(standing, 0, 0, T0 + 1).member, 0);
	/* A model that a key is not good for may be good for the next one. */
	record(standing, 1, BACKEND_FORBIDDEN, false, T0);
	assert_int_not_equal(choose(standing, 1, 0, T0 + 1).member, 1);
	assert_true(pool_renewed(standing, SLICE("east"), T0 + 1));
	standing_free(standing);
}

/* ---- the model check ---- */

#define MODEL_N	    4
#define MODEL_STEPS 30000

/* What the test knows of a backend: the truth, and what a breaker should have made of it. */
struct model {
	bool down;
	unsigned failures, trips;
	uint64_t open_until_ns;
	bool probed;
};

static void model_take(struct model *m, bool failed, bool probe, uint64_t now)
{
	uint64_t ns = 10 * NS_PER_S;

	if (m->open_until_ns && !probe)
		return;
	m->probed = false;
	if (!failed) {
		m->open_until_ns = 0;
		m->failures = 0;
		if (probe)
			m->trips = 0;
		return;
	}
	if (!probe && ++m->failures < 3)
		return;
	for (unsigned i = 0; i < m->trips && ns < 60 * NS_PER_S; i++)
		ns *= 2;
	m->open_until_ns = now + (ns < 60 * NS_PER_S ? ns : 60 * NS_PER_S);
	m->trips++;
	m->failures = 0;
}

static void check_chosen(const struct model *m, const struct choice *choice, uint64_t now)
{
	if (!m->open_until_ns) {
		assert_false(choice->probe);
		return;
	}
	/* No dead backend is asked but by a probe, and by one at a time. */
	assert_true(now >= m->open_until_ns);
	assert_true(choice->probe);
	assert_false(m->probed);
}

/* One call: attempts until one is answered, or nobody is left, or the budget is spent. */
static bool model_call(struct standing *standing, const struct pool *of, struct model *models,
	uint64_t now, unsigned *spent)
{
	struct standing_budget *budget = standing_budget(standing, of->name);
	struct choice_query query = {.random = random_next()};

	budget_earn(budget, of->retry_percent, now);
	for (;;) {
		struct choice choice = pool_choose(standing, of, &query, now);
		struct model *m;

		if (choice.member < 0)
			return false;
		m = &models[choice.member];
		assert_false(query.tried >> choice.member & 1);
		check_chosen(m, &choice, now);
		m->probed |= choice.probe;
		if (query.tried && !budget_spend(budget, now)) {
			pool_record(standing, of, &choice, SLICE_NONE, BACKEND_NONE, NULL, now);
			m->probed = false;
			return false;
		}
		*spent += query.tried != 0;
		pool_record(standing, of, &choice, SLICE_NONE,
			m->down ? BACKEND_FAILED : BACKEND_ANSWERED, NULL, now);
		model_take(m, m->down, choice.probe, now);
		if (!m->down)
			return true;
		query.tried |= 1ULL << choice.member;
	}
}

static void test_a_model_of_thousands_of_calls(void **state)
{
	static const struct pool_member four[MODEL_N] = {
		{{"a", 1}, 1, 1, 0}, {{"b", 1}, 1, 2, 0}, {{"c", 1}, 2, 1, 0}, {{"d", 1}, 3, 1, 0}};
	const struct pool of = {.name = SLICE("model"),
		.members = four,
		.n = MODEL_N,
		.rules = pool.rules,
		.retry_percent = 20};
	struct standing *standing = standing_new();
	struct model models[MODEL_N] = {{0}};
	unsigned spent = 0, answered = 0, lost = 0;
	uint64_t now = T0;

	(void)state;
	for (unsigned step = 0; step < MODEL_STEPS; step++) {
		bool alive = false;
		uint64_t most;

		now += random_next() % (200 * NS_PER_MS);
		if (random_next() % 50 == 0)
			models[random_next() % MODEL_N].down ^= true;
		for (int i = 0; i < MODEL_N; i++)
			alive |= !models[i].down && !models[i].open_until_ns;
		if (model_call(standing, &of, models, now, &spent))
			answered++;
		else
			lost += alive; /* one was there, and was not found */
		most = BUDGET_MOST + (uint64_t)(step + 1) / 5 +
		       (now - T0) / (NS_PER_S / BUDGET_PER_S) + 1;
		assert_true(spent <= most);
	}
	assert_int_equal(lost, 0);
	assert_true(answered > MODEL_STEPS / 2);
	assert_true(spent > 100);
	standing_free(standing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_lowest_priority_that_is_alive),
		cmocka_unit_test(test_a_deployment_that_throttles_is_not_the_backend),
		cmocka_unit_test(test_nearly_empty_is_asked_when_nobody_else_is_there),
		cmocka_unit_test(test_when_nobody_is_alive_it_says_when),
		cmocka_unit_test(test_backends_that_refuse_are_asked_when_nobody_else_is_there),
		cmocka_unit_test(test_one_call_tries_a_backend_that_was_dead),
		cmocka_unit_test(test_one_probe_is_for_both_rows),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_a_backend_that_recovered_gets_its_part_slowly),
		cmocka_unit_test(test_the_same_affinity_goes_to_the_same_backend),
		cmocka_unit_test(test_the_only_member_is_asked_whatever_is_known),
		cmocka_unit_test(test_a_capacity_that_is_used_up),
		cmocka_unit_test(test_a_credential_is_dead_for_a_backend_as_a_whole),
		cmocka_unit_test(test_a_model_of_thousands_of_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
