/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A byte ring between one producer and one consumer process, in a memfd both have mapped.
 *
 * Records are of any length up to half of the ring. The consumer sees a record only when it was
 * committed whole, and the producer's room grows only when it was released: either side may die
 * at any instruction, and whoever maps the ring next goes on from what is in it. Order is kept.
 * Waking the other side is the caller's (an eventfd).
 *
 * The producer is the less trusted side and can write anything anywhere into the mapping. The
 * consumer therefore checks each number it reads, and answers -EBADMSG once they contradict each
 * other; from then on the ring is dead. The content of a record may change under the consumer's
 * eyes: copy it before it is parsed where that matters. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"

struct ring;

/* A reader's place, ahead of what it has released. Begin with ring_cursor(). */
struct ring_cursor {
	uint64_t at;
};

/* Makes a ring with room for at least that many bytes (rounded up to a power of two of at least
 * one page; at most 1 GiB) and returns its memfd, sealed against every change of its size. The
 * caller's to close, also after ring_map. */
int ring_create(uint64_t bytes, struct why *why);

/* Maps a ring as its only producer or only consumer; NULL with the reason when fd is no ring, is
 * not sealed, or is damaged. Only one of each kind at a time: the caller sees to that. */
struct ring *ring_map(int fd, bool producer, struct why *why);
void ring_unmap(struct ring *ring);

/* Tells the processor that about len bytes will be written soon: the next place of a ring was last
 * touched when the ring was there before. */
void ring_prefetch(const struct ring *ring, size_t len);
/* Producer. Returns memory for a record of len bytes (1 … ring_record_max), or NULL when there is
 * no room now. Nothing is visible before ring_commit, which may give a smaller len; a second
 * ring_reserve without a commit forgets the first. */
void *ring_reserve(struct ring *ring, size_t len);
void ring_commit(struct ring *ring, size_t len);
/* The longest record that will ever fit. */
size_t ring_record_max(const struct ring *ring);

/* Consumer. Reading is in batches: from a cursor that starts at what was released last, each
 * ring_next gives one record (valid until it is released) and moves the cursor behind it; then
 * ring_release gives everything before the cursor back to the producer.
 * 1: *record is there; 0: none for now; -EBADMSG: the producer wrote nonsense. */
struct ring_cursor ring_cursor(const struct ring *ring);
int ring_next(struct ring *ring, struct ring_cursor *cursor, struct slice *record);
void ring_release(struct ring *ring, const struct ring_cursor *cursor);

/* Nothing committed that is not released; right on either side, for the moment of the call. */
bool ring_empty(const struct ring *ring);
/* Bytes in use, with the overhead of the records; for gauges. */
size_t ring_used(const struct ring *ring);

#endif
