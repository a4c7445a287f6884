/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of http/h2: h2_session.c has the connection, h2_input.c what comes, h2_output.c what goes. */
#ifndef HTTP_H2_INTERNAL_H
#define HTTP_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "http/h2.h"
#include "http/h2_head.h"

/* How far an incoming message has come. */
enum h2_in {
	H2_IN_HEAD,
	H2_IN_BODY,    /* the head was told */
	H2_IN_WHOLE,   /* the end was told */
	H2_IN_REFUSED, /* nobody wants the rest */
};

enum h2_out {
	H2_OUT_NONE,
	H2_OUT_COMPOSED, /* the head waits for h2_stream_submit */
	H2_OUT_SUBMITTED,
	H2_OUT_DONE, /* its end is sent */
};

/* A section that goes out, in one piece of memory with what its entries point to. */
struct h2_fields {
	nghttp2_nv *list;
	size_t count;
};

struct h2_stream {
	struct list node; /* in the connection's streams, or news once it is closed */
	struct list news;
	struct h2 *h2;
	int32_t id; /* 0: a request that is not submitted */
	const struct message_ops *ops;
	void *to;
	bool closed;   /* for nghttp2 it exists no more */
	bool reset;    /* by us */
	bool full;     /* there was no room */
	/* what comes */
	enum h2_in in;
	struct h2_section section, trailers;
	struct head head;
	struct buf pending; /* of the body: not told */
	size_t frame_left;  /* of a DATA frame without padding */
	uint64_t received;
	bool ended;	    /* END_STREAM has come */
	bool no_body;	    /* a response to HEAD */
	unsigned interim;
	/* what goes */
	enum h2_out out;
	struct h2_fields fields, out_trailers;
	struct buf body;
	uint64_t sent;
	bool fin;	    /* nothing comes behind what waits */
	bool corked, deferred;
};

struct h2 {
	unsigned magic;
	nghttp2_session *session;
	enum head_kind incoming;
	struct h2_limits limits;
	const struct h2_user *ops;
	void *user;
	struct list streams, news;
	size_t nstreams;
	struct h2_stream *spare; /* its memory is used again */
	struct h2_flood flood;
	uint64_t now_ns, sent;
	struct buf *out; /* of the h2_produce that is on the stack … */
	size_t upto;	 /* … and when it is enough */
	struct h2_stream *head_stream;
	size_t head_bytes;
	bool heading;	 /* a head is incomplete */
	bool begun;	 /* the peer's first words are read */
	bool over, broken, flooded;
};

/* ---- h2_session.c ---- */

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id);
/* Something is to be told of the stream. */
void h2_stream_has_news(struct h2_stream *stream);
/* More than is allowed: ends the connection. */
void h2_is_too_much(struct h2 *h2);

/* ---- h2_input.c: nghttp2's callbacks for what comes ---- */

void h2_input_callbacks(nghttp2_session_callbacks *callbacks);

/* ---- h2_output.c: and for what goes ---- */

void h2_output_callbacks(nghttp2_session_callbacks *callbacks);
void h2_fields_free(struct h2_fields *fields);

#endif
