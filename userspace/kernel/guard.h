/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard (bpf/guard.bpf.c) at the way out of every interface, those that come later too. */
#ifndef KERNEL_GUARD_H
#define KERNEL_GUARD_H

#include <stdbool.h>

#include <net/if.h>

#include "kernel/link.h"
#include "kernel/pins.h"

#define GUARD_QDISCS_MAX 64

struct guard {
	const struct pins *pins;
	int netlink;
	int ethernet_fd, bare_fd;   /* programs: for Ethernet, and for interfaces without it */
	int made[GUARD_QDISCS_MAX]; /* interfaces whose clsact qdisc is ours */
	unsigned nmade;
};

/* Attaches to the interface of this index, or renews what is there. 0, also where there is nothing
 * to guard (loopback) or no such interface; an error was told in the log. */
int guard_attach(struct guard *guard, int ifindex);
/* To all there are. */
void guard_attach_all(struct guard *guard);
void guard_detach_all(struct guard *guard);

/* Where there is one, of the interfaces that are to have one. */
struct guard_state {
	unsigned interfaces, guarded;
	char unguarded[IF_NAMESIZE]; /* one that has none, or "" */
	struct attached attached;    /* that of one that has */
};
void guard_look(const struct pins *pins, struct guard_state *state);

#endif
