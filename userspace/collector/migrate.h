/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes over the store of an older version, which was one file. Broken off, it begins again with the
 * next start: events that are there already are left out. */
#ifndef COLLECTOR_MIGRATE_H
#define COLLECTOR_MIGRATE_H

#include "base/why.h"

struct store;

/* As store_open; before, it looks for such a store in place of the directory at path (it is moved aside
 * then, to PATH.old) or beside it, as PATH.db; all its events are added, and it is renamed to
 * ….migrated. */
int migrate_open(const char *path, struct store **store, struct why *why);

#endif
