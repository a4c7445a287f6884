/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1.1 towards an origin (RFC 9112): one request at a time. */
#ifndef PROXY_UPSTREAM_H1_H
#define PROXY_UPSTREAM_H1_H

#include "http/h1.h"
#include "io/stream.h"
#include "proxy/upstream.h"

/* One read of the socket; a TLS record is at most 16 KiB. */
#define UPSTREAM_READ_SIZE 32768

enum upstream_h1_state {
	UPSTREAM_H1_IDLE,     /* nobody asks anything */
	UPSTREAM_H1_ASKED,    /* the response has not ended */
	UPSTREAM_H1_ANSWERED, /* the response is whole, and the connection can go on */
	UPSTREAM_H1_LAST,     /* the response is whole, and was the last of its connection */
};

struct upstream_h1 {
	struct upstream_slot slot;
	struct stream *stream; /* the owner's */
	char *scratch;	       /* UPSTREAM_READ_SIZE bytes, of whoever reads right now */
	struct h1_reader *reader;
	enum upstream_h1_state state;
	struct buf pending;  /* input that was not read, as the response had no room */
	uint64_t sent_before; /* on the connection, before this request */
	bool chunked;	     /* the request's body */
	bool request_whole;
	void (*release)(struct upstream_h1 *h1, bool reusable); /* the owner's */
};

/* The stream must be open before a slot is used. 0 or -ENOMEM. */
int upstream_h1_open(struct upstream_h1 *h1, struct stream *stream, char *scratch,
	const struct h1_limits *limits, void (*release)(struct upstream_h1 *h1, bool reusable));
void upstream_h1_close(struct upstream_h1 *h1);

/* The slot, for a request of this user. */
struct upstream_slot *upstream_h1_take(
	struct upstream_h1 *h1, const struct upstream_user *handler, void *user);

/* What the stream tells while the slot is used. */
void upstream_h1_readable(struct upstream_h1 *h1);
/* The connection rests: gives back what it does not need until the next request. */
void upstream_h1_rests(struct upstream_h1 *h1);
void upstream_h1_flushed(struct upstream_h1 *h1);
void upstream_h1_failed(struct upstream_h1 *h1, int error);

#endif
