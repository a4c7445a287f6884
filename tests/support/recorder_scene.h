/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recorder with both ends of its ring. */
#ifndef TESTS_SUPPORT_RECORDER_SCENE_H
#define TESTS_SUPPORT_RECORDER_SCENE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "audit/recorder.h"
#include "base/counter.h"
#include "base/ring.h"

struct recorder_scene {
	struct ev_loop *loop;
	struct recorder *recorder; /* of stream 1 */
	struct ring *ring;	   /* as the shipper has it */
	int ring_fd, wake_shipper, wake_worker;
	_Atomic uint64_t counted[COUNTER_ROWS];
	struct counters counters;
};

/* waits: the recorder makes events wait for room. */
void recorder_scene_open(struct recorder_scene *scene, uint64_t ring_bytes, bool waits);
void recorder_scene_close(struct recorder_scene *scene);

#endif
