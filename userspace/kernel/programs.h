/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loaded programs and the maps they share. */
#ifndef KERNEL_PROGRAMS_H
#define KERNEL_PROGRAMS_H

#include <stdbool.h>

#include "base/why.h"
#include "config/config.h"
#include "kernel/pins.h"

struct admit_bpf;
struct steer_bpf;
struct reply_bpf;
struct select_bpf;
struct guard_bpf;

#define PROGRAM_ADMIT  "sally_admit"
#define PROGRAM_STEER  "sally_steer"
#define PROGRAM_REPLY  "sally_reply"
#define PROGRAM_SELECT "sally_select"
#define PROGRAM_GUARD  "sally_guard"

/* X(name): the maps of bpf/maps.h, pinned under their names. */
#define MAPS(X)                                                                                    \
	X(sources)                                                                                 \
	X(endpoints)                                                                               \
	X(prefixes)                                                                                \
	X(ports)                                                                                   \
	X(flows)                                                                                   \
	X(judgements)                                                                              \
	X(flood)                                                                                   \
	X(limits)                                                                                  \
	X(actives)                                                                                 \
	X(admission)                                                                               \
	X(heartbeats)                                                                              \
	X(workers)                                                                                 \
	X(settings)                                                                                \
	X(beside_interfaces)                                                                       \
	X(outcomes)

#define MAPS_MEMBER(name) int name;
struct map_fds {
	MAPS(MAPS_MEMBER)
};

struct programs {
	struct admit_bpf *admit;
	struct steer_bpf *steer;
	struct reply_bpf *reply;
	struct select_bpf *select;
	struct guard_bpf *guard, *guard_bare; /* for Ethernet, and for interfaces without it */
	int admit_fd, steer_fd, reply_fd, select_fd, guard_fd,
		guard_bare_fd; /* owned by the skeletons, like the maps' */
	struct map_fds maps;
};

/* libbpf's words go to the log at debug level. */
void programs_quiet(void);

/* Loads all. Pinned maps that hold state (sources, flows, endpoints, workers …) are taken over when
 * they have the configured size; pins may be NULL: all maps are new. Errors are explained in why.
 */
int programs_load(struct programs *programs, const struct config_datapath *config,
	const struct pins *pins, struct why *why);
/* Pins the maps. */
int programs_pin(const struct programs *programs, const struct pins *pins, struct why *why);
/* Frees what programs_load made; what is attached or pinned stays. A zeroed struct is allowed. */
void programs_free(struct programs *programs);

#endif
