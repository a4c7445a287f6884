/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last time in which new connections to AI endpoints passed unseen, because no worker was alive
 * for them and their host fails open: a small file in appliance.run_directory, written by the daemon
 * and read by the command line. It outlives the daemon. */
#ifndef KERNEL_OPEN_RECORD_H
#define KERNEL_OPEN_RECORD_H

#include <stdint.h>

#include "base/why.h"

struct open_record {
	uint64_t total;	   /* connections that ever passed so, by the kernel's count */
	uint64_t begin_ns; /* CLOCK_REALTIME; 0: there was no such time */
	uint64_t end_ns;   /* 0: it has not ended, as far as the daemon knows */
	uint64_t passed;   /* connections in it */
};

/* Without a file, or with one that cannot be read: zeros. */
struct open_record open_record_read(const char *directory);
/* 0, or negative errno with why; what was there stays then. */
int open_record_write(const char *directory, const struct open_record *record, struct why *why);

#endif
