// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keeper/held.h"

#define NOW (1000 * NS_PER_S)

static bool takes(struct held *held, const char *value, uint64_t expires_ns)
{
	int error;
	bool other = held_take(held, slice_of_string(value), expires_ns, 0, NOW, &error);

	assert_int_equal(error, 0);
	return other;
}

static void another_value_has_another_version(void **state)
{
	struct held held = {.value = NULL};

	(void)state;
	assert_int_equal(held_state(&held, NOW), CREDENTIAL_STATE_AWAITED);
	assert_true(takes(&held, "first-value", 0));
	assert_int_equal(held.version, 1);
	assert_false(takes(&held, "first-value", 0));
	assert_int_equal(held.version, 1);
	assert_true(takes(&held, "second-value", 0));
	assert_int_equal(held.version, 2);
	assert_int_equal(held_state(&held, NOW), CREDENTIAL_STATE_FRESH);
	held_free(&held);
}

static void the_last_good_value_stays_until_it_expires(void **state)
{
	struct held held = {.value = NULL};

	(void)state;
	held_fail(&held, "nobody answers", true, 0, 0, NOW);
	assert_int_equal(held_state(&held, NOW), CREDENTIAL_STATE_MISSING);
	takes(&held, "a-token", NOW + 100);
	assert_string_equal(held.error, "");
	held_fail(&held, "nobody answers", true, 0, 0, NOW);
	assert_int_equal(held_state(&held, NOW + 99), CREDENTIAL_STATE_KEPT);
	assert_int_equal(held_state(&held, NOW + 100), CREDENTIAL_STATE_MISSING);
	assert_true(slice_equal(secret_text(held.value), SLICE("a-token")));
	held_free(&held);
}

/* Whatever chance says, each pause is between half of its bound and its bound. */
static void pauses_double_up_to_a_minute_and_differ(void **state)
{
	(void)state;
	for (uint32_t chance = 0; chance < 2048; chance += 31) {
		struct held held = {.value = NULL};
		uint64_t bound = HELD_RETRY_FIRST_NS;

		for (int i = 0; i < 20; i++) {
			held_fail(&held, "no", true, 0, chance, NOW);
			assert_true(held.next_ns >= NOW + bound / 2);
			assert_true(held.next_ns <= NOW + bound);
			bound = bound * 2 < HELD_RETRY_MOST_NS ? bound * 2 : HELD_RETRY_MOST_NS;
		}
		takes(&held, "value", 0);
		held_fail(&held, "no", true, 0, chance, NOW);
		assert_true(held.next_ns <= NOW + HELD_RETRY_FIRST_NS);
		held_free(&held);
	}
}

static void who_is_asked_may_want_a_longer_pause_but_not_any(void **state)
{
	struct held held = {.value = NULL};

	(void)state;
	held_fail(&held, "429", true, 30 * NS_PER_S, 0, NOW);
	assert_int_equal(held.next_ns, NOW + 30 * NS_PER_S);
	held_fail(&held, "429", true, UINT64_MAX, 0, NOW);
	assert_int_equal(held.next_ns, NOW + HELD_PAUSE_MOST_NS);
	held_fail(&held, "429", true, 1, 0, NOW);
	assert_true(held.next_ns >= NOW + HELD_RETRY_FIRST_NS);
	/* A file is looked at when it changes. */
	held_fail(&held, "gone", false, 0, 0, NOW);
	assert_int_equal(held.next_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_value_has_another_version),
		cmocka_unit_test(the_last_good_value_stays_until_it_expires),
		cmocka_unit_test(pauses_double_up_to_a_minute_and_differ),
		cmocka_unit_test(who_is_asked_may_want_a_longer_pause_but_not_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
