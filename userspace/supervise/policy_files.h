/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy of a generation and the keys that were issued here, as the workers get them. The policy
 * comes and goes with its generation; the keys change meanwhile: `sallyport keys` writes their file,
 * and all workers hear of it. What cannot be used never replaces what can. */
#ifndef SUPERVISE_POLICY_FILES_H
#define SUPERVISE_POLICY_FILES_H

#include "base/why.h"

struct generation;
struct parent;
struct policy_watch;

/* Reads both into memory files of the generation, empty where the configuration names none. 0, or
 * negative errno with why. */
int policy_files_open(struct generation *generation, struct why *why);

/* Watches the file of keys of the current configuration from now on. NULL without memory. */
struct policy_watch *policy_watch_new(struct parent *parent);
void policy_watch_free(struct policy_watch *watch);
/* The current configuration has changed. */
void policy_watch_reconfigure(struct policy_watch *watch);

#endif
