// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/downstream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/socket.h"
#include "proxy/bypass.h"
#include "proxy/bypass_event.h"
#include "proxy/downstream_h1.h"
#include "proxy/exchange.h"

#define CLIENT_MAGIC 0xc11e47u
/* After the last response: as long, and as much, as RFC 9112 section 9.6 needs. */
#define CLIENT_LINGER_NS (2 * NS_PER_S)
/* An idle connection of a worker that drains stays open this long, for a request on its way. */
#define CLIENT_DRAIN_NS (2 * NS_PER_S)
/* Reads of one turn of the loop, so that one client does not keep the others waiting. */
#define CLIENT_READS 4

static void client_close(struct client *client, bool reset);
static void client_resume(struct client *client);
static void client_exchange_done(struct client *client);
static int client_flush(struct client *client);
static void client_abort_response(void *to, const struct message_fault *fault);
static void client_hung_up(struct hangup *hangup);
static void client_ready(void *owner);
static void client_readable(void *owner);
static void client_flushed(void *owner);
static void client_failed(void *owner, int error);

static const struct stream_handler client_handler = {
	.ready = client_ready,
	.readable = client_readable,
	.flushed = client_flushed,
	.failed = client_failed,
};

static const struct client_ops client_ops = {
	.response = {downstream_h1_head, downstream_h1_body, downstream_h1_trailers,
		downstream_h1_room, client_abort_response},
	.flush = client_flush,
	.exchange_done = client_exchange_done,
	.resume = client_resume,
	.close = client_close,
};

static void client_free(struct garbage *garbage)
{
	struct client *client = list_entry(garbage, struct client, garbage);

	h1_reader_free(client->reader);
	buf_wipe(&client->pending);
	free(client);
}

/* Leaves the worker; the memory follows at the end of the turn. */
static void client_gone(struct client *client)
{
	struct worker *worker = client->worker;

	ev_io_stop(worker->loop, &client->peek);
	ev_timer_stop(worker->loop, &client->deadline);
	if (client->state == CLIENT_LEAF)
		leaf_cache_cancel(client->leaves, client->leaf_ticket);
	leaf_release(client->leaf);
	client->leaf = NULL;
	client->state = CLIENT_CLOSED;
	list_remove(&client->node);
	turn_discard(&worker->turn, &client->garbage, client_free);
	worker_ended(worker);
}

static void client_close(struct client *client, bool reset)
{
	struct exchange *exchange = client->exchange;

	assert(client->magic == CLIENT_MAGIC);
	if (client->state == CLIENT_CLOSED)
		return;
	if (client->stream.flooded)
		counter_add(client->worker->counters, COUNTER_CLIENT_FLOODED, 1);
	hangup_stop(&client->hangup);
	if (client->fd >= 0)
		close(client->fd);
	else if (reset)
		stream_abort(&client->stream);
	else
		stream_close(&client->stream);
	client->fd = -1;
	client->exchange = NULL;
	client_gone(client);
	if (exchange)
		exchange_client_gone(exchange);
}

void downstream_close(struct client *client, bool reset)
{
	client_close(client, reset);
}

static void client_arm(struct client *client, uint64_t deadline_ns)
{
	client->deadline.repeat = (double)deadline_ns / (double)NS_PER_S;
	ev_timer_again(client->worker->loop, &client->deadline);
}

/* The deadline that fits what the client owes now. */
static void client_set_deadline(struct client *client)
{
	const struct config_http *http = &client->worker->config->http;

	if (client->exchange) {
		/* The exchange knows who owes the next bytes. */
		ev_timer_stop(client->worker->loop, &client->deadline);
	} else if (!h1_reader_in_message(client->reader) &&
		   buf_len(stream_out(&client->stream))) {
		/* It is slow to read, but alive, or its kernel finds out. */
		ev_timer_stop(client->worker->loop, &client->deadline);
	} else if (!h1_reader_in_message(client->reader)) {
		client_arm(client, client->worker->draining ? CLIENT_DRAIN_NS : http->idle_ns);
	} else if (client->deadline.repeat * (double)NS_PER_S != (double)http->head_ns ||
		   !ev_is_active(&client->deadline)) {
		client_arm(client, http->head_ns);
	}
}

/* ---- before TLS: who is it for? ---- */

/* The hello was looked at: whoever has the socket next has it as it came. */
static void client_looked(struct client *client)
{
	ev_io_stop(client->worker->loop, &client->peek);
	socket_await_any(client->fd);
}

static void client_bypass(struct client *client)
{
	int fd = client->fd;

	client->fd = -1;
	client_gone(client);
	bypass_new(client->worker, fd, &client->destination);
}

/* Not one that is inspected: spliced or refused, as the policy for its kind says. */
static void client_unlisted(struct client *client, const struct hello_verdict *verdict,
	struct slice name)
{
	static const struct {
		enum counter spliced, refused;
	} counters[HELLO_KIND_COUNT] = {
		[HELLO_UNLISTED] = {COUNTER_BYPASS_NOT_LISTED, COUNTER_REFUSED_UNLISTED},
		[HELLO_NO_SNI] = {COUNTER_BYPASS_NO_SNI, COUNTER_REFUSED_NO_SNI},
		[HELLO_INVALID] = {COUNTER_BYPASS_INVALID, COUNTER_REFUSED_INVALID},
		[HELLO_ECH] = {COUNTER_BYPASS_ECH, COUNTER_REFUSED_ECH},
		[HELLO_ENCRYPTED_DNS] = {COUNTER_BYPASS_ENCRYPTED_DNS,
			COUNTER_REFUSED_ENCRYPTED_DNS},
		[HELLO_NOT_TLS] = {COUNTER_BYPASS_NOT_TLS, COUNTER_REFUSED_NOT_TLS},
		[HELLO_EXEMPT] = {.spliced = COUNTER_BYPASS_EXEMPT},
	};
	struct worker *worker = client->worker;
	struct linger reset = {.l_onoff = 1};
	struct bypass_event event = {verdict->kind, verdict->policy != CONFIG_POLICY_PASS,
		client->source, client->destination, name};

	client_looked(client);
	counter_add(worker->counters,
		event.refused ? counters[verdict->kind].refused : counters[verdict->kind].spliced,
		1);
	bypass_events_add(worker->bypass_events, &event);
	if (!event.refused) {
		client_bypass(client);
	} else if (verdict->policy == CONFIG_POLICY_DENY) {
		/* It is told nothing, for as long as a handshake may take. */
		client->state = CLIENT_SILENT;
	} else {
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		client_close(client, true);
	}
}

static void client_not_tls(struct client *client)
{
	struct hello_verdict verdict = {.kind = HELLO_NOT_TLS,
		.policy = hello_policy_of_kind(client->worker->config, HELLO_NOT_TLS)};

	client_unlisted(client, &verdict, SLICE_NONE);
}

static void client_refuse_hello(struct client *client)
{
	/* decode_error (RFC 8446 section 6), which needs no handshake to be understood. */
	static const char alert[] = {21, 3, 3, 0, 2, 2, 50};

	counter_add(client->worker->counters, COUNTER_HELLO_MALFORMED, 1);
	if (send(client->fd, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("%s: no alert sent", address_port_format(&client->source).text);
	client_close(client, false);
}

static void client_leaf_done(void *context, struct leaf *leaf, const char *error)
{
	struct client *client = context;
	struct worker *worker = client->worker;
	uint64_t left_out;
	SSL *ssl;

	client->state = CLIENT_HANDSHAKE;
	if (!leaf) {
		counter_add(worker->counters, COUNTER_LEAF_FAILED, 1);
		if (log_limit(&worker->leaf_log, &left_out))
			log_warning("no leaf for %s: %s (%" PRIu64 " more were not logged)",
				client->sni, error, left_out);
		client_close(client, true);
		return;
	}
	client->leaf = leaf_ref(leaf);
	ssl = tls_client_leg_accept(worker->client_leg, leaf);
	if (!ssl || stream_open(&client->stream, &worker->turn, client->fd, ssl,
			    worker->config->http.window, &client_handler, client) < 0) {
		SSL_free(ssl);
		client_close(client, true);
		return;
	}
	client->fd = -1;
	stream_handshake(&client->stream);
}

static void client_intercept(struct client *client)
{
	int error;

	client->state = CLIENT_LEAF;
	error = leaf_cache_get(client->leaves, client->sni, clock_realtime_ns(), client_leaf_done,
		client, &client->leaf_ticket);
	if (error < 0)
		client_leaf_done(client, NULL, strerror(-error));
}

/* The hello is whole: ours, or somebody else's business. */
static void client_decide(struct client *client, const struct clienthello *hello)
{
	struct hello_verdict verdict = hello_policy_of_source(client->worker->config, hello,
		&client->source.address, &client->destination.address);

	if (!verdict.host) {
		client_unlisted(client, &verdict, slice_of(hello->named, hello->named_len));
		return;
	}
	client_looked(client);
	client->host = verdict.host;
	memcpy(client->sni, hello->sni, sizeof(client->sni));
	client->leaves = client->worker->leaves[hello->ecdsa ? LEAF_ECDSA : LEAF_RSA];
	client_intercept(client);
}

static void client_peek(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct client *client = watcher->data;
	struct clienthello hello;
	ssize_t got;

	(void)loop;
	(void)events;
	got = recv(client->fd, client->worker->scratch, CLIENTHELLO_MAX, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		counter_add(client->worker->counters, COUNTER_HELLO_NONE, 1);
		client_close(client, false);
		return;
	}
	switch (clienthello_parse(slice_of(client->worker->scratch, (size_t)got), &hello)) {
	case CLIENTHELLO_MORE:
		/* Woken next when there is more, or when there will be no more. */
		if (got == client->peeked || socket_await(client->fd, (size_t)got + 1) < 0)
			client_refuse_hello(client);
		client->peeked = got;
		return;
	case CLIENTHELLO_OK:
		client_decide(client, &hello);
		return;
	case CLIENTHELLO_NOT_TLS:
		client_not_tls(client);
		return;
	case CLIENTHELLO_MALFORMED:
	case CLIENTHELLO_TOO_LONG:
		client_refuse_hello(client);
		return;
	}
}

static void client_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct client *client = timer->data;
	char byte;

	(void)events;
	ev_timer_stop(loop, timer); /* it would repeat */
	switch (client->state) {
	case CLIENT_HELLO:
		/* Nothing said at all: a protocol in which the server speaks first, not TLS. */
		if (recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) {
			client_not_tls(client);
			return;
		}
		/* fall through */
	case CLIENT_LEAF:
	case CLIENT_HANDSHAKE:
		counter_add(client->worker->counters, COUNTER_HANDSHAKE_TIMEOUT, 1);
		client_close(client, true);
		return;
	case CLIENT_OPEN:
		if (h1_reader_in_message(client->reader))
			client->exchange = exchange_refuse(client, ENDING_REQUEST_TIMEOUT, NULL);
		else
			client_close(client, false);
		return;
	case CLIENT_LINGERING:
		client_close(client, false);
		return;
	case CLIENT_SILENT:
		client_close(client, true);
		return;
	case CLIENT_CLOSED:
		return;
	}
}

static int client_addresses(struct client *client)
{
	struct sockaddr_storage source, destination;
	socklen_t source_len = sizeof(source), destination_len = sizeof(destination);

	/* On a transparent socket the local address is the one the client called. */
	if (getpeername(client->fd, (struct sockaddr *)&source, &source_len) < 0 ||
		getsockname(client->fd, (struct sockaddr *)&destination, &destination_len) < 0)
		return -errno;
	if (address_port_from_sockaddr(&client->source, (struct sockaddr *)&source) ||
		address_port_from_sockaddr(&client->destination, (struct sockaddr *)&destination))
		return -EAFNOSUPPORT;
	return 0;
}

void downstream_new(struct worker *worker, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	int error;

	if (!client) {
		close(fd);
		return;
	}
	client->magic = CLIENT_MAGIC;
	client->ops = &client_ops;
	client->worker = worker;
	client->fd = fd;
	client->minor = 1;
	client->accepted_ns = clock_monotonic_ns();
	error = client_addresses(client);
	if (!error && address_is_loopback(&client->destination.address)) {
		/* Nobody steered it: where it was going is this listener, which has no client. */
		counter_add(worker->counters, COUNTER_CLIENT_NOT_STEERED, 1);
		error = -EPERM;
	}
	if (error) {
		close(fd);
		free(client);
		return;
	}
	socket_prepare(fd, &worker->config->tcp);
	counter_add(worker->counters, COUNTER_CLIENT_ACCEPTED, 1);
	list_append(&worker->clients, &client->node);
	hangup_init(&client->hangup, &worker->hangups, client_hung_up);
	ev_io_init(&client->peek, client_peek, fd, EV_READ);
	ev_init(&client->deadline, client_timed_out);
	client->peek.data = client->deadline.data = client;
	client_arm(client, worker->config->tls.handshake_ns);
	ev_io_start(worker->loop, &client->peek);
	/* The hello often waits already: a turn of the loop less. */
	client_peek(worker->loop, &client->peek, EV_READ);
}

/* ---- TLS ---- */

static void client_ready(void *owner)
{
	struct client *client = owner;
	struct worker *worker = client->worker;
	const struct config_http *http = &worker->config->http;
	struct h1_limits limits = {http->head_max, http->headers_max, http->body_max};

	client->handshake_ns = clock_monotonic_ns() - client->accepted_ns;
	client->state = CLIENT_OPEN;
	leaf_release(client->leaf);
	client->leaf = NULL;
	counter_add(worker->counters,
		SSL_session_reused(client->stream.ssl) ? COUNTER_HANDSHAKE_RESUMED
						       : COUNTER_HANDSHAKE_FULL,
		1);
	client->reader = h1_reader_new(HEAD_REQUEST, &limits);
	if (!client->reader) {
		client_close(client, true);
		return;
	}
	client_set_deadline(client);
	client_readable(client);
}

static void client_handshake_failed(struct client *client)
{
	struct why why = {""};
	uint64_t left_out;
	const char *name = tls_client_leg_failure(
		client->stream.ssl, client->stream.ssl_error, client->stream.error_number, &why);

	counter_add(client->worker->counters, COUNTER_HANDSHAKE_FAILED, 1);
	if (strcmp(name, "client_rejected_certificate") == 0 ||
		strcmp(name, "client_closed_at_certificate") == 0)
		counter_add(client->worker->counters, COUNTER_HANDSHAKE_REJECTED, 1);
	if (log_limit(&client->worker->handshake_log, &left_out))
		log_info("%s: handshake for %s failed: %s (%" PRIu64 " more were not logged)",
			address_port_format(&client->source).text, client->sni, why.text, left_out);
	exchange_record_handshake(client, name, why.text);
}

static void client_failed(void *owner, int error)
{
	struct client *client = owner;

	(void)error;
	if (client->state == CLIENT_HANDSHAKE)
		client_handshake_failed(client);
	client_close(client, false);
}

/* ---- requests ---- */

/* Reads, or no longer; that the client leaves is heard in either case. */
static void client_watch(struct client *client, bool input)
{
	stream_watch(&client->stream, input);
	if (input)
		hangup_stop(&client->hangup);
	else
		hangup_listen(&client->hangup, client->stream.fd);
}

static void client_hung_up(struct hangup *hangup)
{
	client_close(list_entry(hangup, struct client, hangup), false);
}

/* Everything was said: the rest of the input is read and thrown away for a moment, so that a reset
 * does not destroy the response on its way. */
static void client_linger(struct client *client)
{
	client->state = CLIENT_LINGERING;
	if (stream_flush(&client->stream) < 0) {
		client_close(client, false);
		return;
	}
	buf_clear(&client->pending);
	client_watch(client, true);
	/* It may be slow to read as long as it lives. */
	if (buf_len(stream_out(&client->stream))) {
		ev_timer_stop(client->worker->loop, &client->deadline);
		return;
	}
	stream_shutdown(&client->stream);
	client_arm(client, CLIENT_LINGER_NS);
}

static bool client_takes_input(const struct client *client)
{
	if (client->state != CLIENT_OPEN)
		return false;
	if (client->exchange)
		return exchange_wants_input(client->exchange);
	/* Who does not read the answers is not asked for more requests. */
	return !client->close_after && stream_room(&client->stream);
}

static void client_head(struct client *client, const struct head *head, bool fin)
{
	if (!head->keep_alive || client->worker->draining)
		client->close_after = true;
	client->minor = head->minor;
	client->request_whole = fin;
	client->exchange = exchange_start(client, head, fin);
	if (head->expect_continue && !fin && client_takes_input(client) &&
		downstream_h1_continue(client) < 0)
		client_close(client, false);
}

static void client_refuse_request(struct client *client, const struct h1_error *error)
{
	const struct message_fault fault = {
		MESSAGE_MALFORMED, 0, error->name, error->text, error->status};

	if (client->exchange)
		exchange_body_error(client->exchange, &fault);
	else
		client->exchange = exchange_refuse(client, ENDING_REQUEST_MALFORMED,
			&(struct ending_detail){error->name, error->text, error->status});
}

/* Parses from the input what may be parsed now, and returns how much that was. */
static size_t client_parse(struct client *client, struct slice input)
{
	size_t total = 0, consumed;
	struct h1_event event;

	while (client_takes_input(client)) {
		enum h1_result result =
			h1_read(client->reader, slice_after(input, total), &consumed, &event);

		total += consumed;
		switch (result) {
		case H1_MORE:
			return total;
		case H1_HEAD:
			client_head(client, event.head, event.fin);
			break;
		case H1_TRAILERS:
			client->request_whole = true;
			exchange_trailers(client->exchange, event.trailers, event.ntrailers);
			break;
		case H1_BODY:
		case H1_END:
			client->request_whole = event.fin;
			exchange_body(client->exchange, event.span, event.fin);
			break;
		case H1_ERROR:
			client->close_after = true;
			client_refuse_request(client, &event.error);
			return input.len;
		}
	}
	return total;
}

/* Parses what waits and what is new; what cannot be parsed yet waits on. */
static void client_feed(struct client *client, struct slice input)
{
	bool waiting = buf_len(&client->pending) > 0;
	size_t consumed;

	if (waiting && buf_append_slice(&client->pending, input) < 0) {
		client_close(client, true);
		return;
	}
	client->parsing = true;
	consumed = client_parse(client, waiting ? buf_slice(&client->pending) : input);
	client->parsing = false;
	if (waiting)
		buf_consume(&client->pending, consumed);
	else if (client->state == CLIENT_OPEN &&
		 buf_append_slice(&client->pending, slice_after(input, consumed)) < 0)
		client_close(client, true);
	if (client->state != CLIENT_CLOSED && !buf_len(&client->pending))
		buf_free(&client->pending);
}

static void client_discard_input(struct client *client)
{
	ssize_t got;

	for (int i = 0; i < CLIENT_READS; i++) {
		got = stream_read(
			&client->stream, client->worker->scratch, WORKER_READ_SIZE);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			client_close(client, false);
			return;
		}
	}
}

static void client_readable(void *owner)
{
	struct client *client = owner;
	struct worker *worker = client->worker;
	uint64_t before = client->stream.read_bytes;
	ssize_t got;

	if (client->state == CLIENT_LINGERING) {
		client_discard_input(client);
		return;
	}
	for (int i = 0; i < CLIENT_READS && client->state == CLIENT_OPEN; i++) {
		/* While an exchange is in progress a little is read ahead, to notice the end. */
		if (!client_takes_input(client) &&
			buf_len(&client->pending) >= worker->config->http.head_max) {
			client_watch(client, false);
			return;
		}
		got = stream_read(&client->stream, worker->scratch, WORKER_READ_SIZE);
		if (got == -EAGAIN)
			break;
		if (got <= 0) {
			/* Gone, or done with sending: no HTTP client says the second, so the first. */
			client_close(client, false);
			return;
		}
		client_feed(client, slice_of(worker->scratch, (size_t)got));
		if (!stream_has_pending(&client->stream))
			break;
	}
	/* What carries no payload is no progress. */
	if (client->state == CLIENT_OPEN && client->stream.read_bytes != before)
		client_set_deadline(client);
}

static void client_resume(struct client *client)
{
	/* Inside client_parse: its loop goes on by itself. */
	if (client->state != CLIENT_OPEN || client->parsing)
		return;
	client_watch(client, true);
	if (buf_len(&client->pending))
		client_feed(client, SLICE_NONE);
	if (client->state != CLIENT_OPEN)
		return;
	client_set_deadline(client);
}

static int client_flush(struct client *client)
{
	return stream_flush(&client->stream);
}

static void client_abort_response(void *to, const struct message_fault *fault)
{
	(void)fault;
	client_close(to, true);
}

static void client_exchange_done(struct client *client)
{
	client->exchange = NULL;
	client->request_whole = false;
	/* A worker that drains closes only where the response said so: else the client may be sending
	 * its next request already, and that is served first. */
	if (client->close_after) {
		client_linger(client);
		return;
	}
	if (stream_flush(&client->stream) < 0) {
		client_close(client, false);
		return;
	}
	if (!buf_len(&client->pending) && !client->parsing)
		h1_reader_trim(client->reader);
	client_resume(client);
}

static void client_flushed(void *owner)
{
	struct client *client = owner;

	if (client->state == CLIENT_LINGERING)
		client_linger(client);
	else if (client->exchange)
		exchange_client_flushed(client->exchange);
	else
		client_resume(client);
}

void downstream_drain(struct client *client)
{
	if (client->state == CLIENT_OPEN && !client->exchange)
		client_set_deadline(client);
}
