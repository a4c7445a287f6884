/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records on their way to the collector, which acknowledges them together (Fluentd Forward v1, a
 * PackedForward message with the option "chunk"). */
#ifndef SHIPPER_CHUNK_H
#define SHIPPER_CHUNK_H

#include "audit/forward_client.h"
#include "audit/spool.h"
#include "base/buf.h"
#include "config/config.h"
#include "io/secure_socket.h"

struct chunk {
	struct buf bytes;
	size_t sent;
	struct forward_id id;
	struct spool_position end;
	uint32_t records;
	bool acknowledged;
	uint64_t begun_ns; /* when its first byte was sent on this connection; 0: not yet */
};

/* Takes the next records out of the spool, from *at on, which moves behind them. spare: the memory of
 * an earlier chunk, or BUF_EMPTY. 1: the chunk is made; 0: no records, although *at may have moved; or
 * negative errno, and *at stays. */
int chunk_take(struct chunk *chunk, struct spool *spool, struct spool_position *at,
	const struct config_audit *config, struct buf *spare);
/* 1: all of it is sent; 0: the socket is full; or negative errno. */
int chunk_send(struct chunk *chunk, struct secure_socket *socket);
/* Keeps the memory for the next chunk, unless it is unusually large. */
void chunk_release(struct chunk *chunk, struct buf *spare);

#endif
