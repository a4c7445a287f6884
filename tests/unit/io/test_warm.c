// SPDX-License-Identifier: GPL-2.0-or-later
/* A connection that rests gives its memory back; of many in use the last ones keep theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/warm.h"

struct scene {
	struct ev_loop *loop;
	struct warms warms;
	struct warm warm[WARM_MOST + 2];
	unsigned cooled[WARM_MOST + 2];
};

static struct scene scene; /* of the test that runs */

static void cool(struct warm *warm)
{
	scene.cooled[warm - scene.warm]++;
}

static int set_up(void **state)
{
	(void)state;
	scene = (struct scene){.loop = ev_loop_new(0)};
	warms_open(&scene.warms, scene.loop);
	for (size_t i = 0; i < WARM_MOST + 2; i++)
		warm_init(&scene.warm[i], cool);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < WARM_MOST + 2; i++)
		warm_end(&scene.warms, &scene.warm[i]);
	warms_close(&scene.warms);
	ev_loop_destroy(scene.loop);
	return 0;
}

static void who_rests_is_cooled_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		warm_use(&scene.warms, &scene.warm[i]);
	warm_end(&scene.warms, &scene.warm[2]);
	/* Nobody keeps the loop alive by being warm. */
	ev_run(scene.loop, 0);
	ev_ref(scene.loop);
	while (!scene.cooled[1])
		ev_run(scene.loop, EVRUN_ONCE);
	ev_unref(scene.loop);
	assert_int_equal(scene.cooled[0], 1);
	assert_int_equal(scene.cooled[1], 1);
	assert_int_equal(scene.cooled[2], 0);
	assert_int_equal(scene.warms.n, 0);
	assert_false(ev_is_active(&scene.warms.rest));
}

static void of_many_the_one_used_least_lately_is_cooled(void **state)
{
	(void)state;
	for (size_t i = 0; i < WARM_MOST; i++)
		warm_use(&scene.warms, &scene.warm[i]);
	warm_use(&scene.warms, &scene.warm[0]);
	assert_int_equal(scene.cooled[1], 0);
	warm_use(&scene.warms, &scene.warm[WARM_MOST]);
	assert_int_equal(scene.cooled[0], 0);
	assert_int_equal(scene.cooled[1], 1);
	/* One that has ended makes room. */
	warm_end(&scene.warms, &scene.warm[5]);
	warm_use(&scene.warms, &scene.warm[WARM_MOST + 1]);
	assert_int_equal(scene.cooled[2], 0);
	assert_int_equal(scene.warms.n, WARM_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_rests_is_cooled_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			of_many_the_one_used_least_lately_is_cooled, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
