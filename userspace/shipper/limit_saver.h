/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes what is used of the limits beside the spool, so that it outlives the machine's power: into one
 * of two files in turn, so that a cut in the middle leaves the other one, and a full disk what was there.
 * It is the shipper that does so as it is the only process that writes files. */
#ifndef SHIPPER_LIMIT_SAVER_H
#define SHIPPER_LIMIT_SAVER_H

#include <ev.h>

#include "base/counter.h"
#include "base/why.h"

struct limit_saver;

struct limit_saver_options {
	struct ev_loop *loop;
	struct counters *counters;
	int table;     /* of policy/limit_table.h; the saver's from now on */
	int directory; /* where it writes; the caller's */
};

/* 0, or negative errno with why: then the table is closed as well. */
int limit_saver_new(
	const struct limit_saver_options *options, struct limit_saver **made, struct why *why);
/* Writes the last time. */
void limit_saver_free(struct limit_saver *saver);

#endif
