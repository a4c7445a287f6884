/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One non-blocking connection, TLS or plain, on the event loop: read when there is something,
 * written through a buffer that its owner composes in and flushes once per turn. What a peer sends
 * cannot keep a stream busy beyond its share of a turn: the rest is read in the next. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "io/socket_bio.h"
#include "io/turn.h"

/* TLS records and handshake messages without payload that a peer may send at once (a handshake has
 * fewer than thirty, a KeyUpdate is one of each), and as many more per second. */
#define STREAM_MESSAGES_MAX	   128
#define STREAM_MESSAGES_PER_SECOND 2

/* What a stream tells its owner. The owner may close the stream inside each of them. */
struct stream_handler {
	void (*ready)(void *owner);	/* the TLS handshake is done */
	void (*readable)(void *owner);	/* stream_read may have something, or the end */
	void (*flushed)(void *owner);	/* all that waited to be written is written; or, after there
					 * was no room, half a window is free again */
	void (*failed)(void *owner, int error); /* positive errno; EPROTO: TLS; its error queue,
						 * ssl_error and error_number tell more */
	void (*rests)(void *owner);	/* NULL, or: it was not used for a while (warm.h), and may
					 * give memory back; the stream stays */
};

struct stream {
	unsigned magic;
	struct turn *turn;
	int fd;
	SSL *ssl;
	struct socket_bio bio;
	ev_io reading, writing;
	struct again again; /* more to read, or flushed to be told, without an event of the loop */
	struct warm warm;   /* keeps the buffers of TLS, and the memory of out */
	struct buf out;
	size_t window;
	const struct stream_handler *handler;
	void *owner;
	bool handshaking;
	bool watched;		/* the owner wants input */
	bool more;		/* TLS may have input that is not in the socket any more */
	bool corked;		/* nothing is sent until stream_cork(s, false) */
	bool blocked;		/* the socket took no more of out */
	bool full;		/* there was no room: flushed will be told */
	bool read_wants_write;	/* TLS cannot read before something is written, */
	bool write_wants_read;	/* or cannot write before something is read */
	bool flooded;		/* the peer sent too many TLS messages without payload */
	unsigned messages_left;	/* that it may send now */
	uint64_t messages_ns;	/* CLOCK_MONOTONIC: when they were counted */
	int ssl_error, error_number; /* of the handshake that failed: SSL_get_error and errno */
	uint64_t read_bytes, written_bytes; /* payload, before TLS */
};

/* Takes fd and ssl over (which may be NULL: plain; else without a BIO). Nothing is watched yet.
 * 0; or -ENOMEM, and both stay the caller's. */
int stream_open(struct stream *s, struct turn *turn, int fd, SSL *ssl, size_t window,
	const struct stream_handler *handler, void *owner);
/* Runs the handshake of ssl, whose side was set before; ends in ready or failed. Afterwards input
 * is watched. */
void stream_handshake(struct stream *s);
/* Watches for input, or no longer (back-pressure). A level: while it is watched, readable is told
 * in each turn in which there is something to read, also of what TLS has already. */
void stream_watch(struct stream *s, bool input);

/* Reads at most size bytes: their number, 0 at the end of the stream, -EAGAIN, or a negative
 * errno (-EPROTO for TLS errors). A TLS stream that ends without close_notify is -ECONNRESET.
 * -EAGAIN also when the share of this turn is used up. */
ssize_t stream_read(struct stream *s, char *memory, size_t size);
/* Whether TLS holds bytes already read from the socket, a part of a record perhaps. */
bool stream_has_pending(const struct stream *s);

/* Where to compose what is to be sent; nothing is sent before stream_flush. */
struct buf *stream_out(struct stream *s);
/* Bytes that may be composed before a window of them waits; 0: stop. A level. When it was 0 at a
 * flush, flushed is told as soon as half a window is free again, however that came, but never
 * inside of stream_flush. */
size_t stream_room(const struct stream *s);
/* Sends what can be sent now; the rest follows by itself. 0, or a negative errno. */
int stream_flush(struct stream *s);
/* Keeps everything composed from being sent, or lets it go again. */
int stream_cork(struct stream *s, bool cork);

/* Says that nothing more will be sent (close_notify and FIN); input may still come. */
void stream_shutdown(struct stream *s);
/* Sends close_notify where it is due and closes, at once. What is not flushed is lost. */
void stream_close(struct stream *s);
/* Closes with a reset, without close_notify: the peer must not take what it got for whole. */
void stream_abort(struct stream *s);

#endif
