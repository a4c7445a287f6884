// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/event_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/ring.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct event_ring *event_ring_make(
	struct list *rings, uint32_t number, uint64_t bytes, int *worker_life, struct why *why)
{
	struct event_ring *ring = malloc(sizeof(*ring));
	int life[2] = {-1, -1};

	*worker_life = -1;
	if (!ring) {
		why_set(why, ENOMEM, "ring: no memory");
		return NULL;
	}
	*ring = (struct event_ring){.number = number, .wake_shipper = -1, .wake_worker = -1};
	list_append(rings, &ring->node);
	ring->life = -1;
	ring->ring = ring_create(bytes, why);
	if (ring->ring < 0)
		goto failed;
	ring->wake_shipper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->wake_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->wake_shipper < 0 || ring->wake_worker < 0 ||
		pipe2(life, O_CLOEXEC | O_NONBLOCK) < 0) {
		why_set(why, errno, "ring: cannot make its wake-ups: %m");
		goto failed;
	}
	ring->life = life[0];
	*worker_life = life[1];
	return ring;
failed:
	event_ring_free(ring);
	return NULL;
}

int event_ring_adopt(struct list *rings, const struct event_ring *ring)
{
	struct event_ring *adopted = malloc(sizeof(*adopted));

	if (!adopted)
		return -ENOMEM;
	*adopted = *ring;
	list_append(rings, &adopted->node);
	return 0;
}

struct event_ring *event_ring_find(struct list *rings, uint32_t number)
{
	list_for_each (node, rings) {
		struct event_ring *ring = list_entry(node, struct event_ring, node);

		if (ring->number == number)
			return ring;
	}
	return NULL;
}

void event_ring_free(struct event_ring *ring)
{
	list_remove(&ring->node);
	close_fd(&ring->ring);
	close_fd(&ring->wake_shipper);
	close_fd(&ring->wake_worker);
	close_fd(&ring->life);
	free(ring);
}
