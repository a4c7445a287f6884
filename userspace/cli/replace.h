/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are never there in part: written beside their place, and put there when they are whole
 * and on the disk. */
#ifndef CLI_REPLACE_H
#define CLI_REPLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/slice.h"
#include "base/why.h"

/* The whole of it; what is there is replaced. 0, or negative errno with why. */
int replace_file(const char *path, mode_t mode, struct slice content, struct why *why);

/* The steps, for more than one file at a time: writes beside path (*temporary, to be freed, and to be
 * unlinked when it is not placed; NULL when there is none), places it, without force only where
 * nothing is (-EEXIST), and writes the directory down. */
int replace_write(
	const char *path, mode_t mode, struct slice content, char **temporary, struct why *why);
int replace_place(const char *temporary, const char *path, bool force, struct why *why);
void replace_sync(const char *path);
/* Makes the directory of a file, where it is missing. */
int replace_directory(const char *path, struct why *why);

#endif
