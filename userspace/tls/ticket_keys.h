/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session ticket keys (RFC 5077 section 4) shared by all workers: the parent writes, workers read.
 * A ticket is accepted for one to two rotation periods. */
#ifndef TLS_TICKET_KEYS_H
#define TLS_TICKET_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"

struct ticket_keys;

struct ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t hmac[32];
};

/* The parent's side: a writable mapping with fresh keys; *fd is its memfd, sealed so that nobody
 * else can map it writable, and is the caller's. NULL with why. */
struct ticket_keys *ticket_keys_create(int *fd, struct why *why);
/* As ticket_keys_create, with the keys of another writer's memfd, which is not changed. */
struct ticket_keys *ticket_keys_inherit(int from, int *fd, struct why *why);
/* Makes the current key the previous one and a fresh key the current one. 0, or -EIO when the
 * random source failed and nothing was changed. */
int ticket_keys_rotate(struct ticket_keys *keys);
/* A worker's side: read-only; fd stays the caller's. NULL with why. */
const struct ticket_keys *ticket_keys_map(int fd, struct why *why);
/* Of either mapping; NULL is fine. */
void ticket_keys_unmap(const struct ticket_keys *keys);

/* The key to seal a ticket with. Never blocks; false if the writer died in the middle of a
 * rotation. */
bool ticket_keys_current(const struct ticket_keys *keys, struct ticket_key *key);
/* The key with that name. 1: it is the current one, 2: the previous one (renew the ticket), 0:
 * none. */
int ticket_keys_find(
	const struct ticket_keys *keys, const uint8_t name[16], struct ticket_key *key);

#endif
