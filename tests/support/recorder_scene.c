// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/recorder_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

void recorder_scene_open(struct recorder_scene *scene, uint64_t ring_bytes, bool waits)
{
	struct why why = {""};
	struct recorder_options options = {
		.counters = &scene->counters,
		.observer = "gate",
		.epoch = "0123456789abcdef",
		.stream = 1,
		.waits = waits,
	};

	*scene = (struct recorder_scene){.loop = ev_loop_new(EVFLAG_AUTO)};
	scene->counters.own = scene->counted;
	options.loop = scene->loop;
	scene->ring_fd = ring_create(ring_bytes, &why);
	assert_true(scene->ring_fd >= 0);
	scene->wake_shipper = eventfd(0, EFD_NONBLOCK);
	scene->wake_worker = eventfd(0, EFD_NONBLOCK);
	options.ring = dup(scene->ring_fd);
	options.wake_shipper = dup(scene->wake_shipper);
	options.wake_worker = dup(scene->wake_worker);
	if (recorder_new(&options, &scene->recorder, &why))
		fail_msg("%s", why.text);
	scene->ring = ring_map(scene->ring_fd, false, &why);
	assert_non_null(scene->ring);
}

void recorder_scene_close(struct recorder_scene *scene)
{
	recorder_free(scene->recorder);
	ring_unmap(scene->ring);
	close(scene->ring_fd);
	close(scene->wake_shipper);
	close(scene->wake_worker);
	ev_loop_destroy(scene->loop);
}
