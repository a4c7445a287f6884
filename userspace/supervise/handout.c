// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/handout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/ring.h"

/* Orphaned workers close their listeners in the turn of the loop in which they miss the parent. */
#define PORT_WAIT_NS (3 * NS_PER_S)

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int handout_open(struct handout *handout, struct why *why)
{
	*handout = (struct handout){.tickets = -1};
	list_init(&handout->rings);
	handout->ticket_keys = ticket_keys_create(&handout->tickets, why);
	return handout->ticket_keys ? 0 : -EIO;
}

int handout_inherit(struct handout *handout, int tickets, struct why *why)
{
	*handout = (struct handout){.tickets = -1};
	list_init(&handout->rings);
	handout->ticket_keys = ticket_keys_inherit(tickets, &handout->tickets, why);
	return handout->ticket_keys ? 0 : -EINVAL;
}

void handout_close(struct handout *handout)
{
	list_for_each_safe (node, &handout->rings)
		handout_ring_free(list_entry(node, struct handout_ring, node));
	handout_listeners_shrink(handout, 0);
	ticket_keys_unmap(handout->ticket_keys);
	close_fd(&handout->tickets);
}

/* ---- listeners ---- */

static int listen_patiently(
	const struct config *config, unsigned worker, int family, struct why *why)
{
	static const struct timespec pause = {0, 50000000};
	uint64_t until_ns = clock_monotonic_ns() + PORT_WAIT_NS;
	int fd;

	while ((fd = datapath_listener(config, worker, family, why)) == -EADDRINUSE &&
		clock_monotonic_ns() < until_ns)
		nanosleep(&pause, NULL);
	return fd;
}

static int listener_place(const struct handout_listener *listener, struct datapath *datapath,
	unsigned worker, struct why *why)
{
	int error = datapath_worker_set(datapath, worker, listener->fd4, listener->fd6);

	return error ? why_set(why, -error, "datapath: cannot set the listeners of worker %u: %s",
			       worker, strerror(-error))
		     : 0;
}

static int listener_open(struct handout_listener *listener, const struct config *config,
	struct datapath *datapath, unsigned worker, struct why *why)
{
	int error;

	listener->fd6 = -1;
	listener->fd4 = listen_patiently(config, worker, AF_INET, why);
	if (listener->fd4 < 0)
		return listener->fd4;
	listener->fd6 = listen_patiently(config, worker, AF_INET6, why);
	if (listener->fd6 == -EAFNOSUPPORT) {
		if (worker == 0)
			log_info("no IPv6 on this host: IPv4 only");
		listener->fd6 = -1;
	}
	error = listener->fd6 < -1 ? listener->fd6 : 0;
	if (!error)
		error = listener_place(listener, datapath, worker, why);
	if (error) {
		close_fd(&listener->fd4);
		close_fd(&listener->fd6);
	}
	return error;
}

int handout_listener_adopt(struct handout *handout, int fd4, int fd6)
{
	if (handout->nlisteners == WORKERS_MAX)
		return -ENOSPC;
	handout->listeners[handout->nlisteners++] = (struct handout_listener){fd4, fd6};
	return 0;
}

int handout_listeners_place(
	const struct handout *handout, struct datapath *datapath, struct why *why)
{
	int error = 0;

	for (unsigned i = 0; i < handout->nlisteners && !error; i++)
		error = listener_place(&handout->listeners[i], datapath, i, why);
	return error;
}

int handout_listeners_grow(struct handout *handout, const struct config *config,
	struct datapath *datapath, unsigned n, struct why *why)
{
	unsigned before = handout->nlisteners;

	if (n > WORKERS_MAX)
		return why_set(
			why, EINVAL, "appliance.workers: at most %d, not %u", WORKERS_MAX, n);
	while (handout->nlisteners < n) {
		int error = listener_open(&handout->listeners[handout->nlisteners], config,
			datapath, handout->nlisteners, why);

		if (error) {
			handout_listeners_shrink(handout, before);
			return error;
		}
		handout->nlisteners++;
	}
	return 0;
}

void handout_listeners_shrink(struct handout *handout, unsigned n)
{
	while (handout->nlisteners > n) {
		struct handout_listener *listener = &handout->listeners[--handout->nlisteners];

		close_fd(&listener->fd4);
		close_fd(&listener->fd6);
	}
}

/* ---- rings ---- */

struct handout_ring *handout_ring_make(
	struct handout *handout, uint32_t number, uint64_t bytes, int *worker_life, struct why *why)
{
	struct handout_ring *ring = malloc(sizeof(*ring));
	int life[2] = {-1, -1};

	*worker_life = -1;
	if (!ring) {
		why_set(why, ENOMEM, "ring: no memory");
		return NULL;
	}
	*ring = (struct handout_ring){.number = number, .wake_shipper = -1, .wake_worker = -1};
	list_append(&handout->rings, &ring->node);
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
	handout_ring_free(ring);
	return NULL;
}

int handout_ring_adopt(struct handout *handout, const struct handout_ring *ring)
{
	struct handout_ring *adopted = malloc(sizeof(*adopted));

	if (!adopted)
		return -ENOMEM;
	*adopted = *ring;
	list_append(&handout->rings, &adopted->node);
	return 0;
}

struct handout_ring *handout_ring_find(struct handout *handout, uint32_t number)
{
	list_for_each (node, &handout->rings) {
		struct handout_ring *ring = list_entry(node, struct handout_ring, node);

		if (ring->number == number)
			return ring;
	}
	return NULL;
}

void handout_ring_free(struct handout_ring *ring)
{
	list_remove(&ring->node);
	close_fd(&ring->ring);
	close_fd(&ring->wake_shipper);
	close_fd(&ring->wake_worker);
	close_fd(&ring->life);
	free(ring);
}
