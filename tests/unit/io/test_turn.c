// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/turn.h"

struct scene {
	struct ev_loop *loop;
	struct turn turn;
	struct again first, second;
	struct garbage garbage;
	ev_timer timer;
	unsigned timers, firsts, seconds, freed;
	unsigned timers_at_first; /* when it was called last */
};

static struct scene scene; /* of the test that runs */

static void timer_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	scene.timers++;
}

static void free_garbage(struct garbage *garbage)
{
	assert_ptr_equal(garbage, &scene.garbage);
	scene.freed++;
}

/* Has always more to do. */
static void first_call(struct again *again)
{
	assert_ptr_equal(again, &scene.first);
	scene.firsts++;
	scene.timers_at_first = scene.timers;
	turn_again(&scene.turn, again);
}

static void second_call(struct again *again)
{
	(void)again;
	scene.seconds++;
}

static int set_up(void **state)
{
	(void)state;
	scene = (struct scene){.loop = ev_loop_new(0)};
	turn_open(&scene.turn, scene.loop);
	again_init(&scene.first, first_call);
	again_init(&scene.second, second_call);
	ev_timer_init(&scene.timer, timer_due, 1e-9, 1e-9);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ev_timer_stop(scene.loop, &scene.timer);
	turn_not_again(&scene.first);
	turn_close(&scene.turn);
	ev_loop_destroy(scene.loop);
	return 0;
}

/* Who asks during a call comes in the next turn: timers are not kept waiting. */
static void test_timers_run_between_two_shares(void **state)
{
	(void)state;
	ev_timer_start(scene.loop, &scene.timer);
	turn_again(&scene.turn, &scene.first);
	for (unsigned i = 1; i <= 5; i++) {
		ev_run(scene.loop, EVRUN_ONCE);
		assert_int_equal(scene.firsts, i);
	}
	assert_true(scene.timers >= 4);
	assert_true(scene.timers_at_first >= 3);
}

/* The loop does not wait for an event while somebody has more to do. */
static void test_asking_twice_is_asking_once(void **state)
{
	(void)state;
	turn_again(&scene.turn, &scene.second);
	turn_again(&scene.turn, &scene.second);
	ev_run(scene.loop, EVRUN_ONCE);
	assert_int_equal(scene.seconds, 1);
	ev_run(scene.loop, EVRUN_NOWAIT);
	assert_int_equal(scene.seconds, 1);
}

static void test_who_does_not_want_any_more_is_not_called(void **state)
{
	(void)state;
	turn_again(&scene.turn, &scene.second);
	turn_not_again(&scene.second);
	turn_not_again(&scene.second);
	ev_run(scene.loop, EVRUN_NOWAIT);
	assert_int_equal(scene.seconds, 0);
	/* It can ask later. */
	turn_again(&scene.turn, &scene.second);
	ev_run(scene.loop, EVRUN_NOWAIT);
	assert_int_equal(scene.seconds, 1);
}

static void test_garbage_is_freed_when_the_turn_ends(void **state)
{
	(void)state;
	turn_discard(&scene.turn, &scene.garbage, free_garbage);
	assert_int_equal(scene.freed, 0);
	ev_run(scene.loop, EVRUN_NOWAIT);
	assert_int_equal(scene.freed, 1);
	turn_discard(&scene.turn, &scene.garbage, free_garbage);
	turn_collect(&scene.turn);
	assert_int_equal(scene.freed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timers_run_between_two_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asking_twice_is_asking_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_who_does_not_want_any_more_is_not_called, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_garbage_is_freed_when_the_turn_ends, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
