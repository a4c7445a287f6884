/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a child process: boot, init, sandbox, loop, drain. */
#ifndef SUPERVISE_CHILD_H
#define SUPERVISE_CHILD_H

#include "base/clock.h"
#include "supervise/role.h"

/* The descriptor of the control socket in a child. */
#define CHILD_CONTROL 3

/* Body of CONTROL_BOOT. */
struct control_boot {
	uint32_t kind; /* enum role_kind */
	uint32_t index;
	uint32_t number;
	uint32_t nfds;	    /* how many come in the CONTROL_BOOT_FDS that follow */
	uint32_t log_level; /* enum log_level */
	char epoch[17];
	char config_path[4096]; /* for messages: the text itself is the fd "config" */
};
/* Body of CONTROL_BOOT_FDS: for each of its fds the name, with its NUL. Names that child.c takes
 * itself: "config", "counters", and "life" (kept open until the process ends, so that the shipper
 * sees the end of a worker). */

/* How long after role->drain(…, false) the loop is ended, if the role has not done it. */
#define CHILD_OVERTIME_NS (2 * NS_PER_S)

/* Runs the role of that title as the process that the parent made for it. Returns the exit status.
 */
int child_main(const struct role_table *table, const char *title);

#endif
