/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a spool is to be like, and how a place in it is named. */
#ifndef AUDIT_SPOOL_OPTIONS_H
#define AUDIT_SPOOL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"

struct spool_options {
	int directory;		   /* fd; belongs to the spool once spool_open succeeded */
	const char *epoch;	   /* of the records to come; 1 … 16 bytes */
	uint64_t bytes;		   /* all segments together, at most */
	uint64_t segment_bytes;	   /* a segment is closed at this size */
	bool sync;		   /* false: never fsync, not even on create and rename */
	struct counters *counters; /* or NULL */
};

/* A place between two records. */
struct spool_position {
	uint64_t segment;
	uint64_t offset;
};

#endif
