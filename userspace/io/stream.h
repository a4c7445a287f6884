/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One non-blocking connection, TLS or plain, on the event loop: read when there is something,
 * written through a buffer that its owner composes in and flushes once per turn. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

/* What a stream tells its owner. The owner may close the stream inside each of them. */
struct stream_handler {
	void (*ready)(void *owner);	/* the TLS handshake is done */
	void (*readable)(void *owner);	/* stream_read may have something, or the end */
	void (*drained)(void *owner);	/* what waited to be written fell below half a window */
	void (*failed)(void *owner, int error); /* positive errno; EPROTO: TLS; its error queue,
						 * ssl_error and error_number tell more */
};

struct stream {
	unsigned magic;
	struct ev_loop *loop;
	int fd;
	SSL *ssl;
	ev_io reading, writing;
	struct buf out;
	size_t window;
	const struct stream_handler *handler;
	void *owner;
	bool handshaking;
	bool held;		/* nothing is sent until stream_hold(s, false) */
	bool congested;		/* more than a window waits: drained will be told */
	bool read_wants_write;	/* TLS: an SSL_read waits for room to send */
	int ssl_error, error_number; /* of the handshake that failed: SSL_get_error and errno */
	uint64_t read_bytes, written_bytes; /* payload, before TLS */
};

/* Takes fd and ssl (which may be NULL: plain) over. Nothing is watched yet. */
void stream_open(struct stream *s, struct ev_loop *loop, int fd, SSL *ssl, size_t window,
	const struct stream_handler *handler, void *owner);
/* Runs the handshake of ssl, whose side was set before; ends in ready or failed. */
void stream_handshake(struct stream *s);
/* Watches for input, or no longer (back-pressure). */
void stream_watch(struct stream *s, bool input);

/* Reads at most size bytes: their number, 0 at the end of the stream, -EAGAIN, or a negative
 * errno (-EPROTO for TLS errors). A TLS stream that ends without close_notify is -ECONNRESET. */
ssize_t stream_read(struct stream *s, char *memory, size_t size);
/* Whether TLS holds bytes already read from the socket: no event will tell of them. */
bool stream_has_pending(const struct stream *s);

/* Where to compose what is to be sent; nothing is sent before stream_flush. */
struct buf *stream_out(struct stream *s);
/* Sends what can be sent now; the rest follows by itself. 0, or a negative errno. */
int stream_flush(struct stream *s);
/* Keeps everything composed from being sent, or lets it go again. */
int stream_hold(struct stream *s, bool hold);
/* Whether more than a window of bytes waits to be sent. */
bool stream_congested(struct stream *s);

/* Sends close_notify where it is due and closes, at once. What is not flushed is lost. */
void stream_close(struct stream *s);
/* Closes with a reset, without close_notify: the peer must not take what it got for whole. */
void stream_abort(struct stream *s);

#endif
