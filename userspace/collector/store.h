/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The collector's store: SQLite in WAL mode. One row per event, with columns for what is asked
 * often and the whole record as it came. */
#ifndef COLLECTOR_STORE_H
#define COLLECTOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "collector/forward_server.h"

struct store;

/* Opens the store at path for writing, made with mode 0600 where it is missing. -EINVAL, -EACCES …
 * with why; a store of a newer schema is refused. */
int store_open(const char *path, struct store **store, struct why *why);
void store_close(struct store *store);

/* Adds an entry to the transaction that is open, or opens one. What is there already, as it is, is
 * left out; an event whose id, or place in its appliance's stream, another event has is added and
 * marked, and told as tampering. 0 in all these cases, or -EIO with why: then the transaction is gone, with all that was added to it. */
int store_add(struct store *store, const struct forward_entry *entry, struct why *why);
/* Makes all that was added durable: 0, or -EIO with why: all of it is gone. */
int store_commit(struct store *store, struct why *why);
void store_rollback(struct store *store);
bool store_in_transaction(const struct store *store);

/* Since store_open: events added, and those that were there already. */
uint64_t store_added(const struct store *store);
uint64_t store_duplicates(const struct store *store);

#endif
