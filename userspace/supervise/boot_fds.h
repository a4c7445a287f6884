/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The named descriptors that one process gets at its start. */
#ifndef SUPERVISE_BOOT_FDS_H
#define SUPERVISE_BOOT_FDS_H

#include <stddef.h>

#include "supervise/process.h"

/* More than any role has: a worker has fifteen, and eight of the gateway. */
#define BOOT_FDS_ROOM 32

struct boot_fds {
	struct process_fd fds[BOOT_FDS_ROOM];
	size_t nfds;
	int error; /* the first one of those below; 0: none */
	int made[BOOT_FDS_ROOM]; /* what boot_fds_close has to close */
	size_t nmade;
};

/* Closes what is the list's own: the process has got it by then. */
void boot_fds_close(struct boot_fds *fds);

/* Puts a descriptor on the list, which stays the caller's; fd -1: nothing is to be put. */
void boot_fds_add(struct boot_fds *fds, const char *name, int fd);
/* Puts a descriptor on the list that exists for this start only: it is the list's. fd negative
 * errno: the error of making it. */
void boot_fds_own(struct boot_fds *fds, const char *name, int fd);
/* Puts the same file on the list, with an offset of its own, to be read only. */
void boot_fds_reopen(struct boot_fds *fds, const char *name, int fd);

#endif
