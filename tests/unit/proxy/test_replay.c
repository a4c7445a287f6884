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

/* Far more than one piece, which comes and is forgotten in spans of every size. */
static void test_a_long_body_is_held_in_pieces(void **state)
{
	struct replay_total total = {.most = SIZE_MAX};
	static char span[100000];
	struct replay replay;
	uint64_t at, forgotten = 0;

	(void)state;
	replay_open(&replay, &total);
	for (size_t i = 0, n = 1; replay_end(&replay) < 3u << 20; n = (n * 3 + 1) % sizeof(span)) {
		for (size_t k = 0; k < n; k++)
			span[k] = (char)(i++ % 251);
		assert_int_equal(replay_append(&replay, slice_of(span, n)), 0);
	}
	assert_int_equal(total.held, replay_end(&replay));
	assert_int_equal(replay_from(&replay, 0).len, 256 << 10);
	for (int twice = 0; twice < 2; twice++) {
		for (at = 0; at < replay_end(&replay);) {
			struct slice piece = slice_first(replay_from(&replay, at), 77777);

			assert_true(piece.len > 0);
			for (size_t k = 0; k < piece.len; k++)
				assert_int_equal(piece.data[k], (char)((at + k) % 251));
			at += piece.len;
			if (!twice)
				continue;
			forgotten = at - piece.len / 2;
			replay_forget(&replay, forgotten);
			assert_int_equal(total.held, replay_end(&replay) - forgotten);
		}
	}
	assert_int_equal(replay_from(&replay, at).len, 0);
	replay_forget(&replay, at);
	assert_int_equal(total.held, 0);
	/* And another one follows on it. */
	assert_int_equal(replay_append(&replay, SLICE("more")), 0);
	assert_true(slice_equal(replay_from(&replay, at), SLICE("more")));
	replay_close(&replay);
	assert_int_equal(total.held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_forgotten_is_gone_and_the_rest_is_not),
		cmocka_unit_test(test_what_is_reserved_counts_once),
		cmocka_unit_test(test_a_long_body_is_held_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
