/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a process that is not what it was may not go, nor a client: the machine's identity and secrets are
 * handed out at addresses that any process can reach, and whoever is forwarded with this machine's
 * address; any process reaches the collector too. Policy rules by the users of all but the keeper
 * (ip-rule(8), uidrange … prohibit) make connect(2) there fail with EACCES; those by datapath.inside (iif … prohibit)
 * are answered by ICMP. What is on this machine itself is refused by egress_local.h, which these two
 * bring along. */
#ifndef KERNEL_EGRESS_H
#define KERNEL_EGRESS_H

#include "base/why.h"
#include "config/config.h"

#define EGRESS_PRIORITY 5101 /* and the next one; before the main table */
/* Of the rules; free in iproute2's rt_protos. One is that of the rules that are there, the other that of
 * those that take their place. */
#define EGRESS_PROTOCOL	      152
#define EGRESS_PROTOCOL_OTHER 153

/* Puts the rules of the configuration in the place of those that are there. Users must be of
 * their own: for root, or one that the keeper or the shipper shares, there is less or nothing to forbid.
 * 0, or negative errno with why. */
int egress_set(int netlink, const struct config *config, struct why *why);
/* Removes all rules of ours, of the instance with that datapath.inside. */
void egress_remove(int netlink, const char *inside);

#endif
