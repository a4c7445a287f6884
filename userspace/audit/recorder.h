/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of an audit stream where events are made: numbers them and hands them to the shipper's
 * ring. Each worker has one, and the parent. */
#ifndef AUDIT_RECORDER_H
#define AUDIT_RECORDER_H

#include "audit/event.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/why.h"

struct ev_loop;

struct recorder;

/* Told when an event that found the ring full may be tried again. */
struct recorder_waiter {
	struct list node;
	void (*wake)(struct recorder_waiter *);
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

/* Completes the event with observer, id, epoch, stream and sequence, and records it. 0: it is in
 * the ring, or dropped and counted, because the ring is full and options.waits is not set. -EAGAIN:
 * the ring is full and the exchange has to wait (recorder_wait). */
int recorder_record(struct recorder *recorder, struct event *event);
/* The event will not be tried again: it is lost, and counted and logged as such. */
void recorder_drop(struct recorder *recorder);
/* For those who can put an event off. */
bool recorder_is_half_full(const struct recorder *recorder);
/* Events are from now on those of an appliance of another name. */
void recorder_observe(struct recorder *recorder, const char *observer);
void recorder_wait(struct recorder *recorder, struct recorder_waiter *waiter);
void recorder_cancel(struct recorder_waiter *waiter);
/* Wakes the shipper when there is something new: once per turn of the loop. */
void recorder_flush(struct recorder *recorder);

#endif
