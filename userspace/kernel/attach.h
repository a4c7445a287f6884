/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attach points. Each function replaces what an earlier life of the appliance left in place,
 * without a moment in between, and leaves alone what is not the appliance's. */
#ifndef KERNEL_ATTACH_H
#define KERNEL_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "bpf/abi.h"
#include "config/config.h"
#include "kernel/link.h"
#include "kernel/pins.h"

/* Names of the pinned links. */
#define PIN_ADMIT  "link_admit"
#define PIN_STEER  "link_steer"
#define PIN_REPLY  "link_reply"
#define PIN_SELECT "link_select"
#define PIN_GUARD  "link_guard" /* and the index of the interface */

/* The place of the clsact filters, before TCX: before all others, for a filter that ends the list
 * would hide them. */
#define STEER_PRIORITY 1
#define STEER_HANDLE   0x5a11
#define GUARD_HANDLE   0x5a12 /* behind reply, on datapath.inside */

/* Refuses with -EBUSY when the interface has programs of another appliance, or the XDP slot that of
 * anybody else and the mode is not CONFIG_XDP_OFF. */
int attach_check(const struct pins *pins, const char *interface, int ifindex, enum config_xdp mode,
	struct why *why);

/* XDP by a pinned link, *link: its fd or -1. Returns enum xdp_mode: CONFIG_XDP_AUTO falls back to
 * none with a warning in the log. -EBUSY: somebody else's program is there. */
int attach_admit(const struct pins *pins, const char *interface, int ifindex,
	enum config_xdp mode, int program, int *link, struct why *why);
/* sk_lookup of this network namespace by a pinned link: fd. */
int attach_select(const struct pins *pins, int program, struct why *why);

/* TC ingress and egress (reply and guard): by pinned TCX links (kernels from 6.6 on), before
 * everybody else's; else, or where others have all 64 places, by filters of a clsact qdisc. *link:
 * fd, or -1 for a filter. *made: the clsact qdisc was not there before (unchanged otherwise).
 * -EBUSY: somebody else's filter has our place. */
enum tc_side { TC_STEER, TC_REPLY, TC_GUARD };
int attach_tc(const struct pins *pins, const char *interface, int ifindex, enum tc_side side,
	int program, int *link, bool *made, struct why *why);

/* -EBUSY when another appliance's programs are in TC; of a kernel before TCX, attach_tc tells. */
int attach_tc_check(const struct pins *pins, const char *interface, int ifindex, struct why *why);

/* Removes a side where it is ours, and the qdisc when it was made by us and is empty. */
void detach_tc(
	const struct pins *pins, int netlink, int ifindex, enum tc_side side, bool made);

/* What is there now, ours or not. */
void attached_admit(int ifindex, struct attached *attached);
void attached_tc(const struct pins *pins, int ifindex, enum tc_side side, struct attached *attached);
/* Only ours can be told: that of the pinned link, if it belongs to this namespace. */
void attached_select(const struct pins *pins, struct attached *attached);

#endif
