/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a worker that is not what it was may not go on this machine: to no address that is its own,
 * loopback or not. The kernel's own routing table comes before all policy rules (egress.h), so it is a
 * netfilter table of ours that says so, by the user of the workers. What the configuration sends
 * workers to on this machine is left to them. */
#ifndef KERNEL_EGRESS_LOCAL_H
#define KERNEL_EGRESS_LOCAL_H

#include "base/why.h"
#include "config/config.h"

/* Puts the rules of the configuration in the place of those that are there, in one transaction; on
 * failure those stay. The workers' user must be one of its own: else there are none. They outlive
 * this process. 0, or negative errno with why. */
int egress_local_set(const struct config *config, struct why *why);
/* Removes the rules of the instance with that datapath.inside. */
void egress_local_remove(const char *inside);

#endif
