// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/worker_listeners.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* Orphaned workers close their listeners in the turn of the loop in which they miss the parent. */
#define PORT_WAIT_NS (3 * NS_PER_S)

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

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

static int listener_place(const struct worker_listener *listener, struct datapath *datapath,
	unsigned worker, struct why *why)
{
	int error = datapath_worker_set(datapath, worker, listener->fd4, listener->fd6);

	return error ? why_set(why, -error, "datapath: cannot set the listeners of worker %u: %s",
			       worker, strerror(-error))
		     : 0;
}

static int listener_open(struct worker_listener *listener, const struct config *config,
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

int worker_listeners_adopt(struct worker_listeners *listeners, int fd4, int fd6)
{
	if (listeners->n == WORKERS_MAX)
		return -ENOSPC;
	listeners->each[listeners->n++] = (struct worker_listener){fd4, fd6};
	return 0;
}

int worker_listeners_place(
	const struct worker_listeners *listeners, struct datapath *datapath, struct why *why)
{
	int error = 0;

	for (unsigned i = 0; i < listeners->n && !error; i++)
		error = listener_place(&listeners->each[i], datapath, i, why);
	return error;
}

int worker_listeners_grow(struct worker_listeners *listeners, const struct config *config,
	struct datapath *datapath, unsigned n, struct why *why)
{
	unsigned before = listeners->n;

	if (n > WORKERS_MAX)
		return why_set(
			why, EINVAL, "appliance.workers: at most %d, not %u", WORKERS_MAX, n);
	while (listeners->n < n) {
		int error = listener_open(
			&listeners->each[listeners->n], config, datapath, listeners->n, why);

		if (error) {
			worker_listeners_shrink(listeners, before);
			return error;
		}
		listeners->n++;
	}
	return 0;
}

void worker_listeners_shrink(struct worker_listeners *listeners, unsigned n)
{
	while (listeners->n > n) {
		struct worker_listener *listener = &listeners->each[--listeners->n];

		close_fd(&listener->fd4);
		close_fd(&listener->fd6);
	}
}
