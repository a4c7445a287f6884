/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes over the store of an older version, which was one file. Broken off, it begins again with the
 * next start: events that are there already are left out. */
#ifndef COLLECTOR_MIGRATE_H
#define COLLECTOR_MIGRATE_H

#include "base/why.h"

struct store;

/* Looks for such a store in place of the directory at path (it is moved aside then, to PATH.old) or
 * beside it, as PATH.db. *old is its path, or NULL; free it. 0, or negative errno with why. */
int migrate_find(const char *path, char **old, struct why *why);
/* Adds all its events to the store, then renames it to OLD.migrated. 0, or negative errno with why. */
int migrate(const char *old, struct store *store, struct why *why);

#endif
