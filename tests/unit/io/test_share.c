// SPDX-License-Identifier: GPL-2.0-or-later
/* The work of a turn is shared: nobody has more than the share of one, all together no more than
 * there is, and who waits is served in order, after those who just had input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/share.h"

#define TASKS 64

struct scene;

struct task {
	struct share share;
	struct scene *scene;
	int64_t left; /* work to be done still */
	unsigned runs;
};

struct scene {
	struct ev_loop *loop;
	struct turn turn;
	struct task tasks[TASKS];
	struct task *order[4096]; /* who ran */
	size_t ran;
	ev_check before; /* of a turn's work: at its beginning */
	int64_t work, most;
};

/* As readers do: small steps while there is work. */
static void run(struct share *share)
{
	struct task *task = list_entry(share, struct task, share);
	struct scene *scene = task->scene;
	struct work *work = share_work(share);

	task->runs++;
	if (scene->ran < sizeof(scene->order) / sizeof(scene->order[0]))
		scene->order[scene->ran++] = task;
	while (task->left > 0 && work_left(work)) {
		work_spend(work, 1000);
		task->left -= 1000;
		scene->work += 1000;
	}
	if (task->left > 0)
		share_wait(share);
}

static void turn_begins(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct scene *scene = watcher->data;

	(void)loop;
	(void)events;
	if (scene->work > scene->most)
		scene->most = scene->work;
	scene->work = 0;
}

static void scene_open(struct scene *scene)
{
	*scene = (struct scene){.loop = ev_loop_new(EVFLAG_AUTO)};
	turn_open(&scene->turn, scene->loop);
	ev_check_init(&scene->before, turn_begins);
	ev_set_priority(&scene->before, EV_MAXPRI);
	scene->before.data = scene;
	ev_check_start(scene->loop, &scene->before);
	ev_unref(scene->loop);
	for (size_t i = 0; i < TASKS; i++) {
		scene->tasks[i].scene = scene;
		share_init(&scene->tasks[i].share, &scene->turn, run);
	}
}

static void scene_close(struct scene *scene)
{
	ev_ref(scene->loop);
	ev_check_stop(scene->loop, &scene->before);
	turn_close(&scene->turn);
	ev_loop_destroy(scene->loop);
}

static void one_has_its_share_and_no_more(void **state)
{
	struct scene scene;
	struct work *work;

	(void)state;
	scene_open(&scene);
	work = share_work(&scene.tasks[0].share);
	assert_int_equal(work->left, TURN_SHARE);
	work_spend(work, TURN_SHARE + 5);
	assert_false(work_left(work));
	assert_false(work_left(share_work(&scene.tasks[0].share)));
	assert_true(work_left(share_work(&scene.tasks[1].share)));
	/* The last of all may overdraw it. */
	for (int i = 1; i < TURN_WORK / TURN_SHARE; i++)
		work_spend(share_work(&scene.tasks[i].share), TURN_SHARE);
	assert_false(work_left(share_work(&scene.tasks[TASKS - 1].share)));
	ev_run(scene.loop, EVRUN_NOWAIT);
	assert_true(work_left(share_work(&scene.tasks[0].share)));
	scene_close(&scene);
}

static void the_work_of_a_turn_is_bounded_whoever_waits(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene);
	for (size_t i = 0; i < TASKS; i++) {
		scene.tasks[i].left = 3 * TURN_SHARE;
		run(&scene.tasks[i].share);
	}
	scene.work = 0;
	ev_run(scene.loop, 0); /* until nobody waits */
	turn_begins(NULL, &scene.before, 0);
	assert_in_range(scene.most, 1, TURN_WORK + TURN_SHARE);
	for (size_t i = 0; i < TASKS; i++)
		assert_true(scene.tasks[i].left <= 0);
	scene_close(&scene);
}

static void who_waits_is_served_in_order(void **state)
{
	struct scene scene;
	size_t i;

	(void)state;
	scene_open(&scene);
	for (i = 0; i < TASKS; i++) {
		scene.tasks[i].left = 4 * TURN_SHARE;
		share_wait(&scene.tasks[i].share);
		share_wait(&scene.tasks[i].share); /* once */
	}
	share_cancel(&scene.tasks[5].share);
	ev_run(scene.loop, 0);
	assert_int_equal(scene.tasks[5].runs, 0);
	for (i = 0; i + TASKS - 1 < scene.ran; i++)
		assert_ptr_equal(scene.order[i], scene.order[i + TASKS - 1]);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_has_its_share_and_no_more),
		cmocka_unit_test(the_work_of_a_turn_is_bounded_whoever_waits),
		cmocka_unit_test(who_waits_is_served_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
