/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one key cannot know about another. */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include "config/config.h"
#include "config/problem.h"
#include "config/tree.h"

/* Tells of every contradiction, as "name:line: key: expected …, found …". */
void rules_check(const char *name, const struct node *root, const struct config *config,
	struct problems *problems);

#endif
