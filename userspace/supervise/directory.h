/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SUPERVISE_DIRECTORY_H
#define SUPERVISE_DIRECTORY_H

#include <sys/types.h>

#include "base/why.h"
#include "config/config.h"

/* Makes a directory and, readable for all, those above it that are missing. One that exists is
 * taken as it is when it belongs to the owner. owner NULL: root. key names the setting in why. 0,
 * or negative errno. */
int directory_make(const char *key, const char *path, mode_t mode,
	const struct config_identity *owner, struct why *why);

#endif
