// SPDX-License-Identifier: GPL-2.0-or-later
/* The breaker of one backend: when it opens, for how long, who tries, and when it is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/breaker.h"
#include "backend/budget.h"
#include "base/clock.h"

#define T0 (1000 * NS_PER_S)

static const struct breaker_rules rules = {
	.failures = 3,
	.percent = 50,
	.calls = 20,
	.open_ns = 10 * NS_PER_S,
	.open_max_ns = 60 * NS_PER_S,
	.pause_max_ns = 30 * NS_PER_S,
};

static enum breaker_state state_at(const struct standing_row *row, uint64_t now_ns)
{
	uint64_t until_ns;

	return breaker_state(row, now_ns, &until_ns);
}

static bool take(struct standing_row *row, enum backend_outcome outcome, uint64_t now_ns)
{
	return breaker_record(row, &rules, outcome, NULL, false, now_ns);
}

static bool take_probe(struct standing_row *row, enum backend_outcome outcome, uint64_t now_ns)
{
	return breaker_record(row, &rules, outcome, NULL, true, now_ns);
}

static void test_failures_in_a_row_open_it(void **state)
{
	struct standing_row row = {0};

	(void)state;
	assert_false(take(&row, BACKEND_FAILED, T0));
	assert_false(take(&row, BACKEND_LOST, T0));
	assert_false(take(&row, BACKEND_ANSWERED, T0));
	assert_false(take(&row, BACKEND_SLOW, T0));
	assert_false(take(&row, BACKEND_UNREACHED, T0));
	assert_int_equal(state_at(&row, T0), BREAKER_CLOSED);
	assert_true(take(&row, BACKEND_FAILED, T0));
	assert_int_equal(state_at(&row, T0 + 10 * NS_PER_S - 1), BREAKER_OPEN);
	assert_int_equal(state_at(&row, T0 + 10 * NS_PER_S), BREAKER_HALF_OPEN);
}

static void test_the_ratio_opens_it(void **state)
{
	struct standing_row row = {0};

	(void)state;
	for (int i = 0; i < 9; i++) {
		assert_false(take(&row, BACKEND_ANSWERED, T0));
		assert_false(take(&row, BACKEND_FAILED, T0));
	}
	assert_false(take(&row, BACKEND_ANSWERED, T0));
	assert_true(take(&row, BACKEND_FAILED, T0));
}

static void test_an_older_window_does_not_count(void **state)
{
	struct standing_row row = {0};

	(void)state;
	for (int i = 0; i < 9; i++) {
		take(&row, BACKEND_ANSWERED, T0);
		take(&row, BACKEND_FAILED, T0);
	}
	assert_false(take(&row, BACKEND_ANSWERED, T0 + 10 * NS_PER_S));
	assert_false(take(&row, BACKEND_FAILED, T0 + 10 * NS_PER_S));
}

static void test_one_tries(void **state)
{
	struct standing_row row = {0};
	uint64_t now = T0 + 10 * NS_PER_S;

	(void)state;
	assert_false(breaker_probe(&row, T0)); /* nobody has to */
	for (int i = 0; i < 3; i++)
		take(&row, BACKEND_FAILED, T0);
	assert_false(breaker_probe(&row, now - 1));
	assert_true(breaker_probe(&row, now));
	assert_false(breaker_probe(&row, now));
	assert_int_equal(state_at(&row, now), BREAKER_OPEN);
	/* Who tries and dies is not waited for. */
	assert_false(breaker_probe(&row, now + BREAKER_PROBE_NS - 1));
	assert_int_equal(state_at(&row, now + BREAKER_PROBE_NS), BREAKER_HALF_OPEN);
	assert_true(breaker_probe(&row, now + BREAKER_PROBE_NS));
}

static void test_a_probe_decides(void **state)
{
	struct standing_row row = {0};
	uint64_t now = T0 + 10 * NS_PER_S;

	(void)state;
	for (int i = 0; i < 3; i++)
		take(&row, BACKEND_FAILED, T0);
	assert_true(breaker_probe(&row, now));
	/* What was under way before says nothing. */
	assert_false(take(&row, BACKEND_ANSWERED, now));
	assert_false(take(&row, BACKEND_FAILED, now));
	assert_int_equal(state_at(&row, now), BREAKER_OPEN);
	assert_true(take_probe(&row, BACKEND_FAILED, now));
	/* Twice as long, and then no longer than the most. */
	assert_int_equal(state_at(&row, now + 20 * NS_PER_S - 1), BREAKER_OPEN);
	now += 20 * NS_PER_S;
	assert_true(breaker_probe(&row, now));
	assert_true(take_probe(&row, BACKEND_SLOW, now));
	now += 40 * NS_PER_S;
	assert_true(breaker_probe(&row, now));
	assert_true(take_probe(&row, BACKEND_UNREACHED, now));
	assert_int_equal(state_at(&row, now + 60 * NS_PER_S - 1), BREAKER_OPEN);
	now += 60 * NS_PER_S;
	/* A client that leaves decides nothing: the next one tries. */
	assert_true(breaker_probe(&row, now));
	assert_false(take_probe(&row, BACKEND_NONE, now));
	assert_true(breaker_probe(&row, now));
	assert_true(take_probe(&row, BACKEND_ANSWERED, now));
	assert_int_equal(state_at(&row, now), BREAKER_CLOSED);
}

static void test_it_comes_back_slowly(void **state)
{
	struct standing_row row = {0};
	uint64_t now = T0 + 10 * NS_PER_S;

	(void)state;
	assert_int_equal(breaker_part(&row, T0), 1000);
	for (int i = 0; i < 3; i++)
		take(&row, BACKEND_FAILED, T0);
	assert_true(breaker_probe(&row, now));
	take_probe(&row, BACKEND_ANSWERED, now);
	assert_int_equal(breaker_part(&row, now), 100);
	assert_int_equal(breaker_part(&row, now + BREAKER_SLOW_START_NS / 2), 550);
	assert_int_equal(breaker_part(&row, now + BREAKER_SLOW_START_NS), 1000);
}

static void test_a_pause_is_kept(void **state)
{
	const struct reading seven = {.pauses = true, .pause_ns = 7 * NS_PER_S};
	const struct reading day = {.pauses = true, .pause_ns = READING_LONGEST_NS};
	struct standing_row row = {0};

	(void)state;
	breaker_record(&row, &rules, BACKEND_THROTTLED, &seven, false, T0);
	assert_int_equal(state_at(&row, T0 + 7 * NS_PER_S - 1), BREAKER_PAUSED);
	assert_int_equal(state_at(&row, T0 + 7 * NS_PER_S), BREAKER_CLOSED);
	breaker_record(&row, &rules, BACKEND_THROTTLED, &day, false, T0);
	assert_int_equal(state_at(&row, T0 + 30 * NS_PER_S - 1), BREAKER_PAUSED);
	assert_int_equal(state_at(&row, T0 + 30 * NS_PER_S), BREAKER_CLOSED);
}

static void test_a_pause_without_a_time_doubles(void **state)
{
	struct standing_row row = {0};

	(void)state;
	take(&row, BACKEND_THROTTLED, T0);
	assert_int_equal(state_at(&row, T0 + NS_PER_S), BREAKER_CLOSED);
	take(&row, BACKEND_THROTTLED, T0);
	assert_int_equal(state_at(&row, T0 + NS_PER_S), BREAKER_PAUSED);
	assert_int_equal(state_at(&row, T0 + 2 * NS_PER_S), BREAKER_CLOSED);
	take(&row, BACKEND_ANSWERED, T0 + 2 * NS_PER_S);
	take(&row, BACKEND_THROTTLED, T0 + 2 * NS_PER_S);
	assert_int_equal(state_at(&row, T0 + 3 * NS_PER_S), BREAKER_CLOSED);
}

static void test_the_trip_time_is_what_was_asked_for(void **state)
{
	const struct reading two = {.pauses = true, .pause_ns = 2 * NS_PER_S};
	struct standing_row row = {0};

	(void)state;
	for (int i = 0; i < 3; i++)
		breaker_record(&row, &rules, BACKEND_FAILED, &two, false, T0);
	assert_int_equal(state_at(&row, T0 + 2 * NS_PER_S - 1), BREAKER_OPEN);
	assert_int_equal(state_at(&row, T0 + 2 * NS_PER_S), BREAKER_HALF_OPEN);
}

static void test_a_credential_opens_it_at_once(void **state)
{
	struct standing_row row = {0}, other = {0};

	(void)state;
	assert_true(take(&row, BACKEND_CREDENTIAL, T0));
	assert_true(take(&other, BACKEND_FORBIDDEN, T0));
	assert_int_equal(row.reason, BACKEND_CREDENTIAL);
}

/* What a credential has done counts until there is another one, and what a failure has done does not
 * go away with it. */
static void test_another_credential_is_tried_at_once(void **state)
{
	static const enum backend_outcome dead[] = {
		BACKEND_CREDENTIAL, BACKEND_QUOTA, BACKEND_FORBIDDEN};
	struct standing_row failed = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(dead) / sizeof(dead[0]); i++) {
		struct standing_row row = {0};

		assert_false(breaker_renewed(&row, T0));
		assert_true(take(&row, dead[i], T0));
		assert_int_equal(state_at(&row, T0 + 1), BREAKER_OPEN);
		assert_true(breaker_renewed(&row, T0 + 1));
		assert_int_equal(state_at(&row, T0 + 1), BREAKER_HALF_OPEN);
		assert_false(breaker_renewed(&row, T0 + 2));
		/* The next one that is dead is out for as long as the first was at first. */
		assert_true(breaker_probe(&row, T0 + 2));
		assert_true(take_probe(&row, dead[i], T0 + 2));
		assert_int_equal(state_at(&row, T0 + 1 + rules.open_ns), BREAKER_OPEN);
		assert_int_equal(state_at(&row, T0 + 2 + rules.open_ns), BREAKER_HALF_OPEN);
	}
	for (unsigned i = 0; i < rules.failures; i++)
		take(&failed, BACKEND_FAILED, T0);
	assert_false(breaker_renewed(&failed, T0 + 1));
	assert_int_equal(state_at(&failed, T0 + 1), BREAKER_OPEN);
}

static void test_what_is_used_in_a_minute(void **state)
{
	struct standing_row row = {0};
	uint64_t end = breaker_minute_end(T0);

	(void)state;
	assert_int_equal(breaker_spent(NULL, T0), 0);
	assert_int_equal(breaker_spent(&row, T0), 0);
	breaker_spend(&row, 1000, T0);
	breaker_spend(&row, 234, end - 1);
	assert_int_equal(breaker_spent(&row, end - 1), 1234);
	assert_int_equal(breaker_spent(&row, end), 0);
	breaker_spend(&row, UINT64_MAX, end);
	breaker_spend(&row, UINT64_MAX, end);
	assert_true(breaker_spent(&row, end) > 1000000000000);
	assert_int_equal(breaker_minute_end(end), end + 60 * NS_PER_S);
}

/* One that others were answered with may be refused for what a call asks for. */
static void test_a_good_credential_is_not_bad_at_once(void **state)
{
	struct standing_row row = {0};

	(void)state;
	assert_false(take(&row, BACKEND_ANSWERED, T0));
	for (int i = 0; i < 100; i++)
		assert_false(take(&row, BACKEND_CREDENTIAL, T0 + 30 * NS_PER_S - 1));
	/* Nobody is answered any more. */
	assert_false(take(&row, BACKEND_CREDENTIAL, T0 + 30 * NS_PER_S));
	assert_false(take(&row, BACKEND_CREDENTIAL, T0 + 30 * NS_PER_S));
	assert_true(take(&row, BACKEND_CREDENTIAL, T0 + 30 * NS_PER_S));
	assert_int_equal(row.reason, BACKEND_CREDENTIAL);
}

static void test_nearly_empty(void **state)
{
	struct reading reading = {
		.requests = {.has_remaining = true, .remaining = 0, .has_reset = true,
			.reset_ns = 5 * NS_PER_S},
		.tokens = {.has_remaining = true, .remaining = 9000, .has_limit = true,
			.limit = 100000},
	};
	struct standing_row row = {0};

	(void)state;
	breaker_record(&row, &rules, BACKEND_ANSWERED, &reading, false, T0);
	assert_int_equal(state_at(&row, T0 + 5 * NS_PER_S - 1), BREAKER_LOW);
	assert_int_equal(state_at(&row, T0 + 5 * NS_PER_S), BREAKER_CLOSED);
	/* Something is left again: that is known before the reset. */
	reading.requests.remaining = 1;
	breaker_record(&row, &rules, BACKEND_ANSWERED, &reading, false, T0 + 1);
	assert_int_equal(state_at(&row, T0 + 1), BREAKER_CLOSED);
	reading.tokens.remaining = 999; /* of a hundred thousand */
	breaker_record(&row, &rules, BACKEND_ANSWERED, &reading, false, T0 + 2);
	assert_int_equal(state_at(&row, T0 + 2), BREAKER_LOW);
}

static void test_a_budget_is_bounded(void **state)
{
	struct standing *standing = standing_new();
	struct standing_budget *budget = standing_budget(standing, SLICE("chat"));
	unsigned spent = 0;

	(void)state;
	while (budget_spend(budget, T0))
		spent++;
	assert_int_equal(spent, BUDGET_MOST);
	assert_int_equal(budget->refused, 1);
	for (int i = 0; i < 5; i++) {
		assert_false(budget_spend(budget, T0));
		budget_earn(budget, 20, T0);
	}
	assert_true(budget_spend(budget, T0));
	assert_false(budget_spend(budget, T0 + 99 * NS_PER_MS));
	assert_true(budget_spend(budget, T0 + 100 * NS_PER_MS));
	assert_false(budget_spend(budget, T0 + 100 * NS_PER_MS));
	for (spent = 0; budget_spend(budget, T0 + 3600 * NS_PER_S);)
		spent++;
	assert_int_equal(spent, BUDGET_MOST);
	standing_free(standing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_in_a_row_open_it),
		cmocka_unit_test(test_the_ratio_opens_it),
		cmocka_unit_test(test_an_older_window_does_not_count),
		cmocka_unit_test(test_one_tries),
		cmocka_unit_test(test_a_probe_decides),
		cmocka_unit_test(test_it_comes_back_slowly),
		cmocka_unit_test(test_a_pause_is_kept),
		cmocka_unit_test(test_a_pause_without_a_time_doubles),
		cmocka_unit_test(test_the_trip_time_is_what_was_asked_for),
		cmocka_unit_test(test_a_credential_opens_it_at_once),
		cmocka_unit_test(test_another_credential_is_tried_at_once),
		cmocka_unit_test(test_what_is_used_in_a_minute),
		cmocka_unit_test(test_a_good_credential_is_not_bad_at_once),
		cmocka_unit_test(test_nearly_empty),
		cmocka_unit_test(test_a_budget_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
