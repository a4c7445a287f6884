/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the selftest of this machine finds becomes an event when it changes: datapath.state of the
 * subject "selftest". */
#ifndef SUPERVISE_SELFTEST_WATCH_H
#define SUPERVISE_SELFTEST_WATCH_H

#include <time.h>

struct accounting;

struct selftest_watch {
	struct timespec changed; /* of the file that was read last */
	char said[256];		 /* its first line */
};

/* Looks whether there is a new result in the run directory. accounting may be NULL. */
void selftest_watch_look(
	struct selftest_watch *watch, const char *run_directory, struct accounting *accounting);

#endif
