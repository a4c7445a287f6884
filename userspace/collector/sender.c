// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SENDER_READ 65536
/* Senders that read no acknowledgements are closed when this much waits for them. */
#define SENDER_ACKS_MAX 65536
#define SENDER_HOST	"sallyport-collector"

static void sender_scan_handshake(struct sender *s)
{
	msgpack_scan_init(&s->scan, FORWARD_HANDSHAKE_MAX, FORWARD_HANDSHAKE_VALUES);
}

/* From here on its events are taken. */
static void sender_scan_messages(struct sender *s)
{
	s->key = SLICE_NONE;
	s->proven = true;
	msgpack_scan_init(&s->scan, FORWARD_MESSAGE_MAX, FORWARD_VALUES_MAX);
}

static void sender_gone(struct sender *s)
{
	s->ops->gone(s->context, s);
}

/* Whether it may be written to: TLS is set up. */
static bool sender_is_open(const struct sender *s)
{
	return !s->socket.ssl || SSL_is_init_finished(s->socket.ssl);
}

/* False: the connection is gone. */
static bool sender_flush(struct sender *s)
{
	while (buf_len(&s->out) && sender_is_open(s)) {
		struct slice out = buf_slice(&s->out);
		ssize_t gone = secure_write(&s->socket, out);

		if (gone == -EAGAIN && out.len <= SENDER_ACKS_MAX) {
			ev_io_start(s->loop, &s->writable);
			return true;
		}
		if (gone < 0) {
			sender_gone(s);
			return false;
		}
		buf_consume(&s->out, (size_t)gone);
	}
	if (!s->socket.wants_write)
		ev_io_stop(s->loop, &s->writable);
	return true;
}

/* False: the connection is gone. */
static bool sender_refuse(struct sender *s, const char *why)
{
	s->ops->closing(s->context, s, why);
	sender_gone(s);
	return false;
}

/* A message before the key is proven. False: the connection is gone. */
static bool sender_handshake(struct sender *s, struct slice message)
{
	struct forward_ping ping;
	bool right;

	if (!forward_ping_read(message, &s->nonce, s->key, &ping))
		return sender_refuse(s, "the handshake of the shared key was expected");
	right = ping.key_right;
	if (forward_pong_write(&s->out, &ping, SLICE(SENDER_HOST), &s->nonce, s->key) < 0) {
		sender_gone(s);
		return false;
	}
	if (!sender_flush(s))
		return false;
	if (!right)
		return sender_refuse(s, "its shared key is not ours");
	sender_scan_messages(s);
	s->ops->proven(s->context, s);
	return true;
}

/* TLS before the first message. False: the connection is gone, or it is not there yet. */
static bool sender_secure(struct sender *s)
{
	struct why why = {""};
	int done = secure_handshake(&s->socket, &why);

	if (done < 0)
		return sender_refuse(s, why.text);
	if (!done) {
		if (s->socket.wants_write)
			ev_io_start(s->loop, &s->writable);
		else
			ev_io_stop(s->loop, &s->writable);
		return false;
	}
	if (!s->key.len) {
		sender_scan_messages(s);
		s->ops->proven(s->context, s);
	}
	return sender_flush(s);
}

/* False: the connection is gone. */
static bool sender_message(struct sender *s, struct slice message)
{
	struct slice chunk;

	if (s->key.len)
		return sender_handshake(s, message);
	switch (forward_read(message, s->ops->entry, s->context, &chunk)) {
	case FORWARD_HEARTBEAT:
		return true;
	case FORWARD_OK:
		if (chunk.len && forward_write_ack(&s->acks, chunk) < 0) {
			sender_gone(s);
			return false;
		}
		return true;
	case FORWARD_REFUSED:
		s->ops->refused(s->context);
		return false;
	case FORWARD_BAD:
		break;
	}
	return sender_refuse(s, "not a Forward message, or one beyond its bounds");
}

/* All that came. False: the connection is gone. */
static bool sender_input(struct sender *s, struct slice input)
{
	while (input.len) {
		enum msgpack_scan_result scanned;
		struct slice whole;
		size_t consumed;

		scanned = msgpack_scan_feed(&s->scan, input, &consumed);
		if (scanned == MSGPACK_SCAN_BAD)
			return sender_refuse(s, "not msgpack, or too long, deep or many");
		whole = slice_first(input, consumed);
		if (scanned == MSGPACK_SCAN_MORE || buf_len(&s->input)) {
			if (buf_append_slice(&s->input, whole) < 0) {
				sender_gone(s);
				return false;
			}
			whole = buf_slice(&s->input);
		}
		if (scanned == MSGPACK_SCAN_MORE)
			return true;
		if (!sender_message(s, whole))
			return false;
		buf_clear(&s->input);
		if (s->input.capacity > SENDER_READ * 16)
			buf_wipe(&s->input);
		input = slice_after(input, consumed);
	}
	return true;
}

static void sender_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct sender *s = watcher->data;
	char scratch[SENDER_READ];
	ssize_t got;

	(void)events;
	if (!sender_is_open(s) && !sender_secure(s))
		return;
	got = secure_read(&s->socket, scratch, sizeof(scratch));
	if (got == -EAGAIN) {
		if (s->socket.wants_write)
			ev_io_start(loop, &s->writable);
		return;
	}
	if (got <= 0) {
		if (sender_in_message(s))
			s->ops->closing(s->context, s, "stopped inside a message, which will come again");
		sender_gone(s);
		return;
	}
	s->heard_ns = clock_monotonic_ns();
	/* The rest of a record comes in the next turn, without the socket being readable. */
	if (secure_pending(&s->socket))
		ev_feed_event(loop, &s->readable, EV_READ);
	sender_input(s, slice_of(scratch, (size_t)got));
}

static void sender_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct sender *s = watcher->data;

	/* TLS may have waited for this to read on. */
	if (!sender_is_open(s) || s->socket.wants_write) {
		ev_io_stop(loop, watcher);
		sender_readable(loop, &s->readable, events);
		return;
	}
	sender_flush(s);
}

struct sender *sender_new(struct ev_loop *loop, int fd, SSL *ssl, const char *name,
	struct slice key, const struct sender_ops *ops, void *context)
{
	struct sender *s = calloc(1, sizeof(*s));
	struct secure_socket socket;

	if (secure_open(&socket, fd, ssl) < 0 || !s) {
		secure_close(&socket);
		free(s);
		return NULL;
	}
	list_init(&s->node);
	s->loop = loop;
	s->ops = ops;
	s->context = context;
	s->key = key;
	s->socket = socket;
	s->begun_ns = s->heard_ns = clock_monotonic_ns();
	snprintf(s->name, sizeof(s->name), "%s", name);
	ev_io_init(&s->readable, sender_readable, fd, EV_READ);
	ev_io_init(&s->writable, sender_writable, fd, EV_WRITE);
	s->readable.data = s->writable.data = s;
	if (key.len || ssl)
		sender_scan_handshake(s);
	else
		sender_scan_messages(s);
	if (key.len && (forward_nonce_make(&s->nonce) < 0 ||
			       forward_hello_write(&s->out, &s->nonce) < 0)) {
		sender_free(s);
		return NULL;
	}
	ev_io_start(loop, &s->readable);
	/* Not from here: the owner does not have it yet. */
	if (buf_len(&s->out))
		ev_io_start(loop, &s->writable);
	return s;
}

void sender_free(struct sender *s)
{
	ev_io_stop(s->loop, &s->readable);
	ev_io_stop(s->loop, &s->writable);
	secure_close(&s->socket);
	buf_wipe(&s->input);
	buf_free(&s->acks);
	buf_free(&s->out);
	list_remove(&s->node);
	free(s);
}

void sender_acknowledge(struct sender *s)
{
	if (!buf_len(&s->acks))
		return;
	if (buf_append_slice(&s->out, buf_slice(&s->acks)) < 0) {
		sender_gone(s);
		return;
	}
	buf_clear(&s->acks);
	sender_flush(s);
}

bool sender_in_message(const struct sender *s)
{
	return s->scan.offset > 0;
}
