/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signs of life: the map heartbeats, one page of stamps that every worker and the scout write and
 * the kernel programs and the parent read. Whose stamp is too old is not alive; whose stamp is 0
 * has not begun yet, and its connections wait in its listener.
 *
 * Stamps are CLOCK_MONOTONIC, which is the kernel programs' clock as well, and stands still while
 * the machine is suspended: nobody wakes up dead. A machine with so much to do that a worker does
 * not get to run for datapath.heartbeat_timeout does have nobody who inspects. Every process has
 * the whole page: a worker in foreign hands could keep another's stamp fresh or old, which resets
 * connections or, where hosts fail open, lets them pass unseen. */
#ifndef KERNEL_HEARTBEAT_H
#define KERNEL_HEARTBEAT_H

#include <stdint.h>

#include "base/why.h"
#include "bpf/abi.h"

/* How often to stamp, in seconds: the shortest datapath.heartbeat_timeout is three of it. */
#define HEARTBEAT_INTERVAL_S 0.1

struct heartbeat;

/* Maps the stamps from the map's fd, which stays the caller's; index is the own one: that of the
 * worker (0 … WORKERS_MAX - 1), or HEARTBEAT_SCOUT. To be done before the sandbox. 0, or negative
 * errno with why. */
int heartbeat_map(int fd, unsigned index, struct heartbeat **heartbeat, struct why *why);
/* NULL is fine. The stamps stay what they are. */
void heartbeat_unmap(struct heartbeat *heartbeat);

/* Writes the time to the own stamp. */
void heartbeat_stamp(struct heartbeat *heartbeat);
/* Writes the time to another's stamp: for one that was just started and cannot yet. */
void heartbeat_vouch(struct heartbeat *heartbeat, unsigned index);
/* The last sign of life of any of them, CLOCK_MONOTONIC ns; 0: there was none. */
uint64_t heartbeat_read(const struct heartbeat *heartbeat, unsigned index);

#endif
