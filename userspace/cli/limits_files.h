/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the limits stand, and where what is used of them does. */
#ifndef CLI_LIMITS_FILES_H
#define CLI_LIMITS_FILES_H

#include "base/why.h"
#include "config/config.h"
#include "config/policy_file.h"
#include "policy/limit_table.h"

/* The policy that the configuration names, as it is now, and the table of the daemon: the caller's. 0; or
 * -ENOENT (there are no limits, or no table of them) or another negative errno, with why and neither. */
int limits_files_open(const struct config *config, struct policy_file **file,
	struct limit_table **table, struct why *why);

#endif
