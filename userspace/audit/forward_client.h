/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sending side of the Fluentd Forward protocol v1: a chunk of records as bytes, an
 * acknowledgement out of bytes. Knows no socket.
 *
 * Mode Forward: [tag, [[EventTime, record], …], {"size": n, "chunk": id}]. */
#ifndef AUDIT_FORWARD_CLIENT_H
#define AUDIT_FORWARD_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

/* base64 of 128 bits, which is the form that every peer takes. */
struct forward_id {
	char text[25];
};

/* The id of the chunk that holds the records of one spool segment between two offsets (each less
 * than 4 GiB): the same bytes always have the same id, so that a resend is recognised. */
struct forward_id forward_id(
	uint64_t spool_number, uint64_t segment, uint64_t begin, uint64_t end);

/* A chunk in the making: begin, add each record, end. out gets the bytes, all three return 0 or
 * -ENOMEM; after a failure the content of out is of no use. */
struct forward_chunk {
	struct buf *out;
	size_t count_at; /* where the number of records is filled in */
	uint32_t count;
};

int forward_chunk_begin(struct forward_chunk *chunk, struct slice tag, struct buf *out);
/* record: as event_encode makes it (EventTime, then a map); -EBADMSG when it is shorter than that. */
int forward_chunk_add(struct forward_chunk *chunk, struct slice record);
int forward_chunk_end(struct forward_chunk *chunk, const struct forward_id *id);

#define FORWARD_ACK_MAX 1024 /* bytes of one message of the collector */

enum forward_ack_result { FORWARD_ACK_MORE, FORWARD_ACK_OK, FORWARD_ACK_BAD };

/* Reads one message from the front of the input: {"ack": id}, other keys besides ignored.
 * OK: *consumed bytes were it and id is the text of "ack" (str or bin), into the input; empty when
 * the message was a nil or a map without an ack, which peers send to say they are alive. MORE: not
 * all of it is there yet; nothing is consumed. BAD: no such message, or longer than
 * FORWARD_ACK_MAX; close the connection. */
enum forward_ack_result forward_ack_read(struct slice input, size_t *consumed, struct slice *id);

#endif
