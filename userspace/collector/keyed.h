/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store's keyed hash (SipHash-2-4, 128 bits): who has not the key cannot make two texts that are
 * taken for one, nor tell from a file whether a text that he guesses is in it. */
#ifndef COLLECTOR_KEYED_H
#define COLLECTOR_KEYED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"

#define KEYED_KEY  16
#define KEYED_FILE_MAX 64 /* bytes, sealed or not */
#define KEYED_HASH 16
#define KEYED_LINK 32
#define KEYED_TEXTS 10 /* of a digest or a link, at most */

struct keyed;
struct keyed_hash {
	uint8_t bytes[KEYED_HASH];
};

/* HMAC-SHA-256: also who has the key cannot find another event that has it. */
struct keyed_link {
	uint8_t bytes[KEYED_LINK];
};

/* With the key of the file DIRECTORY/key; make: it is made when it is missing. It is sealed where
 * contents are (see seal.h): who has it knows whether a text that he guesses is in the store. NULL with
 * why. */
struct keyed *keyed_open(const char *directory, bool make, struct why *why);
void keyed_close(struct keyed *keyed);
/* False without memory. */
bool keyed_hash(struct keyed *keyed, struct slice text, struct keyed_hash *hash);
/* The digest of an event: of its time and of n texts, each as a whole. False without memory. */
bool keyed_digest(struct keyed *keyed, uint64_t time_ns, const struct slice *texts, size_t n,
	int64_t *digest);
/* The link of a chain, of n texts, each as a whole; the first says what they are. False without
 * memory. */
bool keyed_link(struct keyed *keyed, const struct slice *texts, size_t n, struct keyed_link *link);

#endif
