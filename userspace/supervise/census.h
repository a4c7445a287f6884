/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's part of the audit: what the kernel counts of each source address, and what becomes
 * of the datapath. Its events go to the shipper by a ring like those of the workers; but nothing in
 * the parent waits for room there: an event that finds the ring full is dropped, which is counted
 * and seen by the collector as a gap. */
#ifndef SUPERVISE_CENSUS_H
#define SUPERVISE_CENSUS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/why.h"
#include "config/config.h"
#include "kernel/open_record.h"
#include "supervise/handout.h"

struct census;
struct map_fds;

struct census_options {
	struct ev_loop *loop;
	const struct config *config; /* there until census_reconfigure */
	struct counters *counters;
	struct handout *handout;    /* owns the ring */
	const struct map_fds *maps; /* NULL: nothing is counted */
	const char *epoch;
	uint32_t stream; /* unique among the processes of the parent's life */
	void (*stopped)(void *context); /* see census_stop */
	void *context;
};

/* 0, or negative errno with why. */
int census_new(const struct census_options *options, struct census **census, struct why *why);
/* NULL is fine. */
void census_free(struct census *census);
/* After a reload: from now on by this configuration. */
void census_reconfigure(struct census *census, const struct config *config);

/* The descriptor of the source board, for workers; the census keeps it. */
int census_board(const struct census *census);

/* Records that the state of a part of the datapath changed, at once: event datapath.state with
 * subject ("worker 1", "scout", "endpoints"), the new state ("hung", "alive", "closed", "open") and
 * the reason, for a person; NULL or "": none. The texts are copied. census may be NULL. */
void census_state(
	struct census *census, const char *subject, const char *state, const char *reason);

/* Records a time in which connections passed unseen, which has ended: event datapath.open. census
 * may be NULL. */
void census_unseen(struct census *census, const struct open_record *record);

/* The end: each source is told a last time, then no event can come any more, and the shipper sees
 * the end of the stream. true: done. false: it takes a while (3 s at most), and
 * options.stopped will be called; may be called again meanwhile. */
bool census_stop(struct census *census);

#endif
