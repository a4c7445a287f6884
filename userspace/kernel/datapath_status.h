/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel has attached now: read from the kernel and the pins, without the daemon. */
#ifndef KERNEL_DATAPATH_STATUS_H
#define KERNEL_DATAPATH_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/why.h"
#include "bpf/abi.h"
#include "config/config.h"
#include "kernel/source_map.h"

struct datapath_program {
	bool attached;
	bool foreign;  /* somebody else's program is there */
	char mode[16]; /* XDP: "native", "generic", "offload"; TC: "tcx", "clsact"; else "" */
	uint32_t id;   /* of the program, as bpftool prog shows it */
	char name[16];
	uint64_t loaded_ns; /* CLOCK_BOOTTIME */
};

struct datapath_known_endpoint {
	struct prefix prefix;
	uint64_t expires_ns; /* CLOCK_MONOTONIC; 0: never */
	enum endpoint_source source;
};

struct datapath_status {
	char inside[16];
	int ifindex; /* 0: the interface does not exist */
	bool pinned; /* the pins of this ABI are there */
	struct datapath_program admit, steer, reply, select;
	bool rule4, rule6, route4, route6;
	unsigned workers;		 /* slots hashed over */
	unsigned listening4, listening6; /* of these, slots that hold a listener */
	uint64_t flows, flows_active; /* steered: all that are kept; open and seen in 5 minutes */
	uint64_t outcomes[OUTCOME_COUNT];	   /* names in outcome_name() */
	struct datapath_known_endpoint *endpoints; /* sorted by address */
	size_t nendpoints;
	struct datapath_source *sources; /* most bytes first */
	size_t nsources;
};

/* Fills *status, to be freed with datapath_status_free. What is not there is told as not there;
 * an error (-EPERM, -ENOMEM …) means that the kernel could not be asked. */
int datapath_status_read(
	const struct config *config, struct datapath_status **status, struct why *why);
void datapath_status_free(struct datapath_status *status);

/* The name ("steered") and the explanation of a counter, from the one table in bpf/abi.h. */
const char *outcome_name(enum outcome outcome);
const char *outcome_help(enum outcome outcome);
const char *drop_name(enum drop drop);
const char *drop_help(enum drop drop);
const char *endpoint_source_name(enum endpoint_source source);

#endif
