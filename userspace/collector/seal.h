/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encryption of what a store holds of contents: AES-256-GCM (NIST SP 800-38D) with a key of each file,
 * which is derived from that of the store's key file and from the file's salt, and a random nonce
 * each. What is sealed begins with a byte that nothing else in a store begins with. */
#ifndef COLLECTOR_SEAL_H
#define COLLECTOR_SEAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

#define SEAL_KEY   32
#define SEAL_SALT  16
#define SEAL_LINK  "content-key" /* in a store: leads to the key file */

/* The key of a store. */
struct seal_key {
	uint8_t bytes[SEAL_KEY];
};
/* Reads a key file: 64 hexadecimal digits, of root or of owner, for nobody else to read. Negative
 * errno with why. The key ends with OPENSSL_cleanse. */
int seal_key_read(const char *path, uid_t owner, struct seal_key *key, struct why *why);
/* Likewise, the one that a store's link leads to; -ENOENT without why: its contents are not sealed. */
int seal_key_find(const char *directory, struct seal_key *key, struct why *why);

struct seal;
/* NULL without memory. */
struct seal *seal_new(const struct seal_key *key, const uint8_t salt[SEAL_SALT]);
void seal_free(struct seal *seal);

bool seal_is(struct slice blob);
/* Both append to out. 0 or -ENOMEM; */
int seal_close(struct seal *seal, struct slice plain, struct buf *out);
/* 0; -EBADMSG: it is not what was sealed with this key; -ENOMEM. */
int seal_open(struct seal *seal, struct slice blob, struct buf *out);

#endif
