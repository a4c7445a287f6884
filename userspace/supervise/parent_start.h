/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The beginning of the parent: what there is before its first child, and its first children. */
#ifndef SUPERVISE_PARENT_START_H
#define SUPERVISE_PARENT_START_H

#include "base/why.h"
#include "config/config.h"

struct parent;

/* Everything, from the configuration file to the children. 0, or negative errno with why. */
int parent_start(struct parent *parent, struct why *why);

/* The parts of it that a takeover has in common. 0, or negative errno with why. */
/* Sets the path of the parent's file of counters. */
int parent_start_counters(struct parent *parent, const struct config *config, struct why *why);
/* What is known of the backends, for all workers. */
int parent_start_standing(struct parent *parent, const struct config *config, struct why *why);
/* Opens the datapath and makes the listeners that are not there yet. */
int parent_start_datapath(struct parent *parent, const struct config *config, struct why *why);

#endif
