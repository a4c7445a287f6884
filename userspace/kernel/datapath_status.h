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
#include "kernel/flow_count.h"
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
	enum fail fail;
};

struct datapath_admission {
	struct prefix prefix;
	enum admission rule;
};

struct datapath_status {
	uint64_t read_ns; /* CLOCK_MONOTONIC: when all this was read */
	char inside[16];
	int ifindex; /* 0: the interface does not exist */
	bool pinned; /* the pins of this ABI are there */
	struct datapath_program admit, steer, reply, select;
	struct datapath_program guard; /* attached: to each interface that is to have one … */
	unsigned guarded, guardable;   /* … and how many have it, of how many */
	char unguarded[16];	       /* one that has none, or "" */
	bool rule4, rule6, route4, route6;
	unsigned workers;		 /* slots hashed over */
	unsigned listening4, listening6; /* of these, slots that hold a listener */
	unsigned alive;			 /* that listen and are not known to hang */
	struct settings settings;
	/* CLOCK_MONOTONIC: the last signs of life, by worker and HEARTBEAT_SCOUT; 0: none yet. */
	uint64_t heartbeats[HEARTBEATS_MAX];
	struct flow_count flows;	      /* only with DATAPATH_FLOWS */
	uint64_t outcomes[OUTCOME_COUNT];     /* names in outcome_name() */
	struct datapath_admission *admission; /* prefixes in force, sorted by address */
	size_t nadmission;
	bool admission_unread; /* they are there, and the right to look at them is missing */
	struct datapath_known_endpoint *endpoints; /* sorted by address */
	size_t nendpoints;
	struct datapath_source *sources; /* most bytes first */
	size_t nsources;
	/* CLOCK_MONOTONIC: the daemon's sweep that counted their active connections; 0: they were
	 * counted now, because there was none lately. */
	uint64_t swept_ns;
};

/* What takes time to read: all endpoints and prefixes, all sources, all of the flow table. */
enum datapath_part {
	DATAPATH_ENDPOINTS = 1,
	DATAPATH_SOURCES = 2,
	DATAPATH_FLOWS = 4,
	DATAPATH_ALL = 7,
};

/* Fills *status with these parts (of enum datapath_part) and everything else, to be freed with
 * datapath_status_free. What is not there is told as not there; an error (-EPERM, -ENOMEM …) means
 * that the kernel could not be asked. */
int datapath_status_read_parts(const struct config *config, unsigned parts,
	struct datapath_status **status, struct why *why);
/* The same with DATAPATH_ALL. */
int datapath_status_read(
	const struct config *config, struct datapath_status **status, struct why *why);
void datapath_status_free(struct datapath_status *status);

/* The members of struct source_counters, by number. */
enum source_count {
#define SOURCE_COUNT_ENUM(member, name, help) SOURCE_COUNT_##member,
	SOURCE_COUNTS(SOURCE_COUNT_ENUM)
#undef SOURCE_COUNT_ENUM
		SOURCE_COUNT_MAX
};
uint64_t source_count_of(const struct source_counters *counters, enum source_count which);
/* Drops of a source, whatever the reason. */
uint64_t source_drops(const struct source_counters *counters);
const char *source_count_name(enum source_count which);
const char *source_count_help(enum source_count which);

/* The name ("steered") and the explanation of a counter, from the one table in bpf/abi.h. */
const char *outcome_name(enum outcome outcome);
const char *outcome_help(enum outcome outcome);
const char *drop_name(enum drop drop);
const char *drop_help(enum drop drop);
const char *endpoint_source_name(enum endpoint_source source);
#define ENDPOINT_SOURCES_MAX (ENDPOINT_SNI + 1)
/* "closed" or "open". */
const char *fail_name(enum fail fail);

#endif
