/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's program: configuration, datapath, listeners, children, reload, end. It sees no
 * payload. */
#ifndef SUPERVISE_SUPERVISOR_H
#define SUPERVISE_SUPERVISOR_H

struct parent_options;

/* Runs the daemon until it is told to end. Returns the exit status: errors were logged. */
int supervisor_main(const struct parent_options *options);

#endif
