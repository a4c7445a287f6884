/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ClientHello inside the Initial packets of a QUIC client, version 1 (RFC 9000, 9001) or 2 (RFC
 * 9369). They are sealed with keys that anybody can derive who sees them. Sans-I/O. */
#ifndef SCOUT_QUIC_H
#define SCOUT_QUIC_H

#include <stdint.h>

#include "base/slice.h"
#include "scout/segments.h"
#include "tls/clienthello.h"

enum quic_result {
	QUIC_MORE,	  /* an Initial; its ClientHello goes on in the next datagram */
	QUIC_HELLO,	  /* hello is filled */
	QUIC_NOT_INITIAL, /* no Initial packet: another protocol, or later in a connection */
	QUIC_VERSION,	  /* a version of QUIC whose keys we do not know */
	QUIC_SEALED,	  /* does not open: not sealed by a client's first keys, or damaged */
	QUIC_MALFORMED,	  /* opened, and makes no sense */
};

/* What was seen of one connection. Starts as QUIC_EMPTY; free it with segments_free(&q.crypto). */
struct quic {
	struct segments crypto;
	uint8_t first[20]; /* the destination connection ID that opened a packet: makes the keys */
	uint8_t nfirst;
	uint32_t connections; /* begun: each has its own first ID */
};
#define QUIC_EMPTY ((struct quic){.nfirst = 0})

/* Reads a datagram that a client sent. */
enum quic_result quic_read(struct quic *quic, struct slice datagram, struct clienthello *hello);

#endif
