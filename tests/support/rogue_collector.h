/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A collector (Fluentd forward protocol) on loopback that acknowledges, or misbehaves for a while.
 */
#ifndef SUPPORT_ROGUE_COLLECTOR_H
#define SUPPORT_ROGUE_COLLECTOR_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buf.h"

/* What it does with a chunk. */
enum rogue_manner { ROGUE_ACKNOWLEDGE, ROGUE_SILENT, ROGUE_CLOSE, ROGUE_RUBBISH, ROGUE_WRONG_ID };

struct rogue_collector {
	struct ev_loop *loop;
	int listener, connection; /* connection -1: none */
	ev_io accepting, reading;
	struct buf input;
	enum rogue_manner manner;
	unsigned misbehave; /* so many times, then it acknowledges */
	/* The sequences of records that it stored, and the ids of all chunks that came. */
	uint64_t received[5000];
	size_t nreceived;
	char chunks[64][32];
	size_t nchunks;
};

/* Binds a free port of loopback, which is told; listens when it is told to. All else of it is zero
 * before. It stops the test when it is sent more than there is room for. */
void rogue_collector_bind(
	struct rogue_collector *collector, struct ev_loop *loop, struct address_port *at);
void rogue_collector_listen(struct rogue_collector *collector);
void rogue_collector_close(struct rogue_collector *collector);

#endif
