// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/metrics_server.h"

#include <errno.h>
#include <ev.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define CONNECTIONS_MAX	  16
#define CONNECTION_MEMORY 16384 /* for a request's head */
#define IDLE_S		  10u
#define CONNECTION_NS	  (60 * NS_PER_S) /* in all, however it trickles */
#define DOCUMENT_NS	  NS_PER_S
#define LOOK_S		  1.0 /* between two looks at the time */

struct metrics_connection {
	int fd; /* -1: free */
	uint64_t until_ns;
};

struct metrics_server {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct metrics_document what;
	ev_io ready;
	ev_timer timer; /* libmicrohttpd's own, and ours */
	struct MHD_Response *document, *not_found, *not_allowed, *failed;
	unsigned status;
	uint64_t document_ns; /* when it was made */
	struct metrics_connection connections[CONNECTIONS_MAX];
};

static struct MHD_Response *response_of(void *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, mode);

	/* A connection is for one request: idle ones would take the places of others. */
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static struct MHD_Response *response_static(const char *text)
{
	struct MHD_Response *response =
		response_of((void *)(uintptr_t)text, strlen(text), MHD_RESPMEM_PERSISTENT);

	if (response)
		MHD_add_response_header(
			response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	return response;
}

/* The document, anew when it is older than a second. NULL: it cannot be made. */
static struct MHD_Response *document_get(struct metrics_server *server)
{
	uint64_t now = clock_monotonic_ns();
	struct why why = {""};
	char *text = NULL;
	size_t len = 0;
	int status;

	if (server->document && now - server->document_ns < DOCUMENT_NS)
		return server->document;
	if (server->document)
		MHD_destroy_response(server->document);
	server->document = NULL;
	status = server->what.make(server->what.context, &text, &len, &why);
	if (status < 0) {
		log_warning("%s: %s", server->what.path, why.text);
		return NULL;
	}
	server->status = (unsigned)status;
	server->document = response_of(text, len, MHD_RESPMEM_MUST_FREE);
	if (server->document) {
		MHD_add_response_header(
			server->document, MHD_HTTP_HEADER_CONTENT_TYPE, server->what.type);
		server->document_ns = clock_monotonic_ns();
	}
	return server->document;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *len, void **seen)
{
	struct metrics_server *server = context;
	struct MHD_Response *document;

	(void)version;
	(void)data;
	(void)len;
	(void)seen;
	/* Answered at the head: a body is not waited for. */
	if (strcmp(url, server->what.path) != 0)
		return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, server->not_found);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return MHD_queue_response(
			connection, MHD_HTTP_METHOD_NOT_ALLOWED, server->not_allowed);
	document = document_get(server);
	if (!document)
		return MHD_queue_response(
			connection, MHD_HTTP_INTERNAL_SERVER_ERROR, server->failed);
	return MHD_queue_response(connection, server->status, document);
}

static void connection_notified(void *context, struct MHD_Connection *connection, void **place,
	enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct metrics_server *server = context;
	struct metrics_connection *mine = *place;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED && mine)
		mine->fd = -1;
	if (code != MHD_CONNECTION_NOTIFY_STARTED || !info)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		mine = &server->connections[i];
		if (mine->fd >= 0)
			continue;
		mine->fd = info->connect_fd;
		mine->until_ns = clock_monotonic_ns() + CONNECTION_NS;
		*place = mine;
		return;
	}
}

/* libmicrohttpd's timeout starts again with every byte. */
static void connections_sweep(struct metrics_server *server)
{
	uint64_t now = clock_monotonic_ns();

	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (server->connections[i].fd >= 0 && server->connections[i].until_ns <= now)
			shutdown(server->connections[i].fd, SHUT_RDWR);
}

static void timer_set(struct metrics_server *server)
{
	MHD_UNSIGNED_LONG_LONG left;
	double s = LOOK_S;

	if (MHD_get_timeout(server->daemon, &left) == MHD_YES && (double)left / 1e3 < s)
		s = (double)left / 1e3;
	ev_timer_stop(server->loop, &server->timer);
	ev_timer_set(&server->timer, s, 0.0);
	ev_timer_start(server->loop, &server->timer);
}

static void server_run(struct metrics_server *server)
{
	connections_sweep(server);
	MHD_run(server->daemon);
	timer_set(server);
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	server_run(io->data);
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	server_run(timer->data);
}

/* libmicrohttpd tells no reason for which it does not listen: the socket is made here. */
static int listen_on(const struct address_port *address, struct why *why)
{
	struct sockaddr_storage storage;
	socklen_t len = address_port_to_sockaddr(address, &storage);
	int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int yes = 1;
	int error = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
		bind(fd, (struct sockaddr *)&storage, len) < 0 || listen(fd, CONNECTIONS_MAX) < 0) {
		error = errno;
		if (fd >= 0)
			close(fd);
		return why_set(why, error, "cannot listen on %s: %s",
			address_port_format(address).text, strerror(error));
	}
	return fd;
}

static bool responses_make(struct metrics_server *server)
{
	server->not_found = response_static(strcmp(server->what.path, "/metrics") == 0
						     ? "Not found. The metrics are at /metrics.\n"
						     : "Not found.\n");
	server->not_allowed = response_static("Only GET and HEAD.\n");
	server->failed = response_static("The kernel cannot be asked; the log tells why.\n");
	return server->not_found && server->failed && server->not_allowed &&
	       MHD_add_response_header(server->not_allowed, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") ==
		       MHD_YES;
}

struct metrics_server *metrics_server_new(struct ev_loop *loop, const struct address_port *address,
	const struct metrics_document *document, struct why *why)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	const union MHD_DaemonInfo *info;
	int fd = server ? listen_on(address, why) : why_set(why, ENOMEM, "no memory");

	if (fd < 0) {
		free(server);
		return NULL;
	}
	server->loop = loop;
	server->what = *document;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		server->connections[i].fd = -1;
	ev_init(&server->timer, timer_fired);
	ev_init(&server->ready, socket_ready);
	server->timer.data = server->ready.data = server;
	if (responses_make(server))
		server->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, server,
			MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
			(unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
			(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
			MHD_OPTION_NOTIFY_CONNECTION, connection_notified, server, MHD_OPTION_END);
	info = server->daemon ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)
			      : NULL;
	if (!info) {
		why_set(why, ENOMEM, "the HTTP server does not start");
		if (!server->daemon)
			close(fd);
		metrics_server_free(server);
		return NULL;
	}
	ev_io_set(&server->ready, info->epoll_fd, EV_READ);
	ev_io_start(loop, &server->ready);
	timer_set(server);
	return server;
}

void metrics_server_free(struct metrics_server *server)
{
	struct MHD_Response *responses[4];

	if (!server)
		return;
	ev_io_stop(server->loop, &server->ready);
	ev_timer_stop(server->loop, &server->timer);
	/* Closes the listening socket as well. */
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	responses[0] = server->document;
	responses[1] = server->not_found;
	responses[2] = server->not_allowed;
	responses[3] = server->failed;
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++)
		if (responses[i])
			MHD_destroy_response(responses[i]);
	free(server);
}
