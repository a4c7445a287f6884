// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/http_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/h1.h"
#include "io/socket.h"
#include "io/stream.h"

#define CALL_S		10. /* for all of it */
#define ADDRESS_S	3.  /* for one of several addresses */
#define ADDRESSES_MAX	4
#define BODY_MAX	65536
#define READ_SIZE	4096
#define HEAD_MAX	16384
#define HEADERS_MAX	64

struct http_call {
	const struct http_caller *caller;
	char *host;
	uint16_t port;
	bool tls;
	struct address addresses[ADDRESSES_MAX];
	size_t naddresses, next;
	uint64_t lookup;
	struct buf request, body;
	struct stream stream;
	bool open;
	struct h1_reader *reader;
	ev_timer begin, deadline, address;
	struct http_answer answer;
	http_call_done *done;
	void *context;
};

static void call_next(struct http_call *call);

static void call_disconnect(struct http_call *call)
{
	ev_timer_stop(call->caller->turn->loop, &call->address);
	if (call->open)
		stream_close(&call->stream);
	call->open = false;
}

static void call_free(struct http_call *call)
{
	struct ev_loop *loop = call->caller->turn->loop;

	call_disconnect(call);
	resolver_cancel(call->caller->resolver, call->lookup);
	ev_timer_stop(loop, &call->begin);
	ev_timer_stop(loop, &call->deadline);
	h1_reader_free(call->reader);
	buf_wipe(&call->request);
	buf_wipe(&call->body);
	free(call->host);
	explicit_bzero(call, sizeof(*call));
	free(call);
}

void http_call_cancel(struct http_call *call)
{
	if (call)
		call_free(call);
}

static void call_end(struct http_call *call)
{
	struct http_answer answer = call->answer;

	answer.body = buf_slice(&call->body);
	call->done(call->context, &answer);
	call_free(call);
}

static void call_fail(struct http_call *call, const char *what)
{
	call->answer.status = 0;
	why_set(&call->answer.why, EIO, "%s: %s", call->host, what);
	call_end(call);
}

/* ---- the answer ---- */

static uint64_t number_of(struct slice text)
{
	uint64_t number = 0;

	if (!text.len || text.len > 9)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0; /* a date: who sends one is asked again by our own pauses */
		number = 10 * number + (uint64_t)(text.data[i] - '0');
	}
	return number;
}

static void take_head(struct http_call *call, const struct head *head)
{
	const struct header *after = head_find(head, SLICE("retry-after")),
			    *after_ms = head_find(head, SLICE("retry-after-ms"));

	call->answer.status = head->status;
	if (after_ms)
		call->answer.pause_ns = number_of(after_ms->value) * NS_PER_MS;
	else if (after)
		call->answer.pause_ns = number_of(after->value) * NS_PER_S;
}

/* False: the call is over. */
static bool call_take(struct http_call *call, struct slice input)
{
	struct h1_event event;
	size_t consumed;

	while (input.len) {
		enum h1_result result = h1_read(call->reader, input, &consumed, &event);

		input = slice_after(input, consumed);
		switch (result) {
		case H1_MORE:
			return true;
		case H1_HEAD:
			if (event.head->status >= 200)
				take_head(call, event.head);
			break;
		case H1_BODY:
			if (buf_len(&call->body) + event.span.len > BODY_MAX) {
				call_fail(call, "its answer is too long");
				return false;
			}
			if (buf_append_slice(&call->body, event.span)) {
				call_fail(call, "out of memory");
				return false;
			}
			break;
		case H1_ERROR:
			call_fail(call, "its answer is no HTTP");
			return false;
		default:
			break;
		}
		if (event.fin && result != H1_ERROR && call->answer.status) {
			call_end(call);
			return false;
		}
	}
	return true;
}

static void on_readable(void *owner)
{
	struct http_call *call = owner;
	char memory[READ_SIZE];
	struct h1_event event;
	ssize_t got = stream_read(&call->stream, memory, sizeof(memory));

	if (got == -EAGAIN)
		return;
	if (got > 0)
		call_take(call, slice_of(memory, (size_t)got));
	else if (got == 0 && h1_finish(call->reader, &event) == H1_END && call->answer.status)
		call_end(call); /* its body lasted until the connection's end */
	else
		call_fail(call, got ? strerror((int)-got) : "closed the connection before its answer");
	explicit_bzero(memory, sizeof(memory));
}

/* The request is short: there is nothing more to be sent. */
static void on_flushed(void *owner)
{
	(void)owner;
}

static void on_failed(void *owner, int error)
{
	struct http_call *call = owner;
	const char *name = NULL;
	struct why why = {""};

	/* While it is connected the next address may do better. A certificate that is refused is one
	 * of the name, wherever it stands. */
	if (call->stream.ssl && error == EPROTO &&
		tls_origin_verdict(call->stream.ssl, call->stream.error_number, &why, &name) < 0) {
		call_fail(call, why.text);
		return;
	}
	why_set(&call->answer.why, error, "%s: %s", call->host, strerror(error));
	if (call->stream.handshaking || !call->stream.written_bytes)
		call_next(call);
	else
		call_end(call);
}

/* ---- the request ---- */

static void call_send(struct http_call *call)
{
	int error;

	ev_timer_stop(call->caller->turn->loop, &call->address);
	error = buf_append_slice(stream_out(&call->stream), buf_slice(&call->request));
	if (error) {
		call_fail(call, "out of memory");
		return;
	}
	stream_watch(&call->stream, true);
	error = stream_flush(&call->stream);
	if (error)
		on_failed(call, -error);
}

static void on_ready(void *owner)
{
	struct http_call *call = owner;
	const char *name = NULL;
	struct why why = {""};

	if (tls_origin_verdict(call->stream.ssl, 0, &why, &name) < 0)
		call_fail(call, why.text);
	else
		call_send(call);
}

static const struct stream_handler call_handler = {
	.ready = on_ready,
	.readable = on_readable,
	.flushed = on_flushed,
	.failed = on_failed,
};

/* ---- the connection ---- */

/* 0; or a negative errno, and there is no connection. */
static int call_connect(struct http_call *call, const struct address *address)
{
	const struct http_caller *caller = call->caller;
	struct address_port to = {*address, call->port};
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(&to, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
	SSL *ssl = NULL;

	if (fd < 0)
		return -errno;
	socket_prepare(fd, &caller->config->tcp);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		error = -errno;
	if (!error && call->tls)
		ssl = tls_origin_leg_connect(caller->leg, call->host);
	if (!error && call->tls && !ssl)
		error = -ENOMEM;
	if (ssl) {
		/* Calls are seldom: each time the whole chain is looked at. */
		SSL_set_session(ssl, NULL);
		SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
	}
	if (!error)
		error = stream_open(
			&call->stream, caller->turn, fd, ssl, BODY_MAX, &call_handler, call);
	if (error) {
		SSL_free(ssl);
		close(fd);
		return error;
	}
	call->open = true;
	ev_timer_set(&call->address, ADDRESS_S, 0.);
	ev_timer_start(caller->turn->loop, &call->address);
	if (call->tls)
		stream_handshake(&call->stream);
	else
		call_send(call);
	return 0;
}

static void call_next(struct http_call *call)
{
	call_disconnect(call);
	while (call->next < call->naddresses) {
		const struct address *address = &call->addresses[call->next++];
		int error = call_connect(call, address);

		if (!error)
			return;
		why_set(&call->answer.why, -error, "%s at %s: %s", call->host,
			address_format(address).text, strerror(-error));
	}
	call->answer.status = 0;
	call_end(call);
}

static void on_address_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct http_call *call = timer->data;

	(void)loop;
	(void)events;
	/* The last one has the time that is left. */
	if (call->next == call->naddresses)
		return;
	why_set(&call->answer.why, ETIMEDOUT, "%s: no connection in time", call->host);
	call_next(call);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	call_fail(timer->data, "does not answer in time");
}

static void on_resolved(void *context, int error, const struct resolver_answer *answer)
{
	struct http_call *call = context;

	call->lookup = 0;
	if (error) {
		call_fail(call, error == -ENOENT ? "the name has no address"
						 : "the name cannot be resolved");
		return;
	}
	for (size_t i = 0; i < answer->n && call->naddresses < ADDRESSES_MAX; i++)
		call->addresses[call->naddresses++] = answer->addresses[i];
	call_next(call);
}

/* In a turn of its own, so that done is never called before the call is known. */
static void on_begin(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct http_call *call = timer->data;
	int error;

	(void)loop;
	(void)events;
	if (call->naddresses) {
		call_next(call);
		return;
	}
	error = resolver_lookup(
		call->caller->resolver, call->host, on_resolved, call, &call->lookup);
	if (error)
		on_resolved(call, error, NULL);
}

static void call_timer(struct http_call *call, ev_timer *timer,
	void (*callback)(struct ev_loop *, ev_timer *, int), double after, bool start)
{
	ev_timer_init(timer, callback, after, 0.);
	timer->data = call;
	if (start)
		ev_timer_start(call->caller->turn->loop, timer);
}

struct http_call *http_call_start(const struct http_caller *caller, const struct http_target *target,
	struct buf *request, http_call_done *done, void *context)
{
	const struct h1_limits limits = {HEAD_MAX, HEADERS_MAX, 0}; /* of bodies: call_take */
	struct http_call *call = calloc(1, sizeof(*call));

	if (call) {
		call->caller = caller;
		call->host = strdup(target->host);
		call->reader = h1_reader_new(HEAD_RESPONSE, &limits);
	}
	if (!call || !call->host || !call->reader) {
		if (call) {
			h1_reader_free(call->reader);
			free(call->host);
		}
		free(call);
		buf_wipe(request);
		return NULL;
	}
	h1_reader_expect(call->reader, SLICE("GET")); /* as to its body, a POST is the same */
	call->port = target->port;
	call->tls = !target->plain;
	if (target->plain)
		call->addresses[call->naddresses++] = *target->plain;
	call->request = *request;
	*request = BUF_EMPTY;
	call->done = done;
	call->context = context;
	call_timer(call, &call->begin, on_begin, 0., true);
	call_timer(call, &call->deadline, on_deadline, CALL_S, true);
	call_timer(call, &call->address, on_address_late, ADDRESS_S, false);
	return call;
}
