/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's flow table, read as a whole: how many connections there are, and of whom. */
#ifndef KERNEL_FLOW_COUNT_H
#define KERNEL_FLOW_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

struct flow_count {
	uint64_t all, steered; /* that the table holds */
	uint64_t active, steered_active;
	uint64_t unanswered; /* of the active ones: nothing of their servers came through inside */
	uint64_t states[FLOW_STATE_COUNT]; /* of all, by enum flow_state */
};

/* Whether at now_ns (CLOCK_MONOTONIC) nothing was seen of a connection for as long as the time of
 * its state in FLOW_STATES; and whether it is active: open or closing, and not expired. */
bool flow_is_expired(const struct flow *flow, uint64_t now_ns);
bool flow_active(const struct flow *flow, uint64_t now_ns);

/* Counts what the map flows holds, read in batches; each (may be NULL) is called for every active
 * connection. Entries that come and go meanwhile may be missed or met twice. 0, -ENOMEM, or why
 * the kernel could not be asked. */
int flow_count_read(int map, uint64_t now_ns, struct flow_count *count,
	void (*each)(void *context, const struct flow_key *key), void *context);

/* "open", and what it means; in seconds, how long a flow in that state stays without a packet. */
const char *flow_state_name(enum flow_state state);
const char *flow_state_help(enum flow_state state);
unsigned flow_state_seconds(enum flow_state state);

#endif
