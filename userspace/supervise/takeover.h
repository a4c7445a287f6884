/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The new program's side of an upgrade (upgrade.h): it goes on with what the parent before has
 * left. */
#ifndef SUPERVISE_TAKEOVER_H
#define SUPERVISE_TAKEOVER_H

#include <stdbool.h>

#include "base/why.h"
#include "supervise/manifest.h"

struct parent;
struct parent_options;

/* The option of the trial. */
#define UPGRADE_CHECK "--check-handover"

/* Reads the manifest that the environment names, takes the name out of it, and checks all
 * descriptors, which are close-on-exec from now on. 1: it is there, and the caller's to free; 0:
 * there is none; negative errno with why. */
int takeover_read(struct manifest *manifest, struct why *why);
/* The trial: answers on standard output whether this program could take over with that
 * configuration. The exit status. */
int takeover_check(const struct parent_options *options);
/* Whether that is what a program says that can. */
bool takeover_agreed(const char *answer);
/* Makes the parent the one that the manifest describes, whose descriptors are the parent's, and
 * begins the reload by which processes of this program take the place of the others. A failure ends
 * the process as a kill would, so that its children drain by themselves. */
void takeover(struct parent *parent, const struct manifest *manifest);

#endif
