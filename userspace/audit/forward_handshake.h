/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handshake of the Fluentd Forward protocol v1 ("HELO", "PING", "PONG"): each side proves that it
 * has the shared key. Both sides of it, without a socket.
 *
 * The key is not a channel: who can change packets on their way needs TLS to be kept out. */
#ifndef AUDIT_FORWARD_HANDSHAKE_H
#define AUDIT_FORWARD_HANDSHAKE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

#define FORWARD_HANDSHAKE_MAX	 4096 /* bytes of one of its messages */
#define FORWARD_HANDSHAKE_VALUES 64

/* Random bytes as hex, which every peer takes as text. */
struct forward_nonce {
	char text[33];
};

/* 0, or -EIO: there is no randomness. */
int forward_nonce_make(struct forward_nonce *nonce);

/* ---- the sender ---- */

/* Reads ["HELO", {"nonce": …}]; *nonce into the message, which is one whole object. */
bool forward_hello_read(struct slice message, struct slice *nonce);
/* Appends ["PING", host, salt, digest, "", ""]. host names the sender. 0, or -ENOMEM. */
int forward_ping_write(struct buf *out, struct slice host, const struct forward_nonce *salt,
	struct slice nonce, struct slice key);
enum forward_pong {
	FORWARD_PONG_OK,
	FORWARD_PONG_REFUSED, /* the receiver does not take our key */
	FORWARD_PONG_BAD,     /* no such message, or the receiver has not the key itself */
};
enum forward_pong forward_pong_read(struct slice message, struct slice host,
	const struct forward_nonce *salt, struct slice nonce, struct slice key);

/* ---- the receiver ---- */

/* Appends ["HELO", {"nonce": …, "auth": "", "keepalive": true}]. 0, or -ENOMEM. */
int forward_hello_write(struct buf *out, const struct forward_nonce *nonce);
struct forward_ping {
	struct slice host, salt; /* into the message */
	bool key_right;
};
/* False: the message is no PING. */
bool forward_ping_read(struct slice message, const struct forward_nonce *nonce, struct slice key,
	struct forward_ping *ping);
/* Appends ["PONG", ok, reason, host, digest]; host names the receiver. 0, or -ENOMEM. */
int forward_pong_write(struct buf *out, const struct forward_ping *ping, struct slice host,
	const struct forward_nonce *nonce, struct slice key);

#endif
