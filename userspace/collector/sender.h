/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection of a Forward sender: its handshake, the messages that come, the acknowledgements
 * that go. What becomes of the messages is the receiver's matter. */
#ifndef COLLECTOR_SENDER_H
#define COLLECTOR_SENDER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "audit/forward_handshake.h"
#include "audit/msgpack_scan.h"
#include "base/address.h"
#include "base/list.h"
#include "collector/forward_server.h"
#include "io/secure_socket.h"

struct sender;

struct sender_ops {
	/* As in forward_read. */
	int (*entry)(void *context, const struct forward_entry *entry);
	/* entry refused: the message is not acknowledged. The sender may be freed within. */
	void (*refused)(void *context);
	/* It has shown that it has the key, or a certificate that is needed. */
	void (*proven)(void *context, struct sender *sender);
	/* Its connection is to be closed, or is, for a reason that is to be told. */
	void (*closing)(void *context, const struct sender *sender, const char *why);
	/* Its connection is over; sender_free is the last that is done with it. */
	void (*gone)(void *context, struct sender *sender);
};

struct sender {
	struct list node; /* the receiver's */
	struct ev_loop *loop;
	const struct sender_ops *ops;
	void *context;
	struct slice key; /* to be proven; empty: there is none, or it was */
	bool proven;	  /* who it is is known */
	struct forward_nonce nonce;
	struct secure_socket socket;
	ev_io readable, writable;
	struct msgpack_scan scan;
	struct buf input; /* a message that is not whole yet */
	struct buf acks;  /* of what is stored, but not yet committed */
	struct buf out;
	uint64_t begun_ns, heard_ns; /* when it came, and its last bytes; CLOCK_MONOTONIC */
	char name[64];		     /* for messages */
	struct address from; /* the receiver's: whom its place counts for; of a user: unset */
};

/* Takes fd, a connected socket that does not block, and ssl, of the collector's side (see
 * tls/forward_leg.h), or NULL. With a key the sender must prove that it has it before it is read
 * further. name is for messages. NULL without memory or randomness: fd is closed. */
struct sender *sender_new(struct ev_loop *loop, int fd, SSL *ssl, const char *name,
	struct slice key, const struct sender_ops *ops, void *context);
/* Closes the connection; for the owner of the node, which is removed. */
void sender_free(struct sender *sender);

/* What came is committed: sends its acknowledgements. */
void sender_acknowledge(struct sender *sender);
/* Whether a message has begun and is not whole. */
bool sender_in_message(const struct sender *sender);

#endif
