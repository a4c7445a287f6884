/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backend/ares_loop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/slice.h"
#include "config/config.h"

struct socket_watch {
	struct list sockets;
	struct ares_loop *ares;
	ev_io io;
};

void ares_loop_wait(struct ares_loop *ares, bool at_once)
{
	struct timeval left;

	ev_timer_stop(ares->loop, &ares->timer);
	if (at_once)
		ev_timer_set(&ares->timer, 0.0, 0.0);
	else if (ares_timeout(ares->channel, NULL, &left))
		ev_timer_set(&ares->timer, (double)left.tv_sec + (double)left.tv_usec / 1e6, 0.0);
	else
		return;
	ev_timer_start(ares->loop, &ares->timer);
}

/* Nothing of it may be touched after this. */
static void process(struct ares_loop *ares, ares_socket_t readable, ares_socket_t writable)
{
	ares_process_fd(ares->channel, readable, writable);
	ares_loop_wait(ares, false);
	if (ares->after)
		ares->after(ares->context);
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	process(timer->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events)
{
	const struct socket_watch *watch = io->data;
	int fd = io->fd; /* c-ares may close it, and io with it */

	(void)loop;
	process(watch->ares, events & EV_READ ? fd : ARES_SOCKET_BAD,
		events & EV_WRITE ? fd : ARES_SOCKET_BAD);
}

static void socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
	struct ares_loop *ares = context;
	struct socket_watch *watch = NULL;
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

	list_for_each (node, &ares->sockets)
		if (list_entry(node, struct socket_watch, sockets)->io.fd == fd)
			watch = list_entry(node, struct socket_watch, sockets);
	if (!watch) {
		/* Without memory the query runs into its timeout. */
		if (!events || !(watch = calloc(1, sizeof(*watch))))
			return;
		watch->ares = ares;
		ev_init(&watch->io, socket_ready);
		watch->io.data = watch;
		list_append(&ares->sockets, &watch->sockets);
	} else {
		ev_io_stop(ares->loop, &watch->io);
	}
	if (!events) {
		list_remove(&watch->sockets);
		free(watch);
		return;
	}
	ev_io_set(&watch->io, fd, events);
	ev_io_start(ares->loop, &watch->io);
}

static int servers_set(ares_channel channel, const struct config_endpoints *endpoints)
{
	struct buf servers = BUF_EMPTY;
	int status = ARES_SUCCESS;

	if (endpoints->nresolvers == 0)
		return ARES_SUCCESS;
	for (size_t i = 0; i < endpoints->nresolvers && status == ARES_SUCCESS; i++) {
		struct address_port server = endpoints->resolvers[i];

		if (!server.port)
			server.port = 53;
		if (buf_printf(&servers, "%s%s", i ? "," : "", address_port_format(&server).text))
			status = ARES_ENOMEM;
	}
	if (status == ARES_SUCCESS && buf_append(&servers, "", 1))
		status = ARES_ENOMEM;
	if (status == ARES_SUCCESS)
		status = ares_set_servers_ports_csv(channel, buf_slice(&servers).data);
	buf_free(&servers);
	return status;
}

int ares_loop_open(struct ares_loop *ares, struct ares_options *options, int mask,
	const struct config_endpoints *endpoints, const char *who, struct why *why)
{
	int status;

	options->sock_state_cb = socket_state;
	options->sock_state_cb_data = ares;
	list_init(&ares->sockets);
	ev_init(&ares->timer, timer_fired);
	ares->timer.data = ares;
	status = ares_library_init(ARES_LIB_INIT_ALL);
	ares->library = status == ARES_SUCCESS;
	if (status == ARES_SUCCESS)
		status = ares_init_options(&ares->channel, options, mask | ARES_OPT_SOCK_STATE_CB);
	if (status == ARES_SUCCESS)
		status = servers_set(ares->channel, endpoints);
	if (status == ARES_SUCCESS)
		return 0;
	return why_set(why, EIO, "%s: c-ares does not start: %s; look at /etc/resolv.conf", who,
		ares_strerror(status));
}

void ares_loop_close(struct ares_loop *ares)
{
	if (!ares->library)
		return;
	if (ares->channel)
		ares_destroy(ares->channel);
	list_for_each_safe (node, &ares->sockets) {
		struct socket_watch *watch = list_entry(node, struct socket_watch, sockets);

		ev_io_stop(ares->loop, &watch->io);
		free(watch);
	}
	ev_timer_stop(ares->loop, &ares->timer);
	ares_library_cleanup();
}
