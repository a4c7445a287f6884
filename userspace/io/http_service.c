// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/http_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define IDLE_S	10u
#define LOOK_S	1.0 /* between two looks at the time */
#define BACKLOG 64
/* What libmicrohttpd may accept before the next look. */
#define ROOM	16

struct http_connection {
	int fd; /* -1: free */
	bool cut;
	uint64_t until_ns;
};

struct http_service {
	struct http_service_options options;
	struct MHD_Daemon *daemon;
	ev_io ready;
	ev_timer timer; /* libmicrohttpd's own, and ours */
	struct http_connection *connections;
};

/* Cuts the oldest one when hardly any is free; libmicrohttpd closes what was cut in its next turn. */
static void room_make(struct http_service *service)
{
	struct http_connection *oldest = NULL;
	unsigned used = 0;

	for (size_t i = 0; i < service->options.connections; i++) {
		struct http_connection *each = &service->connections[i];

		if (each->fd < 0)
			continue;
		used++;
		if (!each->cut && (!oldest || each->until_ns < oldest->until_ns))
			oldest = each;
	}
	if (!oldest || used + ROOM <= service->options.connections)
		return;
	oldest->cut = true;
	shutdown(oldest->fd, SHUT_RDWR);
}

static void connection_notified(void *context, struct MHD_Connection *connection, void **place,
	enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_service *service = context;
	struct http_connection *mine = *place;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED && mine)
		mine->fd = -1;
	if (code != MHD_CONNECTION_NOTIFY_STARTED || !info)
		return;
	if (service->options.newest_first)
		room_make(service);
	for (size_t i = 0; i < service->options.connections; i++) {
		mine = &service->connections[i];
		if (mine->fd >= 0)
			continue;
		mine->fd = info->connect_fd;
		mine->cut = false;
		mine->until_ns = clock_monotonic_ns() + service->options.connection_ns;
		*place = mine;
		return;
	}
}

/* libmicrohttpd's timeout starts again with every byte. */
static void connections_sweep(struct http_service *service)
{
	uint64_t now = clock_monotonic_ns();

	for (size_t i = 0; i < service->options.connections; i++)
		if (service->connections[i].fd >= 0 && service->connections[i].until_ns <= now)
			shutdown(service->connections[i].fd, SHUT_RDWR);
}

static void timer_set(struct http_service *service)
{
	MHD_UNSIGNED_LONG_LONG left;
	double s = LOOK_S;

	if (MHD_get_timeout(service->daemon, &left) == MHD_YES && (double)left / 1e3 < s)
		s = (double)left / 1e3;
	ev_timer_stop(service->options.loop, &service->timer);
	ev_timer_set(&service->timer, s, 0.0);
	ev_timer_start(service->options.loop, &service->timer);
}

static void service_run(struct http_service *service)
{
	connections_sweep(service);
	MHD_run(service->daemon);
	timer_set(service);
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	service_run(io->data);
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	service_run(timer->data);
}

/* libmicrohttpd tells no reason for which it does not listen: the socket is made here. */
int http_service_listen(const struct address_port *address, struct why *why)
{
	struct sockaddr_storage storage;
	socklen_t len = address_port_to_sockaddr(address, &storage);
	int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int yes = 1;
	int error = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
		bind(fd, (struct sockaddr *)&storage, len) < 0 || listen(fd, BACKLOG) < 0) {
		error = errno;
		if (fd >= 0)
			close(fd);
		return why_set(why, error, "cannot listen on %s: %s",
			address_port_format(address).text, strerror(error));
	}
	return fd;
}

struct http_service *http_service_new(const struct http_service_options *options, struct why *why)
{
	struct http_service *service = calloc(1, sizeof(*service));
	const union MHD_DaemonInfo *info = NULL;

	if (service)
		service->connections =
			calloc(options->connections, sizeof(*service->connections));
	if (!service || !service->connections)
		goto failed;
	service->options = *options;
	for (size_t i = 0; i < options->connections; i++)
		service->connections[i].fd = -1;
	ev_init(&service->timer, timer_fired);
	ev_init(&service->ready, socket_ready);
	service->timer.data = service->ready.data = service;
	service->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, options->answer,
		options->context, MHD_OPTION_LISTEN_SOCKET, options->fd,
		MHD_OPTION_CONNECTION_LIMIT, options->connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->memory, MHD_OPTION_CONNECTION_TIMEOUT,
		IDLE_S, MHD_OPTION_NOTIFY_CONNECTION, connection_notified, service, MHD_OPTION_END);
	if (service->daemon)
		info = MHD_get_daemon_info(service->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		goto failed;
	ev_io_set(&service->ready, info->epoll_fd, EV_READ);
	ev_io_start(options->loop, &service->ready);
	timer_set(service);
	return service;
failed:
	why_set(why, ENOMEM, "the HTTP server does not start");
	if (!service || !service->daemon)
		close(options->fd);
	http_service_free(service);
	return NULL;
}

void http_service_free(struct http_service *service)
{
	if (!service)
		return;
	if (service->daemon) {
		ev_io_stop(service->options.loop, &service->ready);
		ev_timer_stop(service->options.loop, &service->timer);
		/* Closes the listening socket as well. */
		MHD_stop_daemon(service->daemon);
	}
	free(service->connections);
	free(service);
}
