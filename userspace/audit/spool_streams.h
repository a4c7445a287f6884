/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which sequence each stream of one epoch has reached: what is spooled is not spooled again. */
#ifndef AUDIT_SPOOL_STREAMS_H
#define AUDIT_SPOOL_STREAMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define STREAMS_MAX   1024 /* of which is remembered; the lowest numbers are forgotten first */
#define STREAMS_EPOCH 16

struct stream_reached {
	uint32_t stream;
	uint64_t written; /* in a segment; 0: nothing */
	uint64_t pending; /* ≥ written: appended only */
};

struct spool_streams {
	char epoch[STREAMS_EPOCH]; /* padded with NUL */
	struct stream_reached *reached; /* sorted by stream */
	size_t n;
};

/* epoch: 1 … 16 bytes; what is longer is cut. */
void streams_init(struct spool_streams *streams, struct slice epoch);
void streams_free(struct spool_streams *streams);
bool streams_same_epoch(const struct spool_streams *streams, struct slice epoch);

/* The entry of the stream, made when it is not there; NULL without memory. Valid until the next
 * call. */
struct stream_reached *streams_get(struct spool_streams *streams, uint32_t stream);
void streams_forget(struct spool_streams *streams, uint32_t stream);
/* What is pending was written; or is given up. */
void streams_settle(struct spool_streams *streams, bool written);

/* Appends the body of a FRAME_STREAMS with what was written. 0, or -ENOMEM. */
int streams_encode(const struct spool_streams *streams, struct buf *body);
/* Takes over what such a body says, when it is of the same epoch. 0; -EBADMSG: it is no such body;
 * or -ENOMEM. */
int streams_decode(struct spool_streams *streams, struct slice body);

#endif
