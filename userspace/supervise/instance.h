/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which daemon this is: the one that holds the lock of its run directory, and its epoch. */
#ifndef SUPERVISE_INSTANCE_H
#define SUPERVISE_INSTANCE_H

#include "base/why.h"

/* Takes the lock in the directory and writes the pid into it; the descriptor is the caller's, and
 * the lock goes with it. -EBUSY: another one runs there; why has its pid. */
int instance_lock(const char *directory, struct why *why);
/* Whether fd is that lock and held: what a program that was started in place of another (same pid)
 * was handed. 0, or negative errno with why. */
int instance_keep(const char *directory, int fd, struct why *why);

/* A name for a life of the daemon: 16 hex digits and NUL. Lives sort by their time. */
int instance_epoch(char epoch[17], struct why *why);

#endif
