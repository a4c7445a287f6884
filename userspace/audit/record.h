/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A record as event_encode makes it, read back by who must not trust the encoder. */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include <stdint.h>

#include "base/slice.h"

#define RECORD_TIME_SIZE 8 /* bytes of EventTime before the map */

struct record_identity {
	struct slice epoch; /* into the record; 1 … 16 bytes */
	uint64_t stream;
	uint64_t sequence; /* from 1 */
};

/* Checks that all of the bytes are one record: a valid EventTime; one flat map with text keys and
 * scalar values, text in UTF-8; the identity in front. So it can stand in a chunk beside the
 * records of others, and whoever reads the chunk meets nothing nested, long or malformed. 0, or
 * -EBADMSG. Reads in place: the bytes must not change meanwhile. */
int record_check(struct slice record, struct record_identity *identity);

#endif
