/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection of HTTP/2 (RFC 9113), of a server or of a client: spans in, spans out, and in between
 * messages as http/message.h has them, many at a time. nghttp2 knows frames, HPACK, the states of
 * streams and windows; what a message is, how much of it waits, and how much a peer may ask of us
 * without asking anything is told here.
 *
 * Nobody is told anything while something is sent. What a taker is told it may answer at once, with
 * any call of this file but h2_feed, h2_produce and h2_free. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "base/buf.h"
#include "base/list.h"
#include "http/h2_flood.h"
#include "http/h2_section.h"
#include "http/message.h"

struct h2_limits {
	size_t head_max;      /* bytes of a head, and of trailers */
	uint32_t headers_max; /* fields of either */
	uint64_t body_max;    /* bytes of an incoming body; 0: no limit */
	uint32_t streams_max; /* that a client may have open at a time */
	uint32_t window;      /* bytes of a body that wait, of each stream and direction */
};

struct h2;
struct h2_stream;

/* What a connection tells its owner. */
struct h2_user {
	/* A client has opened a stream: h2_stream_attach says who takes its request. 0; or a
	 * negative errno: it is refused. */
	int (*opened)(void *user, struct h2_stream *stream);
	/* The taker's message that goes out has room again, after it had none. */
	void (*flushed)(void *to);
	/* The stream has ended, and the taker's pointer to it with it. */
	void (*closed)(void *to);
};

/* Incoming says which side this is: a server reads requests. The limits are copied. NULL without memory. */
struct h2 *h2_new(enum head_kind incoming, const struct h2_limits *limits, const struct h2_user *ops,
	void *user);
/* The takers are told nothing any more. */
void h2_free(struct h2 *h2);

/* Reads. The takers hear of what came, those of streams that were reset by h2_tell. 0; or a negative
 * errno: nothing is read any more, and what h2_produce still gives is the last. */
int h2_feed(struct h2 *h2, struct slice input, uint64_t now_ns);
/* Appends what is to be sent, until out holds `upto` bytes. 0 or -ENOMEM. */
int h2_produce(struct h2 *h2, struct buf *out, size_t upto);
/* Tells what sending has brought about: streams that ended, and room. To be called after h2_feed and
 * whenever h2_has_news, but not by a taker who is being told something. */
void h2_tell(struct h2 *h2);
bool h2_has_news(const struct h2 *h2);

/* Gives back what is kept for the next stream. */
void h2_trim(struct h2 *h2);

/* Streams that are open, whoever opened them. */
size_t h2_streams(const struct h2 *h2);
/* The peer owes the rest of a head, or its first words. */
bool h2_in_head(const struct h2 *h2);
/* The stream of the head that is incomplete; NULL: there is none, or nobody takes it. */
struct h2_stream *h2_head_stream(const struct h2 *h2);
/* Bytes of bodies that went into what h2_produce gave. */
uint64_t h2_sent(const struct h2 *h2);
/* The connection was ended by h2_terminate or by a violation. */
bool h2_is_over(const struct h2 *h2);
/* … because the peer asked for too much without asking anything. */
bool h2_is_flooded(const struct h2 *h2);

/* Says that new streams should go elsewhere (section 6.8) … */
void h2_notice(struct h2 *h2);
/* … and that later ones than those seen are not looked at: they may be sent elsewhere at once. */
void h2_goaway(struct h2 *h2);
/* Ends all streams, with an error of section 7. */
void h2_terminate(struct h2 *h2, uint32_t error);

/* ---- streams ---- */

/* Who takes the stream's incoming message, whose abort is the last that the ops are told. */
void h2_stream_attach(struct h2_stream *stream, const struct message_ops *ops, void *to);
/* Nobody any more: what still comes is thrown away, and closed is not told. */
void h2_stream_detach(struct h2_stream *stream);
/* The taker has room again. */
void h2_stream_resume(struct h2_stream *stream);
/* Whether all of the incoming message has come and was taken. */
bool h2_stream_is_whole(const struct h2_stream *stream);

/* The outgoing message, to: the stream. Its room is that of the stream alone. abort ends the stream
 * as if it had failed. */
extern const struct message_ops h2_stream_out;
/* Lets go of what was handed over; nothing of it is given by h2_produce before. */
void h2_stream_submit(struct h2_stream *stream);
/* Keeps it back, from now on and from where it is, or no longer. */
void h2_stream_cork(struct h2_stream *stream, bool cork);
/* An interim response. */
void h2_stream_continue(struct h2_stream *stream);
/* Ends the stream with an error of section 7; what waits is thrown away. */
void h2_stream_reset(struct h2_stream *stream, uint32_t error);
/* Bytes of the bodies so far, of both directions. */
uint64_t h2_stream_received(const struct h2_stream *stream);
uint64_t h2_stream_sent(const struct h2_stream *stream);
/* Bytes that were handed over and are not sent. */
size_t h2_stream_unsent(const struct h2_stream *stream);

#endif
