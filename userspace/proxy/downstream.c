// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/downstream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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
#include "proxy/downstream_h2.h"
#include "proxy/exchange.h"

static void client_ready(void *owner);
static void client_readable(void *owner);
static void client_flushed(void *owner);
static void client_failed(void *owner, int error);
static void client_rests(void *owner);

static const struct stream_handler client_handler = {
	.ready = client_ready,
	.readable = client_readable,
	.flushed = client_flushed,
	.failed = client_failed,
	.rests = client_rests,
};

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
	client_leave(client);
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
		client->source, client->destination, name,
		worker_policy_groups(&client->worker->policy, &client->source.address)};

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

/* The gateway serves nobody else: what is not meant for it goes nowhere. */
static void client_leave_gateway(struct client *client)
{
	struct linger reset = {.l_onoff = 1};

	counter_add(client->worker->counters, COUNTER_GATEWAY_REFUSED, 1);
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	client_close(client, true);
}

static void client_not_tls(struct client *client)
{
	struct hello_verdict verdict = {.kind = HELLO_NOT_TLS,
		.policy = hello_policy_of_kind(client->worker->config, HELLO_NOT_TLS)};

	if (client->gateway)
		client_leave_gateway(client);
	else
		client_unlisted(client, &verdict, SLICE_NONE);
}

/* Alerts of TLS (RFC 8446 section 6), which need no handshake to be understood. */
#define ALERT_DECODE_ERROR	50
#define ALERT_UNRECOGNIZED_NAME 112

static void client_alert(struct client *client, char description)
{
	const char alert[] = {21, 3, 3, 0, 2, 2, description};

	if (send(client->fd, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("%s: no alert sent", address_port_format(&client->source).text);
	client_close(client, false);
}

static void client_refuse_hello(struct client *client)
{
	counter_add(client->worker->counters, COUNTER_HELLO_MALFORMED, 1);
	client_alert(client, ALERT_DECODE_ERROR);
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

static void client_take(struct client *client, const struct clienthello *hello,
	const struct config_host *host, const char *name)
{
	client_looked(client);
	client->host = host;
	snprintf(client->sni, sizeof(client->sni), "%s", name);
	client->leaves = client->worker->leaves[hello->ecdsa ? LEAF_ECDSA : LEAF_RSA];
	client_intercept(client);
}

/* Who names no host means the one that is here; no other is served, also not one that is
 * intercepted on its way to its own address. */
static void client_decide_gateway(struct client *client, const struct clienthello *hello)
{
	const struct config_gateway *gateway = &client->worker->config->gateway;

	if (hello->has_sni && (!hello->sni_valid || strcmp(hello->sni, gateway->name) != 0)) {
		counter_add(client->worker->counters, COUNTER_GATEWAY_REFUSED, 1);
		client_alert(client, ALERT_UNRECOGNIZED_NAME);
		return;
	}
	client_take(client, hello, &gateway->hosts[CONFIG_PROVIDER_AZURE], gateway->name);
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
	client_take(client, hello, verdict.host, hello->sni);
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
		if (client->gateway)
			client_decide_gateway(client, &hello);
		else
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
		client->wire->timed_out(client);
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
	struct client *client = client_new(worker, fd);
	int error;

	if (!client) {
		close(fd);
		return;
	}
	error = client_addresses(client);
	client->gateway = !error && config_gateway_at(worker->config, &client->destination);
	if (!error && !client->gateway && address_is_loopback(&client->destination.address)) {
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
	counter_add(worker->counters,
		client->gateway ? COUNTER_GATEWAY_ACCEPTED : COUNTER_CLIENT_ACCEPTED, 1);
	list_append(&worker->clients, &client->node);
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
	int error;

	client->handshake_ns = clock_monotonic_ns() - client->accepted_ns;
	client->state = CLIENT_OPEN;
	leaf_release(client->leaf);
	client->leaf = NULL;
	counter_add(worker->counters,
		SSL_session_reused(client->stream.ssl) ? COUNTER_HANDSHAKE_RESUMED
						       : COUNTER_HANDSHAKE_FULL,
		1);
	if (tls_client_leg_is_h2(client->stream.ssl)) {
		counter_add(worker->counters, COUNTER_CLIENT_HTTP2, 1);
		error = downstream_h2_open(client);
	} else {
		error = downstream_h1_open(client);
	}
	if (error < 0) {
		client_close(client, true);
		return;
	}
	if (client->state == CLIENT_OPEN)
		client->wire->readable(client);
}

static void client_readable(void *owner)
{
	struct client *client = owner;

	client->wire->readable(client);
}

static void client_flushed(void *owner)
{
	struct client *client = owner;

	client->wire->flushed(client);
}

static void client_rests(void *owner)
{
	struct client *client = owner;

	if (client->state == CLIENT_OPEN && client->wire->rests)
		client->wire->rests(client);
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

void downstream_drain(struct client *client)
{
	if (client->state == CLIENT_OPEN)
		client->wire->drain(client);
}
