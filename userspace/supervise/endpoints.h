/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the scout and the parent tell each other of endpoints: the scout finds them, the parent owns
 * the kernel's map of them. A map that is full is told by an event. */
#ifndef SUPERVISE_ENDPOINTS_H
#define SUPERVISE_ENDPOINTS_H

#include "base/counter.h"
#include "base/log_limit.h"
#include "kernel/datapath.h"
#include "supervise/process.h"

struct accounting;

struct endpoints {
	struct log_limit refused_log;
	uint64_t full_ns;   /* when room was last wanting, CLOCK_MONOTONIC; 0: there is enough */
	uint64_t forgotten; /* since it began to be wanting: had to make room … */
	uint64_t refused;   /* … and found none */
};

/* Tells a scout that has just started all that there are. */
void endpoints_tell(struct datapath *datapath, struct process *scout);
/* Takes CONTROL_ENDPOINT of the scout: puts them into the map, and tells back what came of it. */
void endpoints_learn(struct endpoints *endpoints, struct datapath *datapath,
	struct counters *counters, struct accounting *accounting, struct process *scout,
	const struct ipc_message *message);
/* Now and then: tells when there has been room enough for a while. */
void endpoints_look(struct endpoints *endpoints, struct accounting *accounting, uint64_t now_ns);

#endif
