/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three loaded programs and the maps they share. */
#ifndef KERNEL_PROGRAMS_H
#define KERNEL_PROGRAMS_H

#include <stdbool.h>

#include "base/why.h"
#include "config/config.h"
#include "kernel/pins.h"

struct account_bpf;
struct steer_bpf;
struct select_bpf;

#define PROGRAM_ACCOUNT "sally_account"
#define PROGRAM_STEER	"sally_steer"
#define PROGRAM_SELECT	"sally_select"

/* X(name): the maps of bpf/maps.h, pinned under their names. */
#define MAPS(X)                                                                                    \
	X(sources)                                                                                 \
	X(endpoints)                                                                               \
	X(prefixes)                                                                                \
	X(ports)                                                                                   \
	X(flows)                                                                                   \
	X(flood)                                                                                   \
	X(limits)                                                                                  \
	X(actives)                                                                                 \
	X(admission)                                                                               \
	X(heartbeats)                                                                              \
	X(workers)                                                                                 \
	X(settings)                                                                                \
	X(outcomes)

#define MAPS_MEMBER(name) int name;
struct map_fds {
	MAPS(MAPS_MEMBER)
};

struct programs {
	struct account_bpf *account;
	struct steer_bpf *steer;
	struct select_bpf *select;
	int account_fd, steer_fd, select_fd; /* owned by the skeletons, like the maps' */
	struct map_fds maps;
};

/* libbpf's words go to the log at debug level. */
void programs_quiet(void);

/* Loads all. Pinned maps that hold state (sources, endpoints, flows, settings, outcomes) are
 * taken over when they have the configured size; pins may be NULL: all maps are new. accounts:
 * steer counts the sources, for XDP is off. */
int programs_load(struct programs *programs, const struct config_datapath *config,
	const struct pins *pins, bool accounts, struct why *why);
/* Pins the maps. */
int programs_pin(const struct programs *programs, const struct pins *pins, struct why *why);
/* Frees what programs_load made; what is attached or pinned stays. A zeroed struct is allowed. */
void programs_free(struct programs *programs);

#endif
