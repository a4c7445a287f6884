/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shipper's side of the handshake with a collector that shares a key: what comes is read, what
 * is to be sent is written. Knows no socket. */
#ifndef SHIPPER_HANDSHAKE_H
#define SHIPPER_HANDSHAKE_H

#include "audit/forward_handshake.h"
#include "audit/msgpack_scan.h"
#include "base/buf.h"

#define HANDSHAKE_NONCE_MAX 256

struct handshake {
	struct slice host, key; /* the caller's */
	enum { HANDSHAKE_HELLO, HANDSHAKE_PONG } expected;
	struct msgpack_scan scan;
	struct buf input; /* a message that is not whole yet */
	struct forward_nonce salt;
	char nonce[HANDSHAKE_NONCE_MAX]; /* the collector's */
	size_t nonce_len;
};

enum handshake_result { HANDSHAKE_MORE, HANDSHAKE_DONE, HANDSHAKE_FAILED };

/* host names us, and must be another name than the collector's; key is what both have. Free with
 * handshake_free. */
void handshake_begin(struct handshake *handshake, struct slice host, struct slice key);
void handshake_free(struct handshake *handshake);
/* Goes on with the collector's next bytes, *consumed of which belong to it. Appends what is to be
 * sent to out. FAILED: *problem says why. */
enum handshake_result handshake_read(struct handshake *handshake, struct slice input,
	size_t *consumed, struct buf *out, const char **problem);

#endif
