// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_MAGIC 0x57e4a301u

static void stream_input(struct ev_loop *loop, ev_io *watcher, int events);
static void stream_output(struct ev_loop *loop, ev_io *watcher, int events);

void stream_open(struct stream *s, struct ev_loop *loop, int fd, SSL *ssl, size_t window,
	const struct stream_handler *handler, void *owner)
{
	*s = (struct stream){
		.magic = STREAM_MAGIC,
		.loop = loop,
		.fd = fd,
		.ssl = ssl,
		.window = window,
		.handler = handler,
		.owner = owner,
	};
	ev_io_init(&s->reading, stream_input, fd, EV_READ);
	ev_io_init(&s->writing, stream_output, fd, EV_WRITE);
	s->reading.data = s->writing.data = s;
}

/* The errno for a failed call of OpenSSL's, from its own error code. */
static int stream_tls_error(const struct stream *s, int result)
{
	int saved = errno;

	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return EAGAIN;
	case SSL_ERROR_SYSCALL:
		return saved ? saved : ECONNRESET;
	case SSL_ERROR_SSL:
		if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return ECONNRESET;
		return EPROTO;
	default:
		return EPROTO;
	}
}

static void stream_handshake_step(struct stream *s)
{
	int result, error;

	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(s->ssl);
	if (result == 1) {
		s->handshaking = false;
		ev_io_stop(s->loop, &s->writing);
		s->handler->ready(s->owner);
		return;
	}
	s->error_number = errno;
	s->ssl_error = SSL_get_error(s->ssl, result);
	error = stream_tls_error(s, result);
	if (error != EAGAIN) {
		s->handler->failed(s->owner, error);
		return;
	}
	if (SSL_want_write(s->ssl))
		ev_io_start(s->loop, &s->writing);
	else
		ev_io_stop(s->loop, &s->writing);
}

void stream_handshake(struct stream *s)
{
	s->handshaking = true;
	ev_io_start(s->loop, &s->reading);
	stream_handshake_step(s);
}

void stream_watch(struct stream *s, bool input)
{
	if (input)
		ev_io_start(s->loop, &s->reading);
	else
		ev_io_stop(s->loop, &s->reading);
}

static void stream_input(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct stream *s = watcher->data;

	(void)loop;
	(void)events;
	assert(s->magic == STREAM_MAGIC);
	if (s->handshaking)
		stream_handshake_step(s);
	else
		s->handler->readable(s->owner);
}

static void stream_output(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct stream *s = watcher->data;
	int error;

	(void)loop;
	(void)events;
	assert(s->magic == STREAM_MAGIC);
	if (s->handshaking) {
		stream_handshake_step(s);
		return;
	}
	if (s->read_wants_write) {
		s->read_wants_write = false;
		ev_io_stop(s->loop, &s->writing);
		s->handler->readable(s->owner);
		return;
	}
	error = stream_flush(s);
	if (error) {
		s->handler->failed(s->owner, -error);
	} else if (buf_len(&s->out) == 0 || (s->congested && buf_len(&s->out) <= s->window / 2)) {
		s->congested = false;
		s->handler->drained(s->owner);
	}
}

ssize_t stream_read(struct stream *s, char *memory, size_t size)
{
	ssize_t got;
	int error;

	if (!s->ssl) {
		got = recv(s->fd, memory, size, 0);
		if (got < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		s->read_bytes += (uint64_t)got;
		return got;
	}
	ERR_clear_error();
	errno = 0;
	got = SSL_read(s->ssl, memory, size > INT32_MAX ? INT32_MAX : (int)size);
	if (got > 0) {
		s->read_bytes += (uint64_t)got;
		return got;
	}
	if (SSL_get_error(s->ssl, (int)got) == SSL_ERROR_ZERO_RETURN)
		return 0;
	error = stream_tls_error(s, (int)got);
	if (error == EAGAIN && SSL_want_write(s->ssl)) {
		s->read_wants_write = true;
		ev_io_start(s->loop, &s->writing);
	}
	return -error;
}

bool stream_has_pending(const struct stream *s)
{
	return s->ssl && SSL_has_pending(s->ssl);
}

struct buf *stream_out(struct stream *s)
{
	return &s->out;
}

/* One write of the beginning of what waits: bytes gone, -EAGAIN or a negative errno. */
static ssize_t stream_write_once(struct stream *s)
{
	struct slice waiting = buf_slice(&s->out);
	ssize_t gone;

	if (!s->ssl) {
		gone = send(s->fd, waiting.data, waiting.len, MSG_NOSIGNAL);
		if (gone < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		return gone;
	}
	ERR_clear_error();
	errno = 0;
	gone = SSL_write(
		s->ssl, waiting.data, waiting.len > INT32_MAX ? INT32_MAX : (int)waiting.len);
	return gone > 0 ? gone : -stream_tls_error(s, (int)gone);
}

int stream_flush(struct stream *s)
{
	ssize_t gone;

	if (s->held)
		return 0;
	while (buf_len(&s->out)) {
		gone = stream_write_once(s);
		if (gone == -EAGAIN) {
			ev_io_start(s->loop, &s->writing);
			if (buf_len(&s->out) > s->window)
				s->congested = true;
			return 0;
		}
		if (gone < 0)
			return (int)gone;
		buf_consume(&s->out, (size_t)gone);
		s->written_bytes += (uint64_t)gone;
	}
	ev_io_stop(s->loop, &s->writing);
	/* An idle connection keeps no buffer: 5,000 of them would keep 5,000. */
	if (s->out.capacity > 4096)
		buf_free(&s->out);
	return 0;
}

int stream_hold(struct stream *s, bool hold)
{
	s->held = hold;
	if (!hold)
		return stream_flush(s);
	ev_io_stop(s->loop, &s->writing);
	return 0;
}

bool stream_congested(struct stream *s)
{
	if (buf_len(&s->out) > s->window)
		s->congested = true;
	return s->congested;
}

static void stream_end(struct stream *s)
{
	assert(s->magic == STREAM_MAGIC);
	ev_io_stop(s->loop, &s->reading);
	ev_io_stop(s->loop, &s->writing);
	SSL_free(s->ssl);
	close(s->fd);
	buf_wipe(&s->out);
	s->ssl = NULL;
	s->fd = -1;
	s->magic = 0;
}

void stream_close(struct stream *s)
{
	if (s->ssl && SSL_is_init_finished(s->ssl)) {
		ERR_clear_error();
		SSL_shutdown(s->ssl);
	}
	stream_end(s);
}

void stream_abort(struct stream *s)
{
	struct linger reset = {.l_onoff = 1};

	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	/* A session of a connection that was cut is still good: OpenSSL must not think otherwise. */
	if (s->ssl)
		SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	stream_end(s);
}
