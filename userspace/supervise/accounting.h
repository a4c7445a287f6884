/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's part of the audit: what the kernel counts of each source address, and what becomes
 * of the datapath. Its events go to the shipper by a ring like those of the workers; but nothing in
 * the parent waits for room there: an event that finds the ring full is dropped, which is counted
 * and seen by the collector as a gap. */
#ifndef SUPERVISE_ACCOUNTING_H
#define SUPERVISE_ACCOUNTING_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/why.h"
#include "config/config.h"
#include "kernel/open_record.h"
#include "base/list.h"

struct accounting;
struct map_fds;

struct accounting_options {
	struct ev_loop *loop;
	const struct config *config; /* there until accounting_reconfigure */
	struct counters *counters;
	struct list *rings;	    /* of struct event_ring; owns the ring that is made */
	const struct map_fds *maps; /* NULL: nothing is counted */
	const char *epoch;
	uint32_t stream;		/* unique among the processes of the parent's life */
	void (*stopped)(void *context); /* see accounting_stop */
	void *context;
};

/* 0, or negative errno with why. */
int accounting_new(
	const struct accounting_options *options, struct accounting **accounting, struct why *why);
/* NULL is fine. */
void accounting_free(struct accounting *accounting);
/* After a reload: from now on by this configuration. */
void accounting_reconfigure(struct accounting *accounting, const struct config *config);

/* The descriptor of the source table, for workers; accounting keeps it. */
int accounting_sources(const struct accounting *accounting);

/* Records that the state of a part of the datapath changed, at once: event datapath.state with
 * subject ("worker 1", "scout", "endpoints"), the new state ("hung", "alive", "closed", "open") and
 * the reason, for a person; NULL or "": none. The texts are copied. accounting may be NULL. */
void accounting_state(
	struct accounting *accounting, const char *subject, const char *state, const char *reason);

/* Records a time in which connections passed unseen, which has ended: event datapath.open.
 * accounting may be NULL. */
void accounting_unseen(struct accounting *accounting, const struct open_record *record);

/* The end: each source is told a last time, then no event can come any more, and the shipper sees
 * the end of the stream. true: done. false: it takes a while (3 s at most), and
 * options.stopped will be called; may be called again meanwhile. */
bool accounting_stop(struct accounting *accounting);

#endif
