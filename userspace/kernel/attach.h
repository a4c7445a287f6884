/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three attach points. Each function replaces what an earlier life of the appliance left in
 * place, without a moment in between, and leaves alone what is not the appliance's. */
#ifndef KERNEL_ATTACH_H
#define KERNEL_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "config/config.h"
#include "kernel/pins.h"

/* Names of the pinned links. */
#define PIN_ACCOUNT "link_account"
#define PIN_SELECT  "link_select"

/* The place of the TC filter: before all others, for a filter that ends the list would hide it. */
#define STEER_PRIORITY 1
#define STEER_HANDLE   0x5a11

struct attached {
	bool there;
	bool hidden;	    /* without CAP_SYS_ADMIN: whose program it is cannot be seen */
	uint32_t program;   /* id */
	char name[16];	    /* of the program */
	char mode[16];	    /* XDP only */
	uint64_t loaded_ns; /* CLOCK_BOOTTIME */
};

/* Refuses with -EBUSY when the XDP slot has a program that is not of the link pinned here: that of
 * another appliance in any mode, anybody's unless the mode is CONFIG_XDP_OFF. */
int attach_check(const struct pins *pins, const char *interface, int ifindex, enum config_xdp mode,
	struct why *why);

/* XDP by a pinned link: fd. CONFIG_XDP_AUTO falls back to generic with a warning in the log.
 * -EBUSY: somebody else's program is there. */
int attach_account(const struct pins *pins, const char *interface, int ifindex,
	enum config_xdp mode, int program, struct why *why);
/* sk_lookup of this network namespace by a pinned link: fd. */
int attach_select(const struct pins *pins, int program, struct why *why);
/* TC ingress. *made: the clsact qdisc was not there before (unchanged otherwise). -EBUSY:
 * somebody else's filter has our place. */
int attach_steer(const char *interface, int ifindex, int program, bool *made, struct why *why);

/* Detaches and unpins a link at once: what is only unpinned goes some time later. */
void detach_link(const struct pins *pins, const char *name);
/* Removes the filter when it is ours, and the qdisc when it was made by us and is empty. */
void detach_steer(int netlink, int ifindex, bool made);

/* What is there now, ours or not. */
void attached_account(int ifindex, struct attached *attached);
void attached_steer(int ifindex, struct attached *attached);
/* Only ours can be told: that of the pinned link, if it belongs to this namespace. */
void attached_select(const struct pins *pins, struct attached *attached);

#endif
