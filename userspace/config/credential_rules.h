/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which keys go with which kind of credential. */
#ifndef CONFIG_CREDENTIAL_RULES_H
#define CONFIG_CREDENTIAL_RULES_H

#include "config/config.h"
#include "config/problem.h"
#include "config/tree.h"

/* As rules_check, of the credentials that are listed. 0, or the error of the first that was told. */
int credential_rules_check(const char *name, const struct node *root, const struct config *config,
	struct problems *problems);

#endif
