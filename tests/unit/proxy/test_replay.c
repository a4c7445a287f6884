// SPDX-License-Identifier: GPL-2.0-or-later
/* Copies of bodies, and the bound that they share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/replay.h"

static void test_what_is_forgotten_is_gone_and_the_rest_is_not(void **state)
{
	struct replay_total total = {.most = 100};
	struct replay replay;

	(void)state;
	replay_open(&replay, &total);
	assert_int_equal(replay_append(&replay, SLICE("hello ")), 0);
	assert_int_equal(replay_append(&replay, SLICE("world")), 0);
	assert_true(replay_is_whole(&replay));
	assert_true(slice_equal(replay_from(&replay, 0), SLICE("hello world")));
	replay_forget(&replay, 6);
	assert_false(replay_is_whole(&replay));
	assert_true(slice_equal(replay_from(&replay, 6), SLICE("world")));
	assert_int_equal(replay_end(&replay), 11);
	assert_int_equal(total.held, 5);
	replay_close(&replay);
	assert_int_equal(replay_end(&replay), 11);
	replay_close(&replay);
	assert_int_equal(total.held, 0);
}

static void test_what_is_reserved_counts_once(void **state)
{
	struct replay_total total = {.most = 100};
	struct replay one, other;

	(void)state;
	replay_open(&one, &total);
	replay_open(&other, &total);
	replay_append(&one, SLICE("0123456789"));
	assert_true(replay_reserve(&one, 60));
	assert_int_equal(total.held, 60);
	replay_append(&one, SLICE("0123456789"));
	assert_int_equal(total.held, 60);
	assert_false(replay_reserve(&other, 41));
	assert_true(replay_reserve(&other, 40));
	assert_false(replay_may_grow(&one));
	assert_false(replay_reserve(&one, UINT64_MAX));
	replay_forget(&one, 20);
	assert_int_equal(total.held, 40);
	/* What each needs is never refused. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(replay_append(&one, SLICE("0123456789")), 0);
	assert_int_equal(total.held, 140);
	assert_false(replay_reserve(&other, 41));
	replay_close(&one);
	replay_close(&other);
	assert_int_equal(total.held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_forgotten_is_gone_and_the_rest_is_not),
		cmocka_unit_test(test_what_is_reserved_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
