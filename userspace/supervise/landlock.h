/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files a process can still reach by a path, landlock(7). */
#ifndef SUPERVISE_LANDLOCK_H
#define SUPERVISE_LANDLOCK_H

#include <stddef.h>

#include "base/why.h"

enum landlock_right {
	LANDLOCK_PATH_READ,  /* read files beneath */
	LANDLOCK_PATH_SPOOL, /* read, write, make, list and remove files beneath */
};

struct landlock_path {
	const char *path;
	enum landlock_right right;
};

/* From now on this process reaches, besides what it has open, only those paths. Needs no_new_privs.
 * 0, also where the kernel has no landlock (ownership and seccomp still hold); or negative errno.
 */
int landlock_enter(const struct landlock_path *paths, size_t npaths, struct why *why);

#endif
