/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A place for one request and its response on a connection to an origin. A connection of HTTP/1 has
 * one such slot, a connection of HTTP/2 has many; whoever uses a slot does not see the difference. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <stdint.h>

#include "base/address.h"
#include "http/message.h"
#include "io/stream_fate.h"

struct upstream_slot;

/* What a slot tells its user, who may release the slot inside each of these calls. */
struct upstream_user {
	/* The response. Interim responses are not told. After a call that released the slot a
	 * negative errno is returned. */
	struct message_ops response;
	/* All that came in this turn is told, and can be sent on together. 0, or a negative errno
	 * when the slot was released. */
	int (*turn)(void *user);
	/* The request has room again, or all that was written of it is sent. */
	void (*flushed)(void *user);
};

struct upstream_ops {
	struct message_ops request; /* to: the slot */
	/* Sends what was handed over. 0, or a negative errno; what the origin said before, if
	 * anything, is told by and by. */
	int (*flush)(struct upstream_slot *slot);
	/* The response's room has risen from 0. */
	void (*resume)(struct upstream_slot *slot);
	bool (*unsent)(const struct upstream_slot *slot); /* bytes wait that the origin has not taken */
	uint64_t (*sent)(const struct upstream_slot *slot); /* bytes that it has, in all */
	/* What became of the request on a connection that was lost with this error (0: its end). */
	enum stream_fate (*fate)(const struct upstream_slot *slot, int error);
	/* The slot is used no more: the connection stays for others if both messages are whole and
	 * the wire allows it. */
	void (*release)(struct upstream_slot *slot);
};

struct upstream_slot {
	const struct upstream_ops *ops;
	const struct upstream_user *handler; /* NULL: nobody uses it */
	void *user;
	struct address_port address; /* of the origin */
	uint64_t connect_ns; /* TCP and TLS took this long; 0 for a connection used before */
	bool reused;	     /* the connection has served another request */
};

#endif
