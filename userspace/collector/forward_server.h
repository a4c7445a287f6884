/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The receiving side of the Fluentd Forward protocol v1: one message out of bytes, in all of its
 * modes (Message, Forward, PackedForward, CompressedPackedForward). Knows no socket. */
#ifndef COLLECTOR_FORWARD_SERVER_H
#define COLLECTOR_FORWARD_SERVER_H

#include <msgpack.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define FORWARD_MESSAGE_MAX (64u << 20) /* bytes, also of a chunk once it is decompressed */
#define FORWARD_RECORD_MAX  (16u << 20) /* bytes of one entry */
#define FORWARD_CHUNK_MAX   256		/* bytes of a chunk's id */
/* Values of a message, and of one entry: an event of ours has some two hundred. msgpack-c builds one
 * entry at a time, so these bound its memory. */
#define FORWARD_VALUES_MAX	  (1u << 20)
#define FORWARD_RECORD_VALUES_MAX (1u << 14)

struct forward_entry {
	uint64_t time_ns;	      /* since 1970; 0 when the sender gave none */
	const msgpack_object *record; /* a map */
	struct slice raw;	      /* its bytes */
	struct slice id;	      /* what identifies it, if that is not in it; empty: it is */
	uint64_t index;		      /* in its message, from 0 */
	struct slice chunk;	      /* the message's id; empty: none */
	struct slice tag;
};

enum forward_result {
	FORWARD_OK,
	FORWARD_HEARTBEAT, /* a nil */
	FORWARD_BAD,	   /* not a message of the protocol: close the connection */
	FORWARD_REFUSED,   /* entry said no: nothing was acknowledged */
};

/* Reads one whole msgpack object (see msgpack_scan.h) and gives each of its entries to entry,
 * which returns 0 or a negative errno to refuse the message. *chunk is the id to acknowledge, into
 * the message; empty: no acknowledgement is wanted. Work is linear in the bytes of the message, or
 * those it is decompressed to; memory is that of one entry. Entries before the first that is bad
 * are given all the same. */
enum forward_result forward_read(struct slice message,
	int (*entry)(void *context, const struct forward_entry *entry), void *context,
	struct slice *chunk);

/* Appends the acknowledgement {"ack": chunk}. 0, or -ENOMEM. */
int forward_write_ack(struct buf *out, struct slice chunk);

#endif
