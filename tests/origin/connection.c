// SPDX-License-Identifier: GPL-2.0-or-later
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/address.h"
#include "json.h"
#include "reply.h"

#define READ_SIZE  16384
#define INPUT_MAX  (MESSAGE_HEAD_MAX + READ_SIZE)
#define OUTPUT_LOW 65536 /* nothing more is produced while this much waits */

enum phase {
	PHASE_HANDSHAKE,
	PHASE_HEAD, /* between requests and inside a head */
	PHASE_BODY,
	PHASE_DELAY, /* the request is complete (or its answer comes early) */
	PHASE_REPLY,
	PHASE_STALL,
	PHASE_LAST, /* what is in the output goes out, then the connection ends */
	PHASE_CLOSED,
};

struct connection {
	struct origin *origin;
	uint64_t number;
	SSL *ssl;
	ev_io io;
	ev_timer timer;
	enum phase phase;
	bool paused;	  /* the timer runs, nothing moves before it has fired */
	bool wants_write; /* TLS waits for the socket to take more */
	bool discard;	  /* the rest of a request that was answered early */
	struct buf in, out, body;
	struct message message;
	struct call call;
	struct reply reply;
	EVP_MD_CTX *digest;
	uint64_t body_bytes, bytes_in, requests;
	bool reply_open; /* a reply record is owed to the journal */
};

static void connection_run(struct connection *c);

static bool journals(const struct connection *c)
{
	return c->origin->journal.fd >= 0;
}

static void journal_addresses(struct connection *c)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct address_port ap;
	struct journal *j = &c->origin->journal;

	if (!getpeername(c->io.fd, (void *)&name, &len) &&
		!address_port_from_sockaddr(&ap, (void *)&name))
		journal_string(j, "peer", address_port_format(&ap).text);
	len = sizeof(name);
	if (!getsockname(c->io.fd, (void *)&name, &len) &&
		!address_port_from_sockaddr(&ap, (void *)&name))
		journal_string(j, "local", address_port_format(&ap).text);
}

static void journal_handshake(struct connection *c, bool done)
{
	struct journal *j = &c->origin->journal;
	unsigned long error = ERR_peek_error();

	if (!journals(c))
		return;
	journal_start(j, "connection", c->number);
	journal_addresses(c);
	journal_bool(j, "handshake", done);
	journal_string(j, "sni", SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
	journal_string(j, "tls", SSL_get_version(c->ssl));
	journal_string(j, "cipher", SSL_get_cipher_name(c->ssl));
	journal_bool(j, "resumed", SSL_session_reused(c->ssl));
	if (!done)
		journal_string(j, "error", error ? ERR_reason_error_string(error) : "end of file");
	journal_end(j);
}

static void journal_request(struct connection *c, const char *outcome)
{
	struct journal *j = &c->origin->journal;
	struct message *m = &c->message;
	unsigned char hash[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned len = 0;
	struct buf *out;

	if (!journals(c))
		return;
	EVP_DigestFinal_ex(c->digest, hash, &len);
	for (unsigned i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	journal_start(j, "request", c->number);
	journal_number(j, "number", c->call.number);
	journal_string(j, "id", c->call.knob.id.text);
	journal_string(j, "outcome", outcome);
	journal_string(j, "wrong", m->wrong);
	journal_string(j, "sni", SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
	journal_addresses(c);
	journal_bytes(j, "method", m->method);
	journal_bytes(j, "target", m->target);
	journal_number(j, "minor", m->minor);
	out = journal_value(j, "headers");
	for (size_t i = 0; i < m->nheaders; i++) {
		buf_append(out, i ? ",[" : "[[", 2);
		json_bytes(out, m->headers[i].name);
		buf_append(out, ",", 1);
		json_bytes(out, m->headers[i].value);
		buf_append(out, "]", 1);
	}
	buf_printf(out, m->nheaders ? "]" : "[]");
	if (m->wrong)
		journal_bytes(j, "input", buf_slice(&c->in));
	journal_bytes(j, "trailers", buf_slice(&m->trailers));
	journal_bool(j, "chunked", m->chunked);
	journal_string(j, "key", c->call.key.text);
	journal_string(j, "key_from", c->call.key_from);
	journal_number(j, "body_bytes", c->body_bytes);
	journal_string(j, "body_sha256", hex);
	journal_bytes(j, "body", slice_first(buf_slice(&c->body), c->origin->body_kept));
	journal_bool(j, "stream", c->call.stream);
	journal_bool(j, "include_usage", c->call.include_usage);
	journal_number(j, "prompt_tokens", c->call.prompt_tokens);
	journal_number(j, "completion_tokens", c->call.completion_tokens);
	journal_end(j);
}

static void journal_reply(struct connection *c, const char *outcome)
{
	struct journal *j = &c->origin->journal;

	c->reply_open = false;
	if (!journals(c))
		return;
	journal_start(j, "reply", c->number);
	journal_number(j, "number", c->call.number);
	journal_string(j, "id", c->call.knob.id.text);
	journal_string(j, "outcome", outcome);
	journal_number(j, "status", (uint64_t)c->reply.status);
	journal_number(j, "events", c->call.events);
	journal_number(j, "bytes", c->reply.sent);
	journal_end(j);
}

static void connection_close(struct connection *c, bool politely)
{
	struct journal *j = &c->origin->journal;

	if (c->phase == PHASE_CLOSED)
		return;
	if (c->phase == PHASE_HANDSHAKE)
		journal_handshake(c, false);
	if (c->phase == PHASE_BODY && !c->discard)
		journal_request(c, "truncated");
	if (c->reply_open)
		journal_reply(c, "aborted");
	if (journals(c)) {
		journal_start(j, "close", c->number);
		journal_number(j, "bytes_in", c->bytes_in);
		journal_number(j, "requests", c->requests);
		journal_end(j);
	}
	c->phase = PHASE_CLOSED;
	ERR_clear_error();
	if (politely)
		SSL_shutdown(c->ssl);
	ev_io_stop(c->origin->loop, &c->io);
	ev_timer_stop(c->origin->loop, &c->timer);
	SSL_free(c->ssl);
	close(c->io.fd);
	EVP_MD_CTX_free(c->digest);
	message_free(&c->message);
	call_free(&c->call);
	reply_free(&c->reply);
	buf_free(&c->in);
	buf_free(&c->out);
	buf_free(&c->body);
	free(c);
}

static void pause_for(struct connection *c, long ms)
{
	ev_timer_stop(c->origin->loop, &c->timer);
	ev_timer_set(&c->timer, (double)ms / 1000.0, 0.0);
	ev_timer_start(c->origin->loop, &c->timer);
	c->paused = true;
}

static void watch(struct connection *c)
{
	bool full = buf_len(&c->in) >= INPUT_MAX || (c->paused && c->phase == PHASE_BODY);
	int events = (full ? 0 : EV_READ) | (c->wants_write ? EV_WRITE : 0);

	if (events == (c->io.events & (EV_READ | EV_WRITE)) && ev_is_active(&c->io))
		return;
	ev_io_stop(c->origin->loop, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	if (events)
		ev_io_start(c->origin->loop, &c->io);
}

/* One TLS read: >0 bytes, 0 nothing now, -1 the end. */
static int pull(struct connection *c)
{
	char *to = buf_reserve(&c->in, READ_SIZE);
	int n;

	if (!to)
		return -1;
	ERR_clear_error();
	n = SSL_read(c->ssl, to, READ_SIZE);
	if (n > 0) {
		buf_commit(&c->in, (size_t)n);
		c->bytes_in += (uint64_t)n;
		return n;
	}
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->wants_write = true;
		return 0;
	default:
		return -1;
	}
}

/* Writes the output: 1 all gone, 0 the socket is full, -1 the end. */
static int push(struct connection *c)
{
	c->wants_write = false;
	while (buf_len(&c->out)) {
		struct slice out = slice_first(buf_slice(&c->out), 1 << 20);
		int n;

		ERR_clear_error();
		n = SSL_write(c->ssl, out.data, (int)out.len);
		if (n > 0) {
			buf_consume(&c->out, (size_t)n);
			continue;
		}
		if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE)
			return -1;
		c->wants_write = true;
		return 0;
	}
	return 1;
}

static void refuse_request(struct connection *c, const char *outcome, const char *status)
{
	journal_request(c, outcome);
	buf_printf(
		&c->out, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
	c->phase = PHASE_LAST;
}

static void start_request(struct connection *c)
{
	c->requests++;
	call_reset(&c->call);
	c->call.number = ++c->origin->requests;
	c->body_bytes = 0;
	buf_clear(&c->body);
	if (journals(c))
		EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL);
}

static void take_head(struct connection *c)
{
	const struct knob *knob = &c->call.knob;

	call_read_head(&c->call, &c->origin->service, &c->message);
	c->phase = PHASE_BODY;
	if (c->message.expect_continue && knob_is(&knob->expect, "refuse")) {
		refuse_request(c, "refused", "417 Expectation Failed");
		return;
	}
	if (c->message.expect_continue && !knob_is(&knob->expect, "ignore"))
		buf_printf(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	if (knob->early > 0) {
		journal_request(c, "early");
		c->discard = true;
		c->phase = PHASE_DELAY;
	} else if (knob->read_pause_ms > 0) {
		pause_for(c, knob->read_pause_ms);
	}
}

static void take_body(struct connection *c, struct slice body)
{
	c->body_bytes += body.len;
	if (c->discard)
		return;
	buf_append_slice(&c->body, body);
	if (journals(c))
		EVP_DigestUpdate(c->digest, body.data, body.len);
}

static void take_end(struct connection *c)
{
	if (c->discard) {
		c->discard = false;
		message_reset(&c->message);
		c->phase = PHASE_HEAD;
		return;
	}
	call_read_body(&c->call, buf_slice(&c->body));
	journal_request(c, "complete");
	c->phase = PHASE_DELAY;
}

/* Reads what is in the input; false when more is needed. */
static bool read_request(struct connection *c)
{
	struct slice body;
	size_t consumed;
	enum message_result result;

	if (c->phase == PHASE_HEAD && !buf_len(&c->in))
		return false;
	result = message_read(&c->message, buf_slice(&c->in), &consumed, &body);
	if (result == MESSAGE_HEAD || (result == MESSAGE_BAD && c->phase == PHASE_HEAD))
		start_request(c);
	if (result == MESSAGE_BODY)
		take_body(c, body);
	buf_consume(&c->in, consumed);
	if (result == MESSAGE_HEAD)
		take_head(c);
	else if (result == MESSAGE_END)
		take_end(c);
	else if (result == MESSAGE_BAD)
		refuse_request(c, "malformed", "400 Bad Request");
	return result != MESSAGE_MORE;
}

static void finish_reply(struct connection *c, const char *outcome)
{
	journal_reply(c, outcome);
	if (c->reply.close) {
		c->phase = PHASE_LAST;
		return;
	}
	c->phase = PHASE_HEAD;
	if (c->call.knob.idle_close_ms > 0)
		pause_for(c, c->call.knob.idle_close_ms);
	if (c->discard)
		c->phase = PHASE_BODY;
	else
		message_reset(&c->message);
}

static void start_reply(struct connection *c)
{
	if (knob_is(&c->call.knob.answer, "none")) {
		c->phase = PHASE_LAST;
		return;
	}
	reply_start(&c->reply, &c->call, &c->origin->service, &c->message, &c->out);
	c->reply_open = true;
	c->phase = PHASE_REPLY;
}

/* Produces one piece; false when the connection is to be cut now. */
static bool step_reply(struct connection *c)
{
	enum reply_result result = reply_next(&c->reply, &c->call, &c->out);
	struct linger reset = {1, 0};

	switch (result) {
	case REPLY_MORE:
		if (c->call.knob.pace_ms > 0 && c->reply.streamed)
			pause_for(c, c->call.knob.pace_ms);
		return true;
	case REPLY_END:
		if (push(c) < 0)
			return false;
		finish_reply(c, "complete");
		return true;
	case REPLY_STALL:
		c->phase = PHASE_STALL;
		return true;
	default:
		push(c);
		journal_reply(c, "cut");
		setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		return false;
	}
}

static int handshake(struct connection *c)
{
	int n;

	ERR_clear_error();
	n = SSL_accept(c->ssl);
	if (n == 1) {
		journal_handshake(c, true);
		c->phase = PHASE_HEAD;
		return 1;
	}
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->wants_write = true;
		return 0;
	default:
		return -1;
	}
}

/* One step: 1 something moved, 0 nothing can move now, -1 the end. */
static int step(struct connection *c)
{
	int pushed;

	if (c->phase == PHASE_HANDSHAKE)
		return handshake(c);
	pushed = push(c);
	if (pushed < 0)
		return -1;
	if (c->paused)
		return 0;
	switch (c->phase) {
	case PHASE_HEAD:
	case PHASE_BODY:
		return read_request(c) ? 1 : pull(c);
	case PHASE_DELAY:
		start_reply(c);
		return 1;
	case PHASE_REPLY:
		if (!pushed && buf_len(&c->out) > OUTPUT_LOW)
			return 0;
		return step_reply(c) ? 1 : -1;
	case PHASE_LAST:
		return pushed ? -1 : 0;
	default:
		return 0;
	}
}

static void connection_run(struct connection *c)
{
	int moved;

	do {
		enum phase before = c->phase;

		moved = step(c);
		if (c->phase == PHASE_DELAY && before != PHASE_DELAY && c->call.knob.delay_ms > 0)
			pause_for(c, c->call.knob.delay_ms);
	} while (moved > 0);
	if (moved < 0)
		connection_close(c, c->phase == PHASE_LAST);
	else
		watch(c);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *c = io->data;

	(void)loop;
	/* While an answer goes out, reading is how an aborting client is noticed. */
	if ((events & EV_READ) && c->phase >= PHASE_DELAY && pull(c) < 0) {
		connection_close(c, false);
		return;
	}
	connection_run(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct connection *c = timer->data;

	(void)loop;
	(void)events;
	c->paused = false;
	if (c->phase == PHASE_HEAD && c->call.knob.idle_close_ms > 0)
		connection_close(c, true);
	else
		connection_run(c);
}

void connection_open(struct origin *origin, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	int on = 1;

	if (c) {
		c->ssl = certificates_accept(origin->certificates, fd);
		c->digest = EVP_MD_CTX_new();
	}
	if (!c || !c->ssl || !c->digest) {
		if (c) {
			SSL_free(c->ssl);
			EVP_MD_CTX_free(c->digest);
		}
		free(c);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->origin = origin;
	c->number = ++origin->connections;
	ev_io_init(&c->io, on_io, fd, EV_READ);
	ev_timer_init(&c->timer, on_timer, 0.0, 0.0);
	c->io.data = c->timer.data = c;
	ev_io_start(origin->loop, &c->io);
	connection_run(c);
}
