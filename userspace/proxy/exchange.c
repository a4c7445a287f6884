// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of an exchange: its head is judged, and in the end, however it comes, it is recorded. */
#include "proxy/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/h1_write.h"

#define EXCHANGE_MAGIC 0xe8c4a9e0u

struct exchange *exchange_of(struct list *node)
{
	return list_entry(node, struct exchange, node);
}

/* ---- beginning and end ---- */

static void exchange_free(struct garbage *garbage)
{
	struct exchange *ex = list_entry(garbage, struct exchange, garbage);

	exchange_free_response(ex);
	reader_free(ex->request);
	buf_wipe(&ex->request_unread);
	buf_wipe(&ex->body);
	buf_wipe(&ex->text);
	buf_wipe(&ex->trailers);
	free(ex);
}

/* The exchange leaves the worker; its client, if there is one, goes on without it. */
static void exchange_end(struct exchange *ex)
{
	struct client *client = ex->client;

	assert(ex->magic == EXCHANGE_MAGIC);
	ex->magic = 0;
	ev_timer_stop(ex->worker->loop, &ex->deadline);
	share_cancel(&ex->share);
	if (ex->opening)
		origin_cancel(ex->opening);
	exchange_release_origin(ex, ex->origin_reusable);
	if (ex->waiting)
		recorder_cancel(&ex->waiter);
	list_remove(&ex->node);
	turn_discard(&ex->worker->turn, &ex->garbage, exchange_free);
	ex->client = NULL;
	if (client) {
		/* A client that turns out to be gone now must not come back to this exchange. */
		client->exchange = NULL;
		if (stream_hold(&client->stream, false) < 0)
			client_close(client, false);
		else
			client_exchange_done(client, ex->keep_client);
	}
	worker_ended(ex->worker);
}

static void exchange_record_again(struct recorder_waiter *waiter)
{
	struct exchange *ex = list_entry(waiter, struct exchange, waiter);

	ex->waiting = false;
	exchange_finish(ex);
}

void exchange_finish(struct exchange *ex)
{
	ex->reading_request = ex->reading_response = false;
	if (!ex->recorded && exchange_record(ex) == -EAGAIN) {
		/* The last bytes stay here until the event is safe. */
		ex->waiting = true;
		exchange_expect(ex, 0);
		recorder_wait(ex->worker->recorder, &ex->waiter);
		if (ex->client)
			stream_hold(&ex->client->stream, true);
		return;
	}
	exchange_end(ex);
}

void exchange_cut(struct exchange *ex)
{
	if (ex->client) {
		/* Comes back as exchange_client_gone. */
		client_close(ex->client, true);
		if (ex->magic != EXCHANGE_MAGIC)
			return;
	}
	if (ex->waiting)
		recorder_cancel(&ex->waiter);
	ex->waiting = false;
	if (!ex->error_type && !ex->response_whole)
		ex->error_type = "shutdown";
	if (!ex->recorded && exchange_record(ex) == -EAGAIN)
		recorder_drop(ex->worker->recorder);
	exchange_end(ex);
}

void exchange_expect(struct exchange *ex, uint64_t ns)
{
	if (!ns) {
		ev_timer_stop(ex->worker->loop, &ex->deadline);
		return;
	}
	ex->deadline.repeat = (double)ns / (double)NS_PER_S;
	ev_timer_again(ex->worker->loop, &ex->deadline);
}

static void exchange_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct exchange *ex = timer->data;

	(void)loop;
	(void)events;
	if (!ex->client) {
		/* The time to read the rest for its usage is over. */
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_DRAIN_CAPPED, 1);
		exchange_finish(ex);
		return;
	}
	counter_add(ex->worker->counters, COUNTER_ORIGIN_TIMEOUT, 1);
	exchange_fail(ex, 504, "origin_timeout", "The origin did not answer in time.", true);
}

/* Copies what the event and the readers need for longer than the client may live. */
static int exchange_copy_head(struct exchange *ex, const struct head *head)
{
	const struct header *agent = head_find(head, SLICE("user-agent"));
	const struct slice from[3] = {
		head->method, head->target, agent ? agent->value : SLICE_NONE};
	struct slice *const to[3] = {&ex->method, &ex->target, &ex->user_agent};
	size_t total = from[0].len + from[1].len + from[2].len;
	char *at = buf_reserve(&ex->text, total + 1);

	if (!at)
		return -ENOMEM;
	for (int i = 0; i < 3; i++) {
		if (from[i].len)
			memcpy(at, from[i].data, from[i].len);
		*to[i] = slice_of(at, from[i].len);
		at += from[i].len;
	}
	buf_commit(&ex->text, total);
	return 0;
}

static void exchange_read_on(struct share *share)
{
	struct exchange *ex = list_entry(share, struct exchange, share);

	if (ex->reading_request)
		exchange_read_request_on(ex);
	if (ex->reading_response && ex->magic == EXCHANGE_MAGIC)
		exchange_read_response_on(ex);
}

static struct exchange *exchange_new(struct client *client)
{
	struct exchange *ex = calloc(1, sizeof(*ex));

	if (!ex) {
		client_close(client, true);
		return NULL;
	}
	ex->magic = EXCHANGE_MAGIC;
	ex->worker = client->worker;
	ex->client = client;
	ex->host = client->host;
	ex->backend = client->host->backend;
	ex->action = "allow";
	ex->started_ns = clock_monotonic_ns();
	ex->started_realtime_ns = clock_realtime_ns();
	ex->source = client->source;
	ex->destination = client->destination;
	memcpy(ex->sni, client->sni, sizeof(ex->sni));
	ex->tls_version = client_tls_version(client);
	ex->tls_resumed = SSL_session_reused(client->stream.ssl);
	ex->handshake_ns = client->handshake_ns;
	ex->client_read_bytes = client->stream.read_bytes;
	ex->client_written_bytes = client->stream.written_bytes;
	ex->match.dialect = client->host->provider == CONFIG_PROVIDER_AZURE ? DIALECT_AZURE
									     : DIALECT_OPENAI;
	share_init(&ex->share, &ex->worker->shares, exchange_read_on);
	ex->waiter.wake = exchange_record_again;
	list_init(&ex->waiter.node);
	ev_init(&ex->deadline, exchange_timed_out);
	ex->deadline.data = ex;
	list_append(&ex->worker->exchanges, &ex->node);
	client->exchange = ex;
	counter_add(ex->worker->counters, COUNTER_EXCHANGE_STARTED, 1);
	return ex;
}

struct exchange *exchange_refuse(
	struct client *client, int status, const char *type, const char *message)
{
	struct exchange *ex = exchange_new(client);

	if (ex) {
		ex->action = "deny";
		exchange_fail(ex, status, type, message, true);
	}
	return client->exchange;
}

/* ---- the head ---- */

/* What is wrong with a well-formed head: NULL, or the error's type, with status and message. */
static const char *exchange_check(
	const struct exchange *ex, const struct head *head, int *status, const char **message)
{
	if (!slice_equal_nocase(head_host(head), slice_of_string(ex->sni)) ||
		(head_port(head) && head_port(head) != ex->destination.port)) {
		*status = 421;
		*message = "The Host of the request is not the host of this connection.";
		return "misdirected_request";
	}
	if (head->upgrade) {
		*status = 501;
		*message = "Upgrading the connection to another protocol is not supported here.";
		return "upgrade_refused";
	}
	if (!ex->match.canonical) {
		*status = 400;
		*message = "The path is not in its canonical form: send it without percent-encoding, "
			   "empty or dot segments.";
		return "path_not_canonical";
	}
	return NULL;
}

struct exchange *exchange_start(struct client *client, const struct head *head, bool fin)
{
	struct exchange *ex = exchange_new(client);
	const char *message = NULL, *type;
	int status = 0;

	if (!ex)
		return NULL;
	ex->head = head;
	if (exchange_copy_head(ex, head) < 0) {
		exchange_fail(ex, 503, "memory", "Out of memory.", false);
		return client->exchange;
	}
	operation_match(ex->host->provider, ex->method, ex->target, &ex->match);
	type = exchange_check(ex, head, &status, &message);
	if (type) {
		ex->action = "deny";
		counter_add(ex->worker->counters, COUNTER_REQUEST_REFUSED, 1);
		exchange_fail(ex, status, type, message, true);
		return client->exchange;
	}
	if (exchange_open_request_reader(ex, head) < 0) {
		exchange_fail(ex, 503, "memory", "Out of memory.", false);
		return client->exchange;
	}
	if (head->expect_continue && head->framing != HEAD_NO_BODY) {
		h1_write_status_line(stream_out(&client->stream), 100, SLICE_NONE);
		h1_write_end_of_head(stream_out(&client->stream));
		if (stream_flush(&client->stream) < 0) {
			client_close(client, false);
			return NULL;
		}
	}
	if (fin)
		exchange_body(ex, SLICE_NONE, true);
	return client->exchange;
}

void exchange_release_origin(struct exchange *ex, bool reusable)
{
	struct origin_connection *connection = ex->connection;

	ex->connection = NULL;
	ex->response_head = NULL;
	if (connection)
		origin_release(connection, reusable);
}

/* ---- when something goes wrong ---- */

void exchange_fail(
	struct exchange *ex, int status, const char *type, const char *message, bool final)
{
	struct client *client = ex->client;

	ex->request_state = REQUEST_OVER;
	if (ex->opening)
		origin_cancel(ex->opening);
	ex->error_type = type;
	why_set(&ex->why, EIO, "%s", message);
	exchange_expect(ex, 0);
	if (client && ex->response_started) {
		/* Half an answer must not look like a whole one. */
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_CUT, 1);
		ex->client = NULL;
		client->exchange = NULL;
		client_close(client, true);
		exchange_finish(ex);
		return;
	}
	if (client) {
		ex->status = status;
		ex->keep_client = ex->request_whole && ex->head && ex->head->keep_alive;
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_FAILED, 1);
		if (exchange_compose_error(ex, status, type, message, final) < 0) {
			ex->client = NULL;
			client->exchange = NULL;
			client_close(client, true);
		}
	}
	exchange_finish(ex);
}

void exchange_client_gone(struct exchange *ex)
{
	bool asked = ex->request_whole && ex->connection && !ex->response_whole;

	ex->client = NULL;
	ex->head = NULL;
	if (ex->waiting)
		return;
	if (ex->recorded) {
		exchange_end(ex);
		return;
	}
	if (!ex->error_type) {
		ex->error_type = "client_closed";
		why_set(&ex->why, ECONNRESET, "The client closed the connection before the end.");
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_ABANDONED, 1);
	}
	ex->request_state = REQUEST_OVER;
	if (ex->opening)
		origin_cancel(ex->opening);
	if (!asked || !ex->worker->config->origin.drain_ns) {
		exchange_finish(ex);
		return;
	}
	/* What was asked for will be paid for: the rest is read for its usage. */
	ex->drained = true;
	counter_add(ex->worker->counters, COUNTER_EXCHANGE_DRAINED, 1);
	exchange_expect(ex, ex->worker->config->origin.drain_ns);
	stream_watch(&ex->connection->stream, true);
}

void exchange_client_drained(struct exchange *ex)
{
	if (!ex->connection || ex->waiting)
		return;
	stream_watch(&ex->connection->stream, true);
}
