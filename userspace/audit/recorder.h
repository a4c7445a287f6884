/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of an audit stream where events are made: numbers them and hands them to the shipper's
 * ring. Each worker has one, and the parent. */
#ifndef AUDIT_RECORDER_H
#define AUDIT_RECORDER_H

#include "audit/event.h"
#include "base/buf.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/why.h"

struct ev_loop;

struct recorder;

/* The place in the queue of an event that found the ring full. */
struct recorder_waiter {
	struct list node;
	struct buf record; /* encoded: the recorder's */
	void (*wake)(struct recorder_waiter *); /* the event is in the ring now: told once */
};

struct recorder_options {
	struct ev_loop *loop; /* for waiters; NULL where waits is false */
	struct counters *counters;
	const char *observer; /* appliance.name; it and the epoch stay the caller's, and there */
	const char *epoch;
	uint32_t stream; /* unique in the epoch */
	/* Never recorded, wherever they stand (event.secrets); they stay the caller's. */
	struct secret *const *secrets;
	size_t nsecrets;
	/* Where the ring is full the event is told to wait for room; else it is dropped. */
	bool waits;
	int ring, wake_shipper, wake_worker; /* taken, also on failure; -1 is a failure */
};

/* 0, or negative errno with why; also then *recorder is to be freed. */
int recorder_new(
	const struct recorder_options *options, struct recorder **recorder, struct why *why);
void recorder_free(struct recorder *recorder);

/* How many events wait in the ring's recorder with whom nobody else waits. */
#define RECORDER_KEPT_MAX 256

/* Completes the event with observer, id, epoch, stream and sequence, and records it. 0: it is in
 * the ring; or it is lost, which is counted and logged, and seen by the collector as a gap, because
 * the ring is full and events do not wait (options.waits is not set). waiter NULL: nobody waits
 * with it, 0 as well when it waits by itself, for which RECORDER_KEPT_MAX have room. -EAGAIN: the
 * encoded event waits for its place in the ring, behind those that came before it; waiter is the
 * recorder's until wake or recorder_cancel. The event itself is not used any more in either case.
 */
int recorder_record(
	struct recorder *recorder, struct event *event, struct recorder_waiter *waiter);
/* The same for an event that can be told later: 0, or -EAGAIN: there is no room now, and nothing is
 * lost yet. */
int recorder_try(struct recorder *recorder, struct event *event);
/* Something was not told, and will not be: it is counted and logged, and the collector sees a gap. */
void recorder_drop(struct recorder *recorder);
/* The event that waits there is given up: lost, and counted and logged as such. */
void recorder_cancel(struct recorder *recorder, struct recorder_waiter *waiter);
/* For those who can put an event off. */
bool recorder_is_half_full(const struct recorder *recorder);
/* Events are from now on those of an appliance of another name. */
void recorder_observe(struct recorder *recorder, const char *observer);
/* Wakes the shipper when there is something new: once per turn of the loop. */
void recorder_flush(struct recorder *recorder);

#endif
