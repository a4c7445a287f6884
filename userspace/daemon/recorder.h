/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's end of the audit stream: numbers events and hands them to the shipper's ring. */
#ifndef DAEMON_RECORDER_H
#define DAEMON_RECORDER_H

#include "audit/event.h"
#include "base/list.h"
#include "base/why.h"
#include "daemon/role.h"

struct recorder;

/* Told when an event that found the ring full may be tried again. */
struct recorder_waiter {
	struct list node;
	void (*wake)(struct recorder_waiter *);
};

/* Takes the boot fds ring, wake_shipper and wake_worker. */
int recorder_new(struct role_context *context, struct recorder **recorder, struct why *why);
void recorder_free(struct recorder *recorder);

/* Completes the event with observer, id, epoch, stream and sequence, and records it. 0: it is in
 * the ring, or dropped and counted where audit.when_full says so. -EAGAIN: the ring is full and
 * the exchange has to wait (recorder_wait). */
int recorder_record(struct recorder *recorder, struct event *event);
/* The event will not be tried again: it is lost, and counted and logged as such. */
void recorder_drop(struct recorder *recorder);
void recorder_wait(struct recorder *recorder, struct recorder_waiter *waiter);
void recorder_cancel(struct recorder_waiter *waiter);
/* Wakes the shipper when there is something new: once per turn of the loop. */
void recorder_flush(struct recorder *recorder);

#endif
