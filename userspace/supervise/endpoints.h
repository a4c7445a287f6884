/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the scout and the parent tell each other of endpoints: the scout finds them, the parent owns
 * the kernel's map of them. */
#ifndef SUPERVISE_ENDPOINTS_H
#define SUPERVISE_ENDPOINTS_H

#include "base/counter.h"
#include "kernel/datapath.h"
#include "supervise/process.h"

/* Tells a scout that has just started all that there are. */
void endpoints_tell(struct datapath *datapath, struct process *scout);
/* Takes CONTROL_ENDPOINT of the scout: puts them into the map, and tells back what came of it. */
void endpoints_learn(struct datapath *datapath, struct counters *counters, struct process *scout,
	const struct ipc_message *message);

#endif
