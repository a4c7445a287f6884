// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a request: read, held until it is clear what to change, sent to its origin. */
#include "proxy/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/credential.h"
#include "http/h1_write.h"
#include "proxy/replay.h"

/* The longest value of stream_options that is edited where the beginning of the body has gone. */
#define EDIT_MAX 4096

static void exchange_open_origin(struct exchange *ex, bool fresh);

/* ---- the body ---- */

int exchange_open_request_reader(struct exchange *ex, const struct head *head)
{
	const struct config *config = ex->worker->config;
	const struct reader_options options = {
		.operation = ex->match.operation,
		.content_max = config->audit.content ? config->audit.content_max : 0,
		.expansion_max = config->http.expansion_max,
	};

	if (!ex->match.operation || !ex->match.operation->read)
		return 0;
	ex->request = reader_open_request(head, &options);
	return ex->request ? 0 : -ENOMEM;
}

/* Whether what was read of the request may be held or sent now. */
static bool exchange_takes_request(const struct exchange *ex)
{
	switch (ex->phase) {
	case EXCHANGE_HOLDING:
		return true;
	case EXCHANGE_SENDING:
	case EXCHANGE_ANSWERING: /* an answer that came early */
		return stream_room(&ex->connection->stream);
	default:
		return false;
	}
}

bool exchange_wants_input(struct exchange *ex)
{
	return !ex->request_whole && !ex->reading_request && exchange_takes_request(ex);
}

static int exchange_write_piece(struct exchange *ex, struct slice piece)
{
	struct buf *out = stream_out(&ex->connection->stream);

	if (!piece.len)
		return 0;
	if (!ex->chunked)
		return buf_append_slice(out, piece);
	if (h1_write_chunk_head(out, piece.len) < 0 || buf_append_slice(out, piece) < 0)
		return -ENOMEM;
	return h1_write_chunk_tail(out);
}

/* Writes bytes, whose end has the offset end in the body, with the edit that falls among them. */
static int exchange_write_edited(
	struct exchange *ex, struct slice bytes, uint64_t end, const struct request_splice *splice)
{
	size_t at = (size_t)(splice->offset - (end - bytes.len));
	int error = exchange_write_piece(ex, slice_first(bytes, at));

	if (!error)
		error = exchange_write_piece(ex, splice->insert);
	if (!error)
		error = exchange_write_piece(ex, slice_after(bytes, at + splice->remove));
	return error;
}

/* Writes bytes of a body of which those before have gone, with the edit that asks for usage when it
 * falls among them. *written: the rest of the bytes is to come again, with what follows them: the
 * edit may need it. */
static int exchange_write_on(struct exchange *ex, struct slice bytes, size_t *written)
{
	const struct request_reader *reader = ex->may_inject ? reader_request(ex->request) : NULL;
	uint64_t gone = ex->request_bytes - bytes.len;
	struct request_splice splice;
	int error;

	if (reader && !ex->injected && request_inject_later(reader, gone, &splice)) {
		ex->injected = true;
		error = exchange_write_edited(ex, bytes, ex->request_bytes, &splice);
	} else {
		if (reader && !ex->injected && !ex->request_whole &&
			ex->request_bytes - request_settled(reader) <= EDIT_MAX)
			bytes = slice_first(bytes, (size_t)(request_settled(reader) - gone));
		error = exchange_write_piece(ex, bytes);
	}
	if (!error && ex->request_whole && ex->chunked)
		error = exchange_write_last_chunk(stream_out(&ex->connection->stream), &ex->trailers);
	*written = bytes.len;
	return error;
}

/* A piece that goes on at once, but for what may have to be edited together with the next. */
static void exchange_pass(struct exchange *ex, struct slice span)
{
	bool held = buf_len(&ex->body) > 0;
	int error = held ? buf_append_slice(&ex->body, span) : 0;
	size_t written = 0;

	if (!error)
		error = exchange_write_on(ex, held ? buf_slice(&ex->body) : span, &written);
	if (!error && !held)
		error = buf_append_slice(&ex->body, slice_after(span, written));
	if (error) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return;
	}
	if (held)
		buf_consume(&ex->body, written);
	if (ex->request_whole && ex->phase == EXCHANGE_SENDING)
		exchange_enter(ex, EXCHANGE_AWAITING);
	exchange_flush_origin(ex);
}

static void exchange_request_whole(struct exchange *ex)
{
	ex->request_whole = true;
	if (!ex->request)
		return;
	reader_end(ex->request);
}

/* True: the exchange is over, because its body cannot be read. */
static bool exchange_refuses_body(struct exchange *ex)
{
	const struct request_facts *facts;
	char message[128];

	if (!ex->request || ex->unreadable)
		return false;
	facts = request_reader_facts(reader_request(ex->request));
	if (facts->readable)
		return false;
	ex->unreadable = true;
	counter_add(ex->worker->counters, COUNTER_REQUEST_UNREADABLE, 1);
	if (ex->worker->config->http.unreadable == CONFIG_UNREADABLE_PASS)
		return false;
	snprintf(message, sizeof(message), "The request's body cannot be inspected: %s.",
		facts->problem);
	exchange_fail(ex, ENDING_UNREADABLE,
		&(struct ending_detail){NULL, message, request_problem_status(facts->problem)});
	return true;
}

static void exchange_hold(struct exchange *ex, struct slice span)
{
	if (buf_append_slice(&ex->body, span) < 0) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return;
	}
	if (ex->request_whole || buf_len(&ex->body) > exchange_hold_max(ex))
		exchange_open_origin(ex, false);
}

/* What was read goes on, or is held. */
static void exchange_body_read(struct exchange *ex, struct slice span)
{
	ex->request_bytes += span.len;
	/* Before the last of it goes on: what is not whole the origin does not act on. */
	if (exchange_refuses_body(ex))
		return;
	switch (ex->phase) {
	case EXCHANGE_HOLDING:
		exchange_hold(ex, span);
		break;
	case EXCHANGE_SENDING:
	case EXCHANGE_ANSWERING:
		exchange_pass(ex, span);
		break;
	default:
		break;
	}
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_CLIENT);
}

/* Reads from the front of *span, which it advances, as far as the work goes. A reader that cannot
 * go on says so in its facts. */
static void exchange_read_request(struct exchange *ex, struct slice *span, bool fin)
{
	struct slice read = *span;

	ex->reading_request = ex->request && reader_feed(ex->request, span, share_work(&ex->share),
						     &read) == READER_SPENT;
	if (!ex->request)
		*span = SLICE_NONE;
	if (fin && !ex->reading_request)
		exchange_request_whole(ex);
	exchange_body_read(ex, read);
}

void exchange_body(struct exchange *ex, struct slice span, bool fin)
{
	exchange_read_request(ex, &span, fin);
	if (!ex->reading_request || exchange_is_over(ex))
		return;
	ex->request_unread_fin = fin;
	if (buf_append_slice(&ex->request_unread, span) < 0)
		exchange_fail(ex, ENDING_MEMORY, NULL);
	else
		share_wait(&ex->share);
}

void exchange_read_request_on(struct exchange *ex)
{
	struct slice span = buf_slice(&ex->request_unread);
	size_t before = span.len;

	/* Whoever ends the waiting calls again. */
	if (!exchange_takes_request(ex))
		return;
	exchange_read_request(ex, &span, ex->request_unread_fin);
	if (exchange_is_over(ex))
		return;
	buf_consume(&ex->request_unread, before - span.len);
	if (ex->reading_request) {
		share_wait(&ex->share);
		return;
	}
	buf_wipe(&ex->request_unread);
	if (ex->client && !ex->request_whole)
		ex->client->ops->resume(ex->client);
}

void exchange_keep_trailers(struct buf *trailers, const struct h1_event *event)
{
	if (h1_write_last_chunk(trailers, event->trailers, event->ntrailers) < 0)
		buf_free(trailers);
}

int exchange_write_last_chunk(struct buf *out, const struct buf *trailers)
{
	return buf_len(trailers) ? buf_append_slice(out, buf_slice(trailers))
				 : h1_write_last_chunk(out, NULL, 0);
}

void exchange_trailers(struct exchange *ex, const struct h1_event *event)
{
	exchange_keep_trailers(&ex->trailers, event);
}

void exchange_body_error(struct exchange *ex, const struct h1_error *error)
{
	exchange_fail(ex, ENDING_REQUEST_MALFORMED,
		&(struct ending_detail){error->name, error->text, error->status});
}

/* ---- towards the origin ---- */

/* What could be the client's credential never goes on together with the service key. */
static bool exchange_is_credential(const struct header *header)
{
	return credential_field(header->name) || credential_value(header->name, header->value);
}

static int exchange_write_key(struct exchange *ex, struct buf *out)
{
	struct slice key = secret_text(ex->credential.secret);
	struct buf bearer = BUF_EMPTY;
	int error;

	if (!ex->credential.bearer)
		return h1_write_header(out, SLICE("api-key"), key);
	error = buf_append_slice(&bearer, SLICE("Bearer "));
	if (!error)
		error = buf_append_slice(&bearer, key);
	if (!error)
		error = h1_write_header(out, SLICE("Authorization"), buf_slice(&bearer));
	buf_wipe(&bearer);
	return error;
}

static int exchange_write_headers(struct exchange *ex, struct buf *out)
{
	const struct head *head = ex->head;
	bool keyed = ex->credential.kind == CREDENTIAL_OURS;
	/* What is to be hidden, a chunk or an echo of the key, has to be readable. */
	bool readable = ex->may_inject || keyed;
	int error = 0;

	for (size_t i = 0; i < head->nheaders && !error; i++) {
		const struct header *header = &head->headers[i];

		if (header->hop_by_hop || slice_equal_nocase(header->name, SLICE("host")) ||
			slice_equal_nocase(header->name, SLICE("content-length")) ||
			slice_equal_nocase(header->name, SLICE("expect")) ||
			(keyed && exchange_is_credential(header)) ||
			(readable &&
				slice_equal_nocase(header->name, SLICE("accept-encoding"))))
			continue;
		error = h1_write_header(out, header->name, header->value);
	}
	if (!error && readable)
		error = h1_write_header(out, SLICE("Accept-Encoding"), SLICE("identity"));
	if (!error && keyed)
		error = exchange_write_key(ex, out);
	return error;
}

static int exchange_write_framing(
	struct exchange *ex, struct buf *out, const struct request_splice *splice)
{
	const struct head *head = ex->head;

	if (ex->chunked)
		return h1_write_header(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
	if (head->framing == HEAD_LENGTH)
		return h1_write_header_number(out, SLICE("Content-Length"),
			head->length - splice->remove + splice->insert.len);
	if (head->has_length)
		return h1_write_header_number(out, SLICE("Content-Length"), 0);
	return 0;
}

/* Composes the head and what is held of the body; *written bytes of that. */
static int exchange_write_request(struct exchange *ex, size_t *written)
{
	struct buf *out = stream_out(&ex->connection->stream), target = BUF_EMPTY;
	struct request_splice splice = {0};
	int error;

	exchange_choose_edit(ex, &splice);
	ex->chunked = ex->head->framing == HEAD_CHUNKED || (ex->may_inject && !ex->request_whole);
	error = ex->credential.kind == CREDENTIAL_OURS
			? credential_strip_query(ex->head->path, &target)
			: buf_append_slice(&target, ex->head->path);
	if (!error)
		error = h1_write_request_line(out, ex->method, buf_slice(&target));
	buf_wipe(&target);
	if (!error)
		error = h1_write_header(
			out, SLICE("Host"), slice_of_string(ex->origin_target.host));
	if (!error)
		error = exchange_write_headers(ex, out);
	if (!error)
		error = exchange_write_framing(ex, out, &splice);
	if (!error)
		error = h1_write_end_of_head(out);
	if (!error && !ex->injected)
		return exchange_write_on(ex, buf_slice(&ex->body), written);
	*written = buf_len(&ex->body);
	if (!error)
		error = exchange_write_edited(
			ex, buf_slice(&ex->body), buf_len(&ex->body), &splice);
	if (!error && ex->chunked)
		error = exchange_write_last_chunk(out, &ex->trailers);
	return error;
}

static void exchange_not_connected(struct exchange *ex, const struct origin_failure *failure)
{
	enum ending ending = failure->timeout	     ? ENDING_ORIGIN_UNCONNECTED
			       : failure->unverified ? ENDING_ORIGIN_UNVERIFIED
						     : ENDING_ORIGIN_UNAVAILABLE;

	exchange_fail(ex, ending, &(struct ending_detail){failure->type, failure->why.text, 0});
}

static void exchange_connected(
	void *user, struct origin_connection *connection, const struct origin_failure *failure)
{
	struct exchange *ex = user;
	size_t written = 0;
	int error;

	if (!connection) {
		exchange_not_connected(ex, failure);
		return;
	}
	ex->connection = connection;
	ex->origin_address = connection->address;
	ex->connect_ns = connection->connect_ns;
	ex->attempts++;
	exchange_enter(ex, ex->request_whole ? EXCHANGE_AWAITING : EXCHANGE_SENDING);
	h1_reader_expect(connection->reader, ex->method);
	ex->sent_before = stream_sent(&connection->stream);
	error = exchange_write_request(ex, &written);
	if (error) {
		exchange_fail(
			ex, error == -ENOMEM ? ENDING_MEMORY : ENDING_REQUEST_UNFIT, NULL);
		return;
	}
	ex->replayable = ex->request_whole;
	if (!ex->replayable)
		buf_consume(&ex->body, written);
	stream_watch(&connection->stream, true);
	exchange_flush_origin(ex);
	if (exchange_is_over(ex))
		return;
	exchange_moved(ex, ENDING_BY_ORIGIN);
	if (ex->reading_request)
		share_wait(&ex->share);
	else if (ex->client && !ex->request_whole)
		ex->client->ops->resume(ex->client);
}

/* The credential of now: an exchange keeps the one that it sent, to hide it in what comes back. */
static bool exchange_take_credential(struct exchange *ex)
{
	struct credential credential = worker_credential(ex->worker, ex->backend);
	struct why why;

	if (credential.secret)
		secret_share(credential.secret);
	secret_free(ex->credential.secret);
	ex->credential = credential;
	if (credential.kind != CREDENTIAL_MISSING)
		return true;
	why_set(&why, EACCES, "The appliance has no credential for the backend %s now: %s",
		ex->backend->name, credential.why);
	exchange_fail(ex, ENDING_CREDENTIAL_MISSING, &(struct ending_detail){NULL, why.text, 0});
	return false;
}

static void exchange_open_origin(struct exchange *ex, bool fresh)
{
	const struct config_backend *backend = ex->backend;

	exchange_enter(ex, EXCHANGE_CONNECTING);
	if (!exchange_take_credential(ex))
		return;
	ex->origin_target = (struct origin_target){
		.host = backend && backend->host ? backend->host : ex->sni,
		.port = backend && backend->port ? backend->port : ex->destination.port,
		.addresses = backend ? backend->addresses : NULL,
		.naddresses = backend ? backend->naddresses : 0,
	};
	origin_acquire(ex->worker->origins, &ex->origin_target, fresh, &exchange_origin_user,
		exchange_connected, ex, &ex->opening);
}

bool exchange_retry(struct exchange *ex, int error)
{
	enum stream_fate fate;

	if (!ex->client || !ex->replayable || ex->attempts > 1 || !ex->connection->reused)
		return false;
	fate = stream_fate(&ex->connection->stream, ex->sent_before, error);
	if (!replay_allowed(ex->match.operation, ex->method, fate))
		return false;
	counter_add(ex->worker->counters, COUNTER_ORIGIN_STALE, 1);
	exchange_release_origin(ex, false);
	exchange_open_origin(ex, true);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_US);
	return true;
}

void exchange_send_again(struct exchange *ex, bool reusable)
{
	exchange_release_origin(ex, reusable);
	ex->status = 0;
	exchange_open_origin(ex, false);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_US);
}

void exchange_flush_origin(struct exchange *ex)
{
	int error;

	if (!ex->connection)
		return;
	error = stream_flush(&ex->connection->stream);
	/* An origin that refuses a request before its end may have said why: that is read first. */
	if (error && error != -EPIPE && error != -ECONNRESET)
		exchange_origin_user.failed(ex, -error);
}
