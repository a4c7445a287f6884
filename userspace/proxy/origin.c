// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/origin.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "io/socket.h"

/* More addresses of one name than this are not tried. */
#define ORIGIN_ADDRESSES 8

struct origin {
	struct list node;
	struct origins *origins;
	char *host;
	uint16_t port;
	const struct address_port *addresses;
	size_t naddresses;
	struct list idle;	/* most recently used first */
	uint32_t nidle;
};

struct origins {
	struct turn *turn;
	const struct config *config;
	struct resolver *resolver;
	struct tls_origin_leg *leg;
	struct counters *counters;
	struct h1_limits limits;
	struct list all;
	ev_timer sweep;
	struct log_limit unverified_log;
};

/* A connection being made: name → addresses, one after the other → handshake → verdict. */
struct origin_request {
	struct origins *origins;
	struct origin *origin;
	const struct origin_user *handler;
	origin_done *done;
	void *user;
	struct origin_request **self; /* the user's pointer to us */
	uint64_t lookup;
	bool resolving;
	bool starting;	/* origin_start is on the stack: it goes on itself */
	struct address_port addresses[ORIGIN_ADDRESSES];
	size_t naddresses, next;
	struct origin_connection *connection;
	ev_timer deadline;
	uint64_t started_ns;
	struct origin_failure failure;
};

static void origin_ready(void *owner);
static void origin_readable(void *owner);
static void origin_drained(void *owner);
static void origin_failed(void *owner, int error);

static const struct stream_handler origin_handler = {
	.ready = origin_ready,
	.readable = origin_readable,
	.drained = origin_drained,
	.failed = origin_failed,
};

static void origin_connection_free(struct origin_connection *c)
{
	list_remove(&c->node);
	if (c->stream.flooded)
		counter_add(c->origin->origins->counters, COUNTER_ORIGIN_FLOODED, 1);
	stream_close(&c->stream);
	h1_reader_free(c->reader);
	free(c);
}

static void origin_close_idle(struct origin_connection *c)
{
	c->origin->nidle--;
	origin_connection_free(c);
}

static void origins_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct origins *origins = timer->data;
	uint64_t now = clock_monotonic_ns();

	(void)loop;
	(void)events;
	list_for_each (at, &origins->all) {
		struct origin *origin = list_entry(at, struct origin, node);

		list_for_each_safe (idle, &origin->idle) {
			struct origin_connection *c =
				list_entry(idle, struct origin_connection, node);

			if (now - c->idle_since_ns >= origins->config->origin.keepalive_ns)
				origin_close_idle(c);
		}
	}
}

struct origins *origins_new(struct turn *turn, const struct config *config,
	struct resolver *resolver, struct tls_origin_leg *leg, struct counters *counters,
	struct why *why)
{
	struct origins *origins = calloc(1, sizeof(*origins));

	if (!origins) {
		why_set(why, ENOMEM, "origins: out of memory");
		return NULL;
	}
	origins->turn = turn;
	origins->config = config;
	origins->resolver = resolver;
	origins->leg = leg;
	origins->counters = counters;
	origins->limits =
		(struct h1_limits){config->http.head_max, config->http.headers_max, 0};
	list_init(&origins->all);
	ev_timer_init(&origins->sweep, origins_sweep, 1, 1);
	origins->sweep.data = origins;
	ev_timer_start(turn->loop, &origins->sweep);
	ev_unref(turn->loop);
	return origins;
}

void origins_free(struct origins *origins)
{
	if (!origins)
		return;
	list_for_each_safe (at, &origins->all) {
		struct origin *origin = list_entry(at, struct origin, node);

		list_for_each_safe (idle, &origin->idle)
			origin_close_idle(list_entry(idle, struct origin_connection, node));
		list_remove(&origin->node);
		free(origin->host);
		free(origin);
	}
	ev_ref(origins->turn->loop);
	ev_timer_stop(origins->turn->loop, &origins->sweep);
	free(origins);
}

static struct origin *origin_find(struct origins *origins, const struct origin_target *target)
{
	struct origin *origin;

	list_for_each (at, &origins->all) {
		origin = list_entry(at, struct origin, node);
		if (origin->port == target->port && origin->addresses == target->addresses &&
			strcmp(origin->host, target->host) == 0)
			return origin;
	}
	origin = calloc(1, sizeof(*origin));
	if (!origin)
		return NULL;
	origin->host = strdup(target->host);
	if (!origin->host) {
		free(origin);
		return NULL;
	}
	origin->origins = origins;
	origin->port = target->port;
	origin->addresses = target->addresses;
	origin->naddresses = target->naddresses;
	list_init(&origin->idle);
	list_append(&origins->all, &origin->node);
	return origin;
}

/* Ends the request: its user hears of the connection, or of the failure. */
static void origin_answer(struct origin_request *r, struct origin_connection *connection)
{
	ev_timer_stop(r->origins->turn->loop, &r->deadline);
	*r->self = NULL;
	if (connection) {
		connection->opening = NULL;
		connection->handler = r->handler;
		connection->user = r->user;
	}
	r->done(r->user, connection, connection ? NULL : &r->failure);
	free(r);
}

/* A socket on its way to the address: its descriptor, or a negative errno. */
static int origin_dial(const struct address_port *address, const struct config_tcp *tcp)
{
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(address, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	socket_prepare(fd, tcp);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

/* Starts the handshake with the next address. 0; or, with the failure set, a negative errno. */
static int origin_open_next(struct origin_request *r)
{
	struct origins *origins = r->origins;
	const struct address_port *address = &r->addresses[r->next++];
	struct origin_connection *c;
	SSL *ssl;
	int fd;

	fd = origin_dial(address, &origins->config->tcp);
	if (fd < 0) {
		r->failure.type = "origin_unreachable";
		return why_set(&r->failure.why, -fd, "%s at %s: %s", r->origin->host,
			address_port_format(address).text, strerror(-fd));
	}
	c = calloc(1, sizeof(*c));
	ssl = c ? tls_origin_leg_connect(origins->leg, r->origin->host) : NULL;
	if (ssl)
		c->reader = h1_reader_new(HEAD_RESPONSE, &origins->limits);
	if (!ssl || !c->reader || stream_open(&c->stream, origins->turn, fd, ssl,
					  origins->config->http.window, &origin_handler, c) < 0) {
		SSL_free(ssl);
		if (c)
			h1_reader_free(c->reader);
		free(c);
		close(fd);
		r->failure.type = "origin_unreachable";
		return why_set(&r->failure.why, ENOMEM, "%s: out of memory", r->origin->host);
	}
	list_init(&c->node);
	c->origin = r->origin;
	c->opening = r;
	c->address = *address;
	r->connection = c;
	ev_timer_again(origins->turn->loop, &r->deadline);
	stream_handshake(&c->stream);
	return 0;
}

/* Tries the addresses that are left; answers when there is none. */
static void origin_open(struct origin_request *r)
{
	while (r->next < r->naddresses)
		if (origin_open_next(r) == 0)
			return;
	counter_add(r->origins->counters, COUNTER_ORIGIN_UNREACHABLE, 1);
	origin_answer(r, NULL);
}

static void origin_give_up_address(struct origin_request *r)
{
	struct origin_connection *c = r->connection;

	r->connection = NULL;
	origin_connection_free(c);
	origin_open(r);
}

static void origin_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct origin_request *r = timer->data;

	(void)loop;
	(void)events;
	r->failure.type = "origin_timeout";
	r->failure.timeout = true;
	if (r->resolving) {
		resolver_cancel(r->origins->resolver, r->lookup);
		why_set(&r->failure.why, ETIMEDOUT, "%s: its address was not resolved in time",
			r->origin->host);
		origin_answer(r, NULL);
		return;
	}
	why_set(&r->failure.why, ETIMEDOUT, "%s at %s: no connection in time", r->origin->host,
		address_port_format(&r->connection->address).text);
	origin_give_up_address(r);
}

/* The origin is not who it should be: no other address is tried, nothing was sent. */
static void origin_reject(struct origin_request *r, const char *name)
{
	struct origin_connection *c = r->connection;
	uint64_t left_out;

	r->failure.type = name;
	r->failure.unverified = true;
	r->failure.timeout = false;
	r->connection = NULL;
	counter_add(r->origins->counters, COUNTER_ORIGIN_UNVERIFIED, 1);
	if (log_limit(&r->origins->unverified_log, &left_out))
		log_warning("%s (%" PRIu64 " more were not logged)", r->failure.why.text, left_out);
	origin_connection_free(c);
	origin_answer(r, NULL);
}

static void origin_ready(void *owner)
{
	struct origin_connection *c = owner;
	struct origin_request *r = c->opening;
	const char *name = NULL;

	if (tls_origin_verdict(c->stream.ssl, 0, &r->failure.why, &name) < 0) {
		origin_reject(r, name);
		return;
	}
	c->connect_ns = clock_monotonic_ns() - r->started_ns;
	counter_add(r->origins->counters, COUNTER_ORIGIN_CONNECTED, 1);
	origin_answer(r, c);
}

static void origin_failed(void *owner, int error)
{
	struct origin_connection *c = owner;
	struct origin_request *r = c->opening;
	const char *name = NULL;

	if (!r) {
		if (c->handler)
			c->handler->failed(c->user, error);
		else
			origin_close_idle(c);
		return;
	}
	/* A refused certificate ends the handshake; the verdict knows its reason. */
	if (error == EPROTO && tls_origin_verdict(c->stream.ssl, c->stream.error_number,
				       &r->failure.why, &name) == -EKEYREJECTED) {
		origin_reject(r, name);
		return;
	}
	r->failure.timeout = false;
	r->failure.type = error == EPROTO ? "origin_tls" : "origin_unreachable";
	if (error != EPROTO)
		why_set(&r->failure.why, error, "%s at %s: %s", r->origin->host,
			address_port_format(&c->address).text, strerror(error));
	origin_give_up_address(r);
}

static void origin_readable(void *owner)
{
	struct origin_connection *c = owner;
	char byte;
	ssize_t got;

	if (c->handler) {
		c->handler->readable(c->user);
		return;
	}
	/* Idle: session tickets may come, anything else ends the connection. */
	got = stream_read(&c->stream, &byte, 1);
	if (got != -EAGAIN)
		origin_close_idle(c);
}

static void origin_drained(void *owner)
{
	struct origin_connection *c = owner;

	if (c->handler)
		c->handler->drained(c->user);
}

/* Goes on with the addresses that were found, or with the failure to find any. */
static void origin_found(struct origin_request *r)
{
	if (r->naddresses) {
		origin_open(r);
		return;
	}
	counter_add(r->origins->counters, COUNTER_ORIGIN_UNRESOLVED, 1);
	origin_answer(r, NULL);
}

static void origin_resolved(void *context, int error, const struct resolver_answer *answer)
{
	struct origin_request *r = context;

	r->resolving = false;
	if (error) {
		r->failure.type = "origin_unresolved";
		why_set(&r->failure.why, EHOSTUNREACH, "%s: its address could not be resolved: %s",
			r->origin->host, strerror(-error));
	}
	for (size_t i = 0; answer && i < answer->n && r->naddresses < ORIGIN_ADDRESSES; i++)
		r->addresses[r->naddresses++] =
			(struct address_port){answer->addresses[i], r->origin->port};
	if (!r->starting)
		origin_found(r);
}

static struct origin_connection *origin_take_idle(struct origin *origin)
{
	struct origin_connection *c;

	if (list_empty(&origin->idle))
		return NULL;
	c = list_entry(origin->idle.next, struct origin_connection, node);
	list_remove(&c->node);
	origin->nidle--;
	c->reused = true;
	c->connect_ns = 0;
	return c;
}

static void origin_start(struct origin_request *r)
{
	struct origins *origins = r->origins;
	int error;

	if (r->origin->naddresses) {
		while (r->naddresses < r->origin->naddresses && r->naddresses < ORIGIN_ADDRESSES) {
			r->addresses[r->naddresses] = r->origin->addresses[r->naddresses];
			if (!r->addresses[r->naddresses].port)
				r->addresses[r->naddresses].port = r->origin->port;
			r->naddresses++;
		}
		origin_open(r);
		return;
	}
	r->resolving = true;
	r->starting = true;
	ev_timer_again(origins->turn->loop, &r->deadline);
	error = resolver_lookup(
		origins->resolver, r->origin->host, origin_resolved, r, &r->lookup);
	if (error)
		origin_resolved(r, error, NULL);
	r->starting = false;
	if (!r->resolving)
		origin_found(r);
}

void origin_acquire(struct origins *origins, const struct origin_target *target, bool fresh,
	const struct origin_user *handler, origin_done *done, void *user,
	struct origin_request **request)
{
	struct origin_failure failure = {.type = "origin_unreachable"};
	struct origin *origin = origin_find(origins, target);
	struct origin_connection *idle = origin && !fresh ? origin_take_idle(origin) : NULL;
	struct origin_request *r;

	*request = NULL;
	if (idle) {
		idle->handler = handler;
		idle->user = user;
		done(user, idle, NULL);
		return;
	}
	r = origin ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		why_set(&failure.why, ENOMEM, "%s: out of memory", target->host);
		done(user, NULL, &failure);
		return;
	}
	r->origins = origins;
	r->origin = origin;
	r->handler = handler;
	r->done = done;
	r->user = user;
	r->self = request;
	r->started_ns = clock_monotonic_ns();
	ev_timer_init(&r->deadline, origin_timed_out, 0,
		(double)origins->config->origin.connect_ns / (double)NS_PER_S);
	r->deadline.data = r;
	*request = r;
	origin_start(r);
}

void origin_cancel(struct origin_request *request)
{
	ev_timer_stop(request->origins->turn->loop, &request->deadline);
	if (request->resolving)
		resolver_cancel(request->origins->resolver, request->lookup);
	if (request->connection)
		origin_connection_free(request->connection);
	*request->self = NULL;
	free(request);
}

void origin_release(struct origin_connection *c, bool reusable)
{
	struct origin *origin = c->origin;

	c->handler = NULL;
	c->user = NULL;
	if (!reusable || origin->nidle >= origin->origins->config->origin.pool_max ||
		stream_has_pending(&c->stream) || buf_len(&c->stream.out)) {
		origin_connection_free(c);
		return;
	}
	c->idle_since_ns = clock_monotonic_ns();
	stream_watch(&c->stream, true);
	list_insert_after(&origin->idle, &c->node);
	origin->nidle++;
}
