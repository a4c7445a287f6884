/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of the section gateway: what its keys must be together, and what is made of them. */
#ifndef CONFIG_GATEWAY_RULES_H
#define CONFIG_GATEWAY_RULES_H

#include "config/config.h"
#include "config/problem.h"
#include "config/tree.h"

/* Fills the hosts of the gateway, which go by its other members. */
void gateway_hosts_make(struct config_gateway *gateway);
/* Tells of what contradicts each other; 0, or -EINVAL. */
int gateway_rules_check(const char *file, const struct node *root, const struct config *config,
	struct problems *problems);

#endif
