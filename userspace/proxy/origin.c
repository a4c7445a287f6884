// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/origin.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "io/socket.h"
#include "proxy/dial.h"
#include "proxy/upstream_h1.h"

/* More addresses of one name than this are not tried. */
#define ORIGIN_ADDRESSES 8

/* There for as long as a connection or a request uses it: clients invent names. */
struct origin {
	struct origins *origins;
	struct origin_target target; /* host is owned */
	size_t uses;
	struct list idle;	/* most recently used first */
	uint32_t nidle;
};

struct origin_connection {
	struct stream stream;
	struct upstream_h1 wire;
	struct list node;	/* in the idle list of its origin */
	struct list recent;	/* in the idle list of all origins */
	struct origin *origin;
	struct origin_request *opening;
	uint64_t idle_since_ns;
};

struct origins {
	struct turn *turn;
	const struct config *config;
	struct resolver *resolver;
	struct tls_origin_leg *leg;
	struct counters *counters;
	struct h1_limits limits;
	void *all;		/* a balanced tree (tsearch) by target */
	struct list idle;	/* connections of all origins, most recently used first */
	size_t nidle, norigins;
	ev_timer sweep;
	struct log_limit unverified_log;
	char scratch[UPSTREAM_READ_SIZE]; /* of the connection that reads right now */
};

/* A connection being made: name → addresses, one after the other → handshake → verdict. */
struct origin_request {
	struct origins *origins;
	struct origin *origin;
	const struct upstream_user *handler;
	origin_done *done;
	void *user;
	struct origin_request **self; /* the user's pointer to us */
	uint64_t lookup;
	bool resolving;
	bool starting;	/* origin_start is on the stack: it goes on itself */
	struct address_port addresses[ORIGIN_ADDRESSES];
	size_t naddresses, next;
	struct dial *dial; /* by the proxy; or NULL */
	struct origin_connection *connection;
	ev_timer deadline;
	uint64_t started_ns;
	struct origin_failure failure;
};

static void origin_ready(void *owner);
static void origin_readable(void *owner);
static void origin_flushed(void *owner);
static void origin_rests(void *owner);
static void origin_failed(void *owner, int error);

static const struct stream_handler origin_handler = {
	.ready = origin_ready,
	.readable = origin_readable,
	.flushed = origin_flushed,
	.rests = origin_rests,
	.failed = origin_failed,
};

static int origin_compare(const void *a, const void *b)
{
	const struct origin_target *x = &((const struct origin *)a)->target,
				   *y = &((const struct origin *)b)->target;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->addresses != y->addresses)
		return x->addresses < y->addresses ? -1 : 1;
	if (x->leg != y->leg)
		return x->leg < y->leg ? -1 : 1;
	return strcmp(x->host, y->host);
}

static struct origin *origin_use(struct origin *origin)
{
	origin->uses++;
	return origin;
}

/* The last use frees it. */
static void origin_leave(struct origin *origin)
{
	if (--origin->uses)
		return;
	tdelete(origin, &origin->origins->all, origin_compare);
	origin->origins->norigins--;
	free((char *)origin->target.host);
	free(origin);
}

static void origin_connection_free(struct origin_connection *c)
{
	struct origin *origin = c->origin;

	list_remove(&c->node);
	list_remove(&c->recent);
	if (c->stream.flooded)
		counter_add(origin->origins->counters, COUNTER_ORIGIN_FLOODED, 1);
	stream_close(&c->stream);
	upstream_h1_close(&c->wire);
	free(c);
	origin_leave(origin);
}

/* No longer idle: it is used, or closed. */
static void origin_not_idle(struct origin_connection *c)
{
	list_remove(&c->node);
	list_remove(&c->recent);
	c->origin->nidle--;
	c->origin->origins->nidle--;
}

static void origin_close_idle(struct origin_connection *c)
{
	origin_not_idle(c);
	origin_connection_free(c);
}

static void origins_close_oldest(struct origins *origins)
{
	origin_close_idle(list_entry(origins->idle.prev, struct origin_connection, recent));
}

static void origins_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct origins *origins = timer->data;
	uint64_t now = clock_monotonic_ns();

	(void)loop;
	(void)events;
	while (!list_empty(&origins->idle)) {
		struct origin_connection *oldest =
			list_entry(origins->idle.prev, struct origin_connection, recent);

		if (now - oldest->idle_since_ns < origins->config->origin.keepalive_ns)
			return;
		origins_close_oldest(origins);
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
	list_init(&origins->idle);
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
	while (!list_empty(&origins->idle))
		origins_close_oldest(origins);
	ev_ref(origins->turn->loop);
	ev_timer_stop(origins->turn->loop, &origins->sweep);
	free(origins);
}

size_t origins_count(const struct origins *origins)
{
	return origins->norigins;
}

/* The origin of that target, new if need be, used once more; NULL without memory. */
static struct origin *origin_find(struct origins *origins, const struct origin_target *target)
{
	const struct origin key = {.target = *target};
	struct origin **found = tfind(&key, &origins->all, origin_compare), *origin;

	if (found)
		return origin_use(*found);
	origin = calloc(1, sizeof(*origin));
	if (!origin)
		return NULL;
	origin->origins = origins;
	origin->target = *target;
	origin->target.host = strdup(target->host);
	list_init(&origin->idle);
	if (!origin->target.host || !tsearch(origin, &origins->all, origin_compare)) {
		free((char *)origin->target.host);
		free(origin);
		return NULL;
	}
	origins->norigins++;
	return origin_use(origin);
}

/* The slot was released: the connection is kept for the next request when reusable, else closed. */
static void origin_release(struct upstream_h1 *wire, bool reusable)
{
	struct origin_connection *c = list_entry(wire, struct origin_connection, wire);
	struct origin *origin = c->origin;
	struct origins *origins = origin->origins;

	if (!reusable || origin->nidle >= origins->config->origin.pool_max ||
		!origins->config->origin.pool_total ||
		stream_has_pending(&c->stream) || buf_len(&c->stream.out)) {
		origin_connection_free(c);
		return;
	}
	c->idle_since_ns = clock_monotonic_ns();
	stream_watch(&c->stream, true);
	list_insert_after(&origin->idle, &c->node);
	list_insert_after(&origins->idle, &c->recent);
	origin->nidle++;
	if (++origins->nidle > origins->config->origin.pool_total)
		origins_close_oldest(origins);
}

/* Ends the request: its user hears of a slot, or of the failure. */
static void origin_answer(struct origin_request *r, struct origin_connection *connection)
{
	struct upstream_slot *slot = NULL;

	ev_timer_stop(r->origins->turn->loop, &r->deadline);
	*r->self = NULL;
	if (connection) {
		connection->opening = NULL;
		slot = upstream_h1_take(&connection->wire, r->handler, r->user);
	}
	r->done(r->user, slot, slot ? NULL : &r->failure);
	origin_leave(r->origin);
	free(r);
}

static void origin_open(struct origin_request *r);

/* Whoever has addresses of its own is called there. */
static bool origin_by_proxy(const struct origin_request *r)
{
	return r->origins->config->origin.proxy.port && !r->origin->target.naddresses;
}

/* Starts the handshake over that socket, which it takes. 0; or, with the failure set, a negative
 * errno. */
static int origin_secure(struct origin_request *r, const struct address_port *address, int fd)
{
	struct origins *origins = r->origins;
	struct origin_connection *c = calloc(1, sizeof(*c));
	SSL *ssl = c ? tls_origin_leg_connect(
			       r->origin->target.leg ? r->origin->target.leg : origins->leg,
			       r->origin->target.host)
		     : NULL;

	if (!ssl ||
		upstream_h1_open(&c->wire, &c->stream, origins->scratch, &origins->limits,
			origin_release) < 0 ||
		stream_open(&c->stream, origins->turn, fd, ssl, origins->config->http.window,
			&origin_handler, c) < 0) {
		SSL_free(ssl);
		if (c)
			upstream_h1_close(&c->wire);
		free(c);
		close(fd);
		r->failure.type = "origin_unreachable";
		return why_set(&r->failure.why, ENOMEM, "%s: out of memory", r->origin->target.host);
	}
	list_init(&c->node);
	list_init(&c->recent);
	c->origin = origin_use(r->origin);
	c->opening = r;
	c->wire.slot.address = *address;
	r->connection = c;
	stream_handshake(&c->stream);
	return 0;
}

static void origin_dialled(void *user, int fd, const struct why *why)
{
	struct origin_request *r = user;

	r->dial = NULL;
	if (fd >= 0 && origin_secure(r, &r->addresses[r->next - 1], fd) == 0)
		return;
	if (fd < 0) {
		r->failure.type = "proxy_refused";
		r->failure.timeout = false;
		r->failure.why = *why;
	}
	origin_open(r);
}

/* Starts the connection to the next address. 0; or, with the failure set, a negative errno. */
static int origin_open_next(struct origin_request *r)
{
	struct origins *origins = r->origins;
	const struct origin_target *target = &r->origin->target;
	const struct address_port *address = &r->addresses[r->next++];
	int fd, error;

	/* Before the handshake, which may end the request. */
	ev_timer_again(origins->turn->loop, &r->deadline);
	if (origin_by_proxy(r)) {
		r->failure.type = "proxy_refused";
		r->dial = dial_start(origins->turn->loop, address, &origins->config->tcp, target->host,
			target->port, origin_dialled, r, &r->failure.why);
		error = r->dial ? 0 : -EIO;
	} else {
		fd = dial_socket(address, &origins->config->tcp);
		error = fd < 0 ? fd : origin_secure(r, address, fd);
		if (fd < 0) {
			r->failure.type = "origin_unreachable";
			why_set(&r->failure.why, -fd, "%s at %s: %s", target->host,
				address_port_format(address).text, strerror(-fd));
		}
	}
	return error;
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
			r->origin->target.host);
		origin_answer(r, NULL);
		return;
	}
	why_set(&r->failure.why, ETIMEDOUT, "%s at %s: no connection in time", r->origin->target.host,
		address_port_format(&r->addresses[r->next - 1]).text);
	if (r->dial) {
		dial_cancel(r->dial);
		r->dial = NULL;
		origin_open(r);
		return;
	}
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
	c->wire.slot.connect_ns = clock_monotonic_ns() - r->started_ns;
	counter_add(r->origins->counters, COUNTER_ORIGIN_CONNECTED, 1);
	origin_answer(r, c);
}

static void origin_failed(void *owner, int error)
{
	struct origin_connection *c = owner;
	struct origin_request *r = c->opening;
	const char *name = NULL;

	if (!r) {
		if (c->wire.slot.handler)
			upstream_h1_failed(&c->wire, error);
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
		why_set(&r->failure.why, error, "%s at %s: %s", r->origin->target.host,
			address_port_format(&c->wire.slot.address).text, strerror(error));
	origin_give_up_address(r);
}

static void origin_readable(void *owner)
{
	struct origin_connection *c = owner;
	char byte;
	ssize_t got;

	if (c->wire.slot.handler) {
		upstream_h1_readable(&c->wire);
		return;
	}
	/* Idle: session tickets may come, anything else ends the connection. */
	got = stream_read(&c->stream, &byte, 1);
	if (got != -EAGAIN)
		origin_close_idle(c);
}

static void origin_rests(void *owner)
{
	struct origin_connection *c = owner;

	if (!c->opening)
		upstream_h1_rests(&c->wire);
}

static void origin_flushed(void *owner)
{
	struct origin_connection *c = owner;

	if (c->wire.slot.handler)
		upstream_h1_flushed(&c->wire);
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
			r->origin->target.host, strerror(-error));
	}
	for (size_t i = 0; answer && i < answer->n && r->naddresses < ORIGIN_ADDRESSES; i++)
		r->addresses[r->naddresses++] =
			(struct address_port){answer->addresses[i], r->origin->target.port};
	if (!r->starting)
		origin_found(r);
}

static struct origin_connection *origin_take_idle(struct origin *origin)
{
	struct origin_connection *c;

	if (list_empty(&origin->idle))
		return NULL;
	c = list_entry(origin->idle.next, struct origin_connection, node);
	origin_not_idle(c);
	c->wire.slot.reused = true;
	c->wire.slot.connect_ns = 0;
	return c;
}

static void origin_start(struct origin_request *r)
{
	struct origins *origins = r->origins;
	int error;

	if (r->origin->target.naddresses) {
		while (r->naddresses < r->origin->target.naddresses && r->naddresses < ORIGIN_ADDRESSES) {
			r->addresses[r->naddresses] = r->origin->target.addresses[r->naddresses];
			if (!r->addresses[r->naddresses].port)
				r->addresses[r->naddresses].port = r->origin->target.port;
			r->naddresses++;
		}
		origin_open(r);
		return;
	}
	if (origin_by_proxy(r)) {
		r->addresses[r->naddresses++] = origins->config->origin.proxy;
		origin_open(r);
		return;
	}
	r->resolving = true;
	r->starting = true;
	ev_timer_again(origins->turn->loop, &r->deadline);
	error = resolver_lookup(
		origins->resolver, r->origin->target.host, origin_resolved, r, &r->lookup);
	if (error)
		origin_resolved(r, error, NULL);
	r->starting = false;
	if (!r->resolving)
		origin_found(r);
}

void origin_acquire(struct origins *origins, const struct origin_target *target, bool fresh,
	const struct upstream_user *handler, origin_done *done, void *user,
	struct origin_request **request)
{
	struct origin_failure failure = {.type = "origin_unreachable"};
	struct origin *origin = origin_find(origins, target);
	struct origin_connection *idle = origin && !fresh ? origin_take_idle(origin) : NULL;
	struct origin_request *r;

	*request = NULL;
	if (idle) {
		origin_leave(origin); /* the connection uses it */
		done(user, upstream_h1_take(&idle->wire, handler, user), NULL);
		return;
	}
	r = origin ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		if (origin)
			origin_leave(origin);
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
	dial_cancel(request->dial);
	if (request->connection)
		origin_connection_free(request->connection);
	*request->self = NULL;
	origin_leave(request->origin);
	free(request);
}
