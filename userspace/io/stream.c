// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define STREAM_MAGIC 0x57e4a301u

static void stream_input(struct ev_loop *loop, ev_io *watcher, int events);
static void stream_output(struct ev_loop *loop, ev_io *watcher, int events);
static void stream_go_on(struct again *again);
static void stream_cool(struct warm *warm);
static void stream_tls_message(int write_p, int version, int content_type, const void *data,
	size_t len, SSL *ssl, void *context);

int stream_open(struct stream *s, struct turn *turn, int fd, SSL *ssl, size_t window,
	const struct stream_handler *handler, void *owner)
{
	BIO *bio = NULL;

	*s = (struct stream){
		.magic = STREAM_MAGIC,
		.turn = turn,
		.fd = fd,
		.ssl = ssl,
		.window = window,
		.handler = handler,
		.owner = owner,
		.messages_left = STREAM_MESSAGES_MAX,
		.messages_ns = clock_monotonic_ns(),
	};
	ev_io_init(&s->reading, stream_input, fd, EV_READ);
	ev_io_init(&s->writing, stream_output, fd, EV_WRITE);
	s->reading.data = s->writing.data = s;
	again_init(&s->again, stream_go_on);
	warm_init(&s->warm, stream_cool);
	if (!ssl)
		return 0;
	bio = socket_bio_new(&s->bio, turn, fd);
	if (!bio) {
		s->magic = 0;
		return -ENOMEM;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_msg_callback(ssl, stream_tls_message);
	SSL_set_msg_callback_arg(ssl, s);
	return 0;
}

/* ---- memory ---- */

/* An idle connection keeps no buffer: 5,000 of them would keep 5,000. */
static void stream_cool(struct warm *warm)
{
	struct stream *s = list_entry(warm, struct stream, warm);

	/* Those with a part of a record in them stay. */
	if (s->ssl)
		SSL_free_buffers(s->ssl);
	if (!buf_len(&s->out))
		buf_free(&s->out);
	if (s->handler->rests)
		s->handler->rests(s->owner);
}

static void stream_use(struct stream *s)
{
	warm_use(&s->turn->warms, &s->warm);
}

/* ---- what the loop watches ---- */

static void stream_arm(struct stream *s, ev_io *watcher, bool on)
{
	if (on)
		ev_io_start(s->turn->loop, watcher);
	else
		ev_io_stop(s->turn->loop, watcher);
}

/* Watches for what can be used, and for nothing else: an event that is there but cannot be used
 * would come back at once, for ever. */
static void stream_update(struct stream *s)
{
	bool wants_read = s->handshaking || s->watched;

	stream_arm(s, &s->reading, s->write_wants_read || (wants_read && !s->read_wants_write));
	stream_arm(s, &s->writing,
		s->read_wants_write || (s->blocked && !s->corked && !s->write_wants_read));
}

/* What no event of the loop tells of. */
static void stream_plan(struct stream *s)
{
	bool relieved = s->full && buf_len(&s->out) <= s->window / 2;

	if (relieved || (s->watched && s->more))
		turn_again(s->turn, &s->again);
	else
		turn_not_again(&s->again);
}

void stream_watch(struct stream *s, bool input)
{
	s->watched = input;
	stream_update(s);
	stream_plan(s);
}

/* Tells flushed where it is due; false: the owner may have closed the stream. */
static bool stream_tell_flushed(struct stream *s, bool wrote)
{
	if (!(s->full && buf_len(&s->out) <= s->window / 2) && !(wrote && !buf_len(&s->out)))
		return true;
	s->full = false;
	stream_plan(s);
	s->handler->flushed(s->owner);
	return false;
}

static void stream_go_on(struct again *again)
{
	struct stream *s = list_entry(again, struct stream, again);

	assert(s->magic == STREAM_MAGIC);
	/* As if the socket were readable, and once when it is as well. */
	if (s->watched && s->more)
		ev_feed_event(s->turn->loop, &s->reading, EV_READ);
	stream_tell_flushed(s, false);
}

/* ---- TLS ---- */

/* Errors of an earlier call must not be taken for those of the next. To clear the queue costs a
 * tenth of reading a record, and nearly always there is nothing in it. */
static void stream_forget_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
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

/* Whether the peer may send one more message now. */
static bool stream_message_allowed(struct stream *s)
{
	uint64_t now = clock_monotonic_ns(), period = NS_PER_S / STREAM_MESSAGES_PER_SECOND,
		 more = (now - s->messages_ns) / period;

	if (more >= STREAM_MESSAGES_MAX - s->messages_left) {
		s->messages_left = STREAM_MESSAGES_MAX;
		s->messages_ns = now;
	} else {
		s->messages_left += (unsigned)more;
		s->messages_ns += more * period;
	}
	if (!s->messages_left)
		return false;
	s->messages_left--;
	return true;
}

/* Counts what a peer sends besides payload: KeyUpdates, tickets, attempts to renegotiate, alerts.
 * OpenSSL handles one after the other inside of a single call, and some cost as much as a
 * handshake. */
static void stream_tls_message(int write_p, int version, int content_type, const void *data,
	size_t len, SSL *ssl, void *context)
{
	struct stream *s = context;
	const unsigned char *type = data;

	if (write_p || !len)
		return;
	switch (content_type) {
	case SSL3_RT_HEADER: /* in TLS 1.3 what is encrypted calls itself application data */
	case SSL3_RT_INNER_CONTENT_TYPE:
		if (*type == SSL3_RT_APPLICATION_DATA)
			return;
		break;
	case SSL3_RT_HANDSHAKE:
		break;
	default:
		return;
	}
	(void)version;
	if (!s->flooded && stream_message_allowed(s))
		return;
	s->flooded = s->bio.refused = true;
	/* OpenSSL stops before the next record; the BIO gives it no more in any case. */
	SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
	ERR_raise(ERR_LIB_SSL, SSL_R_TOO_MANY_KEY_UPDATES);
}

static void stream_handshake_step(struct stream *s)
{
	int result, error;

	stream_forget_errors();
	errno = 0;
	s->read_wants_write = false;
	s->bio.dry = false;
	stream_use(s);
	result = SSL_do_handshake(s->ssl);
	if (result == 1) {
		s->handshaking = false;
		s->watched = true;
		s->more = SSL_has_pending(s->ssl);
		stream_update(s);
		stream_plan(s);
		s->handler->ready(s->owner);
		return;
	}
	s->error_number = errno;
	s->ssl_error = SSL_get_error(s->ssl, result);
	error = s->flooded ? EPROTO : stream_tls_error(s, result);
	if (error != EAGAIN) {
		s->handler->failed(s->owner, error);
		return;
	}
	s->read_wants_write = SSL_want_write(s->ssl);
	stream_update(s);
}

void stream_handshake(struct stream *s)
{
	s->handshaking = true;
	stream_handshake_step(s);
}

/* An event is the handshake's as long as that is under way. */
static bool stream_handshake_goes_on(struct stream *s)
{
	assert(s->magic == STREAM_MAGIC);
	if (!s->handshaking)
		return false;
	stream_handshake_step(s);
	return true;
}

/* ---- input ---- */

static void stream_input(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct stream *s = watcher->data;
	int error;

	(void)loop;
	(void)events;
	if (stream_handshake_goes_on(s))
		return;
	if (s->write_wants_read) {
		s->write_wants_read = false;
		error = stream_flush(s);
		if (error) {
			s->handler->failed(s->owner, -error);
			return;
		}
	}
	if (s->watched && !s->read_wants_write)
		s->handler->readable(s->owner);
}

static ssize_t stream_read_tls(struct stream *s, char *memory, size_t size)
{
	bool wanted_write = s->read_wants_write;
	int got, error = 0;

	stream_forget_errors();
	errno = 0;
	s->bio.dry = false;
	stream_use(s);
	got = SSL_read(s->ssl, memory, size > INT32_MAX ? INT32_MAX : (int)size);
	if (got <= 0)
		error = s->flooded ? EPROTO
			: SSL_get_error(s->ssl, got) == SSL_ERROR_ZERO_RETURN
				? 0
				: stream_tls_error(s, got);
	s->read_wants_write = error == EAGAIN && SSL_want_write(s->ssl);
	/* Only what lies in TLS although the socket was not found empty can be read without it. A read that
	 * ended at a message of TLS itself has not asked the socket for more, and OpenSSL 3.5 does not tell
	 * of what came behind a KeyUpdate. */
	s->more = !s->read_wants_write && !s->bio.dry &&
		  (error == EAGAIN || (got > 0 && SSL_has_pending(s->ssl)));
	stream_plan(s);
	if (s->read_wants_write || wanted_write)
		stream_update(s);
	return got > 0 ? got : -error;
}

ssize_t stream_read(struct stream *s, char *memory, size_t size)
{
	ssize_t got;

	if (s->ssl) {
		got = stream_read_tls(s, memory, size);
	} else {
		got = recv(s->fd, memory, size, 0);
		if (got < 0)
			got = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	}
	if (got > 0)
		s->read_bytes += (uint64_t)got;
	return got;
}

bool stream_has_pending(const struct stream *s)
{
	return s->ssl && SSL_has_pending(s->ssl);
}

/* ---- output ---- */

struct buf *stream_out(struct stream *s)
{
	return &s->out;
}

size_t stream_room(const struct stream *s)
{
	size_t waiting = buf_len(&s->out);

	return waiting < s->window ? s->window - waiting : 0;
}

/* One write of the beginning of what waits: bytes gone, -EAGAIN or a negative errno. */
static ssize_t stream_write_once(struct stream *s)
{
	struct slice waiting = buf_slice(&s->out);
	ssize_t gone;
	int error;

	if (!s->ssl) {
		gone = send(s->fd, waiting.data, waiting.len, MSG_NOSIGNAL);
		if (gone < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		return gone;
	}
	stream_forget_errors();
	errno = 0;
	gone = SSL_write(
		s->ssl, waiting.data, waiting.len > INT32_MAX ? INT32_MAX : (int)waiting.len);
	if (gone > 0)
		return gone;
	error = s->flooded ? EPROTO : stream_tls_error(s, (int)gone);
	s->write_wants_read = error == EAGAIN && SSL_want_read(s->ssl);
	return -error;
}

int stream_flush(struct stream *s)
{
	ssize_t gone = 0;

	if (s->corked)
		return 0;
	if (buf_len(&s->out))
		stream_use(s);
	if (!stream_room(s))
		s->full = true;
	s->blocked = false;
	s->write_wants_read = false;
	while (buf_len(&s->out)) {
		gone = stream_write_once(s);
		if (gone < 0)
			break;
		buf_consume(&s->out, (size_t)gone);
		s->written_bytes += (uint64_t)gone;
	}
	s->blocked = gone == -EAGAIN;
	stream_update(s);
	stream_plan(s);
	return gone < 0 && gone != -EAGAIN ? (int)gone : 0;
}

static void stream_output(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct stream *s = watcher->data;
	int error;

	(void)loop;
	(void)events;
	if (stream_handshake_goes_on(s))
		return;
	if (s->read_wants_write) {
		s->read_wants_write = false;
		stream_update(s);
		if (s->watched)
			s->handler->readable(s->owner);
		return;
	}
	error = stream_flush(s);
	if (error)
		s->handler->failed(s->owner, -error);
	else
		stream_tell_flushed(s, true);
}

int stream_cork(struct stream *s, bool cork)
{
	s->corked = cork;
	if (!cork)
		return stream_flush(s);
	stream_update(s);
	return 0;
}

/* ---- the end ---- */

static void stream_end(struct stream *s)
{
	assert(s->magic == STREAM_MAGIC);
	ev_io_stop(s->turn->loop, &s->reading);
	ev_io_stop(s->turn->loop, &s->writing);
	turn_not_again(&s->again);
	warm_end(&s->turn->warms, &s->warm);
	SSL_free(s->ssl);
	close(s->fd);
	buf_wipe(&s->out);
	s->ssl = NULL;
	s->fd = -1;
	s->magic = 0;
}

static void stream_notify_close(struct stream *s)
{
	if (!s->ssl || !SSL_is_init_finished(s->ssl))
		return;
	stream_forget_errors();
	SSL_shutdown(s->ssl);
}

void stream_shutdown(struct stream *s)
{
	stream_notify_close(s);
	shutdown(s->fd, SHUT_WR);
}

void stream_close(struct stream *s)
{
	stream_notify_close(s);
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
