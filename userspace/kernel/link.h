/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BPF links (bpf_link_create(2)) that are pinned, and the programs that are attached by them. */
#ifndef KERNEL_LINK_H
#define KERNEL_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "kernel/pins.h"

struct attached {
	bool there;
	bool hidden;	    /* without CAP_SYS_ADMIN: whose program it is cannot be seen */
	uint32_t program;   /* id */
	char name[16];	    /* of the program */
	char mode[16];	    /* XDP: "native", "generic", "offload"; TC: "tcx", "clsact" */
	uint64_t loaded_ns; /* CLOCK_BOOTTIME */
};

/* Fills in what is known of a program by its id; 0: there is none. */
void attached_program(uint32_t id, struct attached *attached);

/* The link that an earlier life pinned, now with the new program: fd. Or -ENOENT, after a pin that
 * does not fit (interface gone, another namespace) was dropped. place: the interface's index, or
 * the namespace's inode number. */
int link_adopt(
	const struct pins *pins, const char *name, uint32_t type, uint64_t place, int program);
/* Pins the link: its fd again; or closes it, with why. */
int link_pin(const struct pins *pins, const char *name, int link, struct why *why);
/* Detaches and unpins a link at once: what is only unpinned goes some time later. */
void link_detach(const struct pins *pins, const char *name);

#endif
