/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The collector's store, open for writing: a directory with one file a day (see layout.h). An event
 * is in the file of the day on which it happened; one whose clock is wrong by years, in that of the
 * day on which it came. */
#ifndef COLLECTOR_STORE_H
#define COLLECTOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "collector/forward_server.h"

struct store;

/* Opens the store in a directory for writing, made with mode 0700 where it is missing. One writer at
 * a time. -EINVAL, -EACCES, -EBUSY … with why. What an older version left, migrate_open
 * takes over. */
int store_open(const char *path, struct store **store, struct why *why);
void store_close(struct store *store);
/* Before it is opened: what is stored of contents is sealed from now on, with the key of that file;
 * the store, made where it is missing, keeps a link that leads to the key. 0; or negative errno with why. */
int store_seal(const char *path, const char *key_file, struct why *why);
bool store_is_sealed(const struct store *store);

/* Adds an entry to the transaction that is open, or opens one. What is there already, as it is, is
 * left out; an event whose id, or place in its appliance's stream, another event of that day has is
 * added and marked, and told as tampering. 0 in all these cases, or negative errno with
 * why: then the transaction is gone, with all that was added to it; what is not acknowledged for it
 * comes again. A day's file that is damaged is set aside then. */
int store_add(struct store *store, const struct forward_entry *entry, struct why *why);
/* Makes all that was added durable: 0, or negative errno with why: not all of it is, and all of it is to be
 * added again. */
int store_commit(struct store *store, struct why *why);
void store_rollback(struct store *store);
bool store_in_transaction(const struct store *store);

/* Removes the files of days that lie more than so many days before today; 0: none. */
void store_retain(struct store *store, unsigned days);

/* Since store_open: events added, of these marked, and those that were there already. */
uint64_t store_added(const struct store *store);
uint64_t store_conflicts(const struct store *store);
uint64_t store_duplicates(const struct store *store);

#endif
