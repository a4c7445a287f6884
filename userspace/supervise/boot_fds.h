/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The named descriptors that one process gets at its start. */
#ifndef SUPERVISE_BOOT_FDS_H
#define SUPERVISE_BOOT_FDS_H

#include <stddef.h>

#include "supervise/process.h"

struct boot_fds {
	struct process_fd *fds;
	size_t nfds;
	int error; /* the first one of those below; 0: none */
	/* What boot_fds_close has to close and to free. */
	int *made;
	size_t nmade;
	char **names;
	size_t nnames;
};

/* Room for the fixed names of any role and for one more for each backend. 0, or -ENOMEM:
 * boot_fds_close is right after both. */
int boot_fds_open(struct boot_fds *fds, size_t nbackends);
/* Closes and frees what is the list's own: the process has got it by then. */
void boot_fds_close(struct boot_fds *fds);

/* Puts a descriptor on the list, which stays the caller's; fd -1: nothing is to be put. */
void boot_fds_add(struct boot_fds *fds, const char *name, int fd);
/* Puts a descriptor on the list that exists for this start only: it is the list's. fd negative
 * errno: the error of making it. */
void boot_fds_own(struct boot_fds *fds, const char *name, int fd);
/* Puts the same file on the list, with an offset of its own, to be read only. */
void boot_fds_reopen(struct boot_fds *fds, const char *name, int fd);
/* A name that is made for this list, and is the list's; "" without memory, which is the error. */
const char *boot_fds_name(struct boot_fds *fds, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
