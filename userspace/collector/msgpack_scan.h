/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the end of one msgpack object in a stream without building it: nothing is allocated for
 * what a length only claims, and depth is bounded, before msgpack-c sees a byte. */
#ifndef COLLECTOR_MSGPACK_SCAN_H
#define COLLECTOR_MSGPACK_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define MSGPACK_SCAN_DEPTH 16

enum msgpack_scan_result {
	MSGPACK_SCAN_MORE, /* the object goes on after the input */
	MSGPACK_SCAN_DONE, /* it ends within the input */
	MSGPACK_SCAN_BAD,  /* not msgpack, too deep, or longer than the limit */
};

struct msgpack_scan {
	size_t max;	/* bytes of an object */
	size_t offset;	/* bytes of the object seen so far */
	uint64_t skip;	/* bytes of a string, binary or number still to come */
	uint64_t left[MSGPACK_SCAN_DEPTH]; /* values still to come of each open container */
	unsigned depth;
	unsigned char head[9];	/* of a value whose head is cut by the end of an input */
	unsigned head_len;
};

void msgpack_scan_init(struct msgpack_scan *scan, size_t max);
/* Goes on with the next bytes of the stream; *consumed counts those that belong to the object.
 * After DONE the scan is ready for the next object. */
enum msgpack_scan_result msgpack_scan_feed(
	struct msgpack_scan *scan, struct slice input, size_t *consumed);

#endif
