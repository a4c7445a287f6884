/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a spool, for spool.c (its life) and spool_recover.c (its beginning). */
#ifndef AUDIT_SPOOL_INTERNAL_H
#define AUDIT_SPOOL_INTERNAL_H

#include "base/log_limit.h"
#include "audit/spool_cursor.h"
#include "audit/spool_options.h"
#include "audit/spool_segment.h"
#include "audit/spool_streams.h"

struct spool_segment {
	uint64_t number;
	uint64_t size; /* bytes written */
	uint64_t head; /* of them the table of streams, when that is known; else 0 */
};

struct spool {
	struct spool_options options;
	struct spool_segment *segments; /* by number, ascending; the last may be the active one */
	size_t nsegments, segments_room;
	uint64_t next;	/* number of the segment to be made next */
	int active;	/* fd of the last segment, appended to; -1: none yet */
	bool dirty;	/* something written since the last sync */
	uint64_t size;	/* of all segments */
	struct buf pending; /* frames appended and not written */
	uint64_t npending;
	struct spool_streams streams;
	struct spool_cursor_file cursor;
	struct segment_reader reader;
	struct log_limit cursor_failed, damaged;
};

/* Appends an entry behind the last one. 0, or -ENOMEM. */
int spool_segment_add(struct spool *spool, uint64_t number, uint64_t head);
/* Removes the entry, and the file too where remove says so. */
void spool_segment_drop(struct spool *spool, size_t index, bool remove);

#endif
