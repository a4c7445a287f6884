// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/recorder.h"

#include <errno.h>
#include <ev.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/ring.h"
#include "base/uuid.h"

/* An unusually large encoding buffer is not kept. */
#define RECORDER_KEEP (1u << 20)
/* Of the ring, fetched while an event is encoded. */
#define RECORDER_AHEAD 8192

struct recorder {
	struct recorder_options options;
	struct ring *ring;
	int wake_shipper, wake_worker;
	ev_io room;
	struct list waiting;
	unsigned kept; /* of them, how many are struct kept */
	struct buf record;
	uint64_t sequence;
	uint64_t dropped;
	bool fresh; /* something was committed since the last flush */
	uint8_t random[256];
	size_t random_used;
};

/* An event with which nobody waits. */
struct kept {
	struct recorder_waiter waiter;
	struct recorder *recorder;
};

static void kept_wake(struct recorder_waiter *waiter)
{
	struct kept *kept = (struct kept *)((char *)waiter - offsetof(struct kept, waiter));

	kept->recorder->kept--;
	free(kept);
}

/* Puts an encoded record into the ring; false: there is no room now. */
static bool recorder_put(struct recorder *r, struct slice record)
{
	void *room = ring_reserve(r->ring, record.len);

	/* Also when it is full: the shipper is to make room. */
	r->fresh = true;
	if (!room)
		return false;
	memcpy(room, record.data, record.len);
	ring_commit(r->ring, record.len);
	counter_add(r->options.counters, COUNTER_AUDIT_RECORDED, 1);
	return true;
}

/* There is room again. Those who wait are served in the order in which they came: a large event is
 * not overtaken by small ones that would take its room for ever. */
static void recorder_room(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct recorder *r = watcher->data;
	uint64_t count;

	(void)loop;
	(void)events;
	if (read(r->wake_worker, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warning("cannot read the shipper's wake-up: %s", strerror(errno));
	while (!list_empty(&r->waiting)) {
		struct recorder_waiter *waiter =
			list_entry(r->waiting.next, struct recorder_waiter, node);

		if (!recorder_put(r, buf_slice(&waiter->record)))
			return;
		list_remove(&waiter->node);
		buf_wipe(&waiter->record);
		waiter->wake(waiter);
	}
}

int recorder_new(
	const struct recorder_options *options, struct recorder **recorder, struct why *why)
{
	struct recorder *r = calloc(1, sizeof(*r));

	*recorder = r;
	if (!r)
		return why_set(why, ENOMEM, "out of memory");
	r->options = *options;
	list_init(&r->waiting);
	r->random_used = sizeof(r->random);
	r->wake_shipper = options->wake_shipper;
	r->wake_worker = options->wake_worker;
	ev_io_init(&r->room, recorder_room, r->wake_worker, EV_READ);
	r->room.data = r;
	r->ring = ring_map(options->ring, true, why);
	if (options->ring >= 0)
		close(options->ring);
	if (!r->ring)
		return -EINVAL;
	if (options->waits) {
		ev_io_start(options->loop, &r->room);
		ev_unref(options->loop);
	}
	return 0;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	/* Those that wait with somebody are cancelled before. */
	list_for_each_safe (node, &r->waiting) {
		struct recorder_waiter *waiter = list_entry(node, struct recorder_waiter, node);

		recorder_cancel(r, waiter);
		waiter->wake(waiter);
	}
	recorder_flush(r);
	if (ev_is_active(&r->room)) {
		ev_ref(r->options.loop);
		ev_io_stop(r->options.loop, &r->room);
	}
	if (r->dropped)
		log_error("%llu events were dropped because the audit ring was full",
			(unsigned long long)r->dropped);
	if (r->ring)
		ring_unmap(r->ring);
	if (r->wake_shipper >= 0)
		close(r->wake_shipper);
	if (r->wake_worker >= 0)
		close(r->wake_worker);
	buf_wipe(&r->record);
	free(r);
}

static const uint8_t *recorder_random(struct recorder *r)
{
	if (r->random_used + 10 > sizeof(r->random)) {
		/* Up to 256 bytes never fail once the pool is initialised (getrandom(2)). */
		if (getrandom(r->random, sizeof(r->random), 0) != (ssize_t)sizeof(r->random))
			log_warning("getrandom: %s", strerror(errno));
		r->random_used = 0;
	}
	r->random_used += 10;
	return r->random + r->random_used - 10;
}

/* Leaves the content out of an event that is too long for the ring even when that is empty. */
static int recorder_shorten(struct recorder *r, struct event *event)
{
	event->input_messages = event->output_messages = event->tools = SLICE_NONE;
	event->input_messages_truncated = event->output_messages_truncated =
		event->tools_truncated = EVENT_YES;
	buf_clear(&r->record);
	counter_add(r->options.counters, COUNTER_AUDIT_CONTENT_CUT, 1);
	return event_encode(event, &r->record);
}

/* The event's sequence is taken: the collector sees the gap. */
static void recorder_lost(struct recorder *r)
{
	counter_add(r->options.counters, COUNTER_AUDIT_DROPPED, 1);
	if (r->dropped++ == 0)
		log_error("an event was dropped; further ones are counted as %s",
			counter_name(COUNTER_AUDIT_DROPPED));
}

static void recorder_wait(struct recorder *r, struct recorder_waiter *waiter)
{
	if (list_empty(&r->waiting))
		counter_add(r->options.counters, COUNTER_AUDIT_BLOCKED, 1);
	waiter->record = r->record;
	r->record = BUF_EMPTY;
	list_append(&r->waiting, &waiter->node);
}

/* The event stays here. False: there is no room for it. */
static bool recorder_keep(struct recorder *r)
{
	struct kept *kept = r->kept < RECORDER_KEPT_MAX ? calloc(1, sizeof(*kept)) : NULL;

	if (!kept)
		return false;
	kept->waiter.wake = kept_wake;
	kept->recorder = r;
	r->kept++;
	recorder_wait(r, &kept->waiter);
	return true;
}

void recorder_cancel(struct recorder *r, struct recorder_waiter *waiter)
{
	list_remove(&waiter->node);
	buf_wipe(&waiter->record);
	recorder_lost(r);
}

static int recorder_encode(struct recorder *r, struct event *event)
{
	struct uuid_text id = uuid_v7(event->time_ns, recorder_random(r));
	int error;

	event->observer = slice_of_string(r->options.observer);
	event->id = slice_of_string(id.text);
	event->epoch = slice_of_string(r->options.epoch);
	event->stream = event_number(r->options.stream);
	event->sequence = event_number(++r->sequence);
	event->secrets = r->options.secrets;
	event->nsecrets = r->options.nsecrets;
	/* Events are about as long as the one before. */
	ring_prefetch(r->ring,
		buf_len(&r->record) < RECORDER_AHEAD ? buf_len(&r->record) : RECORDER_AHEAD);
	buf_clear(&r->record);
	error = event_encode(event, &r->record);
	if (!error && buf_len(&r->record) > ring_record_max(r->ring))
		error = recorder_shorten(r, event);
	if (error)
		log_error("an event could not be encoded: %s", strerror(-error));
	return error;
}

int recorder_record(struct recorder *r, struct event *event, struct recorder_waiter *waiter)
{
	if (recorder_encode(r, event) < 0) {
		recorder_lost(r);
		return 0;
	}
	/* The order in the ring is that of the sequence. */
	if (!list_empty(&r->waiting) || !recorder_put(r, buf_slice(&r->record))) {
		if (r->options.waits && waiter) {
			recorder_wait(r, waiter);
			return -EAGAIN;
		}
		if (!r->options.waits || !recorder_keep(r))
			recorder_lost(r);
	}
	if (r->record.capacity > RECORDER_KEEP)
		buf_wipe(&r->record);
	return 0;
}

int recorder_try(struct recorder *r, struct event *event)
{
	if (recorder_encode(r, event) < 0) {
		recorder_lost(r);
		return 0;
	}
	if (list_empty(&r->waiting) && recorder_put(r, buf_slice(&r->record)))
		return 0;
	r->sequence--;
	return -EAGAIN;
}

void recorder_drop(struct recorder *r)
{
	r->sequence++;
	recorder_lost(r);
}

bool recorder_is_half_full(const struct recorder *r)
{
	return ring_used(r->ring) > ring_record_max(r->ring);
}

void recorder_observe(struct recorder *r, const char *observer)
{
	r->options.observer = observer;
}

void recorder_flush(struct recorder *r)
{
	uint64_t one = 1;

	if (!r->fresh)
		return;
	r->fresh = false;
	if (write(r->wake_shipper, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warning("cannot wake the shipper: %s", strerror(errno));
}
