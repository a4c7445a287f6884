/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy, and the keys that were issued here, as the workers get them: memory files of what was
 * read and can be used. */
#ifndef SUPERVISE_POLICY_FILES_H
#define SUPERVISE_POLICY_FILES_H

#include "base/why.h"
#include "config/config.h"

/* Reads both, empty where the configuration names none, in place of those that *policy and *keys are
 * (-1: none), which stay when it fails. 0, or negative errno with why. */
int policy_files_open(
	const struct config_policy_files *files, int *policy, int *keys, struct why *why);
/* The keys alone. */
int policy_files_keys(const char *path, int *keys, struct why *why);

#endif
