/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the end of one msgpack object in a stream without building it: nothing is allocated for
 * what a length only claims; depth and the number of values are bounded before msgpack-c, which
 * takes some thirty bytes for each, sees a byte. */
#ifndef AUDIT_MSGPACK_SCAN_H
#define AUDIT_MSGPACK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define MSGPACK_SCAN_DEPTH 16

enum msgpack_scan_result {
	MSGPACK_SCAN_MORE, /* the object goes on after the input */
	MSGPACK_SCAN_DONE, /* it ends within the input */
	MSGPACK_SCAN_BAD,  /* not msgpack, too deep, longer than the limit, or of too many values */
};

struct msgpack_scan {
	size_t max;	   /* bytes of an object */
	size_t values_max; /* values in it, itself and all that containers hold */
	size_t values;	   /* of those, seen so far */
	size_t whole;	   /* those of the object that was DONE last */
	size_t offset;	/* bytes of the object seen so far */
	uint64_t skip;	/* bytes of a string, binary or number still to come */
	uint64_t left[MSGPACK_SCAN_DEPTH]; /* values still to come of each open container */
	unsigned depth;
	unsigned char head[9];	/* of a value whose head is cut by the end of an input */
	unsigned head_len;
};

void msgpack_scan_init(struct msgpack_scan *scan, size_t max, size_t values_max);
/* Goes on with the next bytes of the stream; *consumed counts those that belong to the object.
 * After DONE the scan is ready for the next object. */
enum msgpack_scan_result msgpack_scan_feed(
	struct msgpack_scan *scan, struct slice input, size_t *consumed);

/* Both take what stands at the front of *rest and move it on; false: there is no such thing, or not
 * all of it, or (the first) it holds more than values_max. The first takes one object and says how
 * many values it holds; the second takes the head of an array, whose n items follow. */
bool msgpack_take(struct slice *rest, size_t values_max, struct slice *object, size_t *values);
bool msgpack_take_array(struct slice *rest, uint32_t *n);

#endif
