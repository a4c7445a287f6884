/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool: records on disk from the moment a worker let go of them until a collector has
 * acknowledged them. See spool_segment.h for the files.
 *
 * Appended records are collected in memory, written by spool_write and made durable by spool_sync
 * (group commit). A record is read for shipping from the moment it was written. One process at a
 * time owns a spool. Every error leaves a spool that can go on. */
#ifndef AUDIT_SPOOL_H
#define AUDIT_SPOOL_H

#include <stdint.h>

#include "audit/spool_options.h"
#include "base/slice.h"
#include "base/why.h"

struct spool;

/* Opens and recovers: reads the cursor, removes segments that were acknowledged, drops the torn
 * tail of the newest segment, and learns from it which records of this epoch are spooled already.
 * Missing, foreign and damaged files are passed over with a log line and counted; only what makes
 * the directory unusable fails: negative errno and why. Makes no new segment yet, so that its
 * files belong to the user who appends. Closing gives back memory and descriptors only. */
int spool_open(const struct spool_options *options, struct spool **spool, struct why *why);
void spool_close(struct spool *spool);

/* Appends the record (a copy is checked with record_check) that came from this stream. 0; -EEXIST:
 * a record with this sequence or a later one is there already (the caller died before it could
 * let go of it); -EBADMSG: no record of this stream and epoch; -EMSGSIZE: longer than any segment
 * takes; -EAGAIN: the segment is full: spool_write first, then append again; -ENOSPC: the spool or
 * the disk is full; or another negative errno of making a segment. On failure this record was not
 * appended, and those before it still are. */
int spool_append(struct spool *spool, uint32_t stream, struct slice record);
/* Writes what was appended. On failure (-ENOSPC, -EIO …) what was appended since the last success
 * is forgotten, as if it had never been appended. */
int spool_write(struct spool *spool);
/* Makes what was written durable. On failure the segment is closed: the kernel may have dropped
 * pages of it, and must not be trusted with more. 0 when there is nothing to do. */
int spool_sync(struct spool *spool);
/* Written and not yet synced. */
bool spool_dirty(const struct spool *spool);
/* A stream that has ended: no record of it will be appended any more. */
void spool_forget(struct spool *spool, uint32_t stream);

/* The place of the oldest record that was not acknowledged. */
struct spool_position spool_cursor(const struct spool *spool);
/* Calls back for records from *at on, of one segment, until one of the limits is reached (at least
 * one record is given, however long) or no more is written, and moves *at behind them. Damaged
 * records are skipped and counted. Returns how many were given, 0: none is there, or the negative
 * errno of reading (then *at is unchanged), or what the callback returned other than 0 (the
 * records up to then count as not given). */
int spool_read(struct spool *spool, struct spool_position *at, uint32_t records, size_t bytes,
	int (*given)(void *context, struct slice record), void *context);
/* Everything before this place was acknowledged: remembers it, then removes the segments that are
 * no longer needed. A failure to remember is logged and counted, and costs repetitions only. */
void spool_acknowledge(struct spool *spool, const struct spool_position *position);

/* Bytes of all segments, for gauges. */
uint64_t spool_size(const struct spool *spool);
/* Where it lies; the spool's. */
int spool_directory(const struct spool *spool);
/* Something is written after this place. */
bool spool_has_after(const struct spool *spool, const struct spool_position *position);
/* A random number that belongs to this directory since it was first used. */
uint64_t spool_number(const struct spool *spool);

#endif
