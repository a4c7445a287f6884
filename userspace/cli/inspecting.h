/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_INSPECTING_H
#define CLI_INSPECTING_H

#include <stdbool.h>

#include "kernel/datapath_status.h"

/* Whether new AI connections are inspected: the programs that it takes are attached, and a worker
 * that is alive listens. */
static inline bool inspecting(const struct datapath_status *kernel)
{
	return kernel->steer.attached && kernel->select.attached && kernel->rule4 &&
	       kernel->route4 && kernel->alive > 0;
}

#endif
