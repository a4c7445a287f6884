/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For attach.c, attach_xdp.c and attach_tc.c only. */
#ifndef KERNEL_ATTACH_INTERNAL_H
#define KERNEL_ATTACH_INTERNAL_H

#include "kernel/attach.h"

/* Fills in what is known of a program by its id; 0: there is none. */
void attached_program(uint32_t id, struct attached *attached);

/* The link that an earlier life pinned, now with the new program: fd. Or -ENOENT, after a pin that
 * does not fit (interface gone, another namespace) was dropped. place: the interface's index, or
 * the namespace's inode number. */
int link_adopt(
	const struct pins *pins, const char *name, uint32_t type, uint64_t place, int program);
/* Pins the link: its fd again; or closes it, with why. */
int link_pin(const struct pins *pins, const char *name, int link, struct why *why);

/* -EBUSY when another appliance's programs are in TC; of a kernel before TCX, attach_tc tells. */
int attach_tc_check(const struct pins *pins, const char *interface, int ifindex, struct why *why);

#endif
