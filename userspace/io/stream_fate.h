/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of bytes that were written to a connection which is lost now: the kernel knows how
 * much of them the other side has acknowledged. */
#ifndef IO_STREAM_FATE_H
#define IO_STREAM_FATE_H

#include <stdint.h>

#include "io/stream.h"

enum stream_fate {
	/* The other side had closed before it could have received a byte. */
	STREAM_NOTHING_TAKEN,
	/* It acknowledged no byte, but its reset may have overtaken the acknowledgement: the usual
	 * end of a connection that a host or a middlebox has forgotten. */
	STREAM_NOTHING_ACKNOWLEDGED,
	STREAM_MAYBE_TAKEN,
};

/* Before the bytes are written: the mark that stream_fate takes. No system call. */
uint64_t stream_sent(const struct stream *s);
/* error: how the loss showed itself, a positive errno, or 0 for an end of input. */
enum stream_fate stream_fate(const struct stream *s, uint64_t sent_before, int error);

#endif
