/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys that were issued here. Of each a digest is known, and nothing from which it could be
 * made; its id is public. The file that holds them is read and written here, as text: a head with
 * the salt, a line per key, and a last line with their number and a checksum, so that half a file
 * is none. */
#ifndef POLICY_KEY_TABLE_H
#define POLICY_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

#define KEY_SALT    32
#define KEY_DIGEST  32
#define KEY_ID	    12
#define KEY_SECRET  40 /* letters of 5 bits */
#define KEY_NAME    128
#define KEY_GROUPS  32	  /* of one key */
#define KEY_MOST    65536 /* of one file */
#define KEY_FILE_MAX (16u << 20)
/* "sp-", the id, "-", the secret. */
#define KEY_TEXT (3 + KEY_ID + 1 + KEY_SECRET)
/* What ids and secrets are made of. */
#define KEY_ALPHABET "abcdefghijkmnpqrstuvwxyz23456789"

struct issued_key {
	char id[KEY_ID + 1];
	char name[KEY_NAME + 1]; /* whose it is */
	char **groups;
	size_t ngroups;
	uint8_t digest[KEY_DIGEST];
	uint64_t created_s, expires_s, revoked_s; /* since 1970; 0: never */
};

/* digest = a keyed hash of the text of a key with the salt: HMAC-SHA-256. That a key has 200 random
 * bits makes a slow one needless. False: it could not be made. */
typedef bool (*key_digest_fn)(
	const uint8_t salt[KEY_SALT], struct slice text, uint8_t digest[KEY_DIGEST]);

struct key_table;

/* An empty one. NULL without memory. */
struct key_table *key_table_new(const uint8_t salt[KEY_SALT]);
void key_table_free(struct key_table *table);
/* What key_table_print wrote; name is for messages. 0, or negative errno with why. */
int key_table_parse(
	const char *name, struct slice text, struct key_table **table, struct why *why);
int key_table_print(const struct key_table *table, struct buf *text);

const uint8_t *key_table_salt(const struct key_table *table);
size_t key_table_count(const struct key_table *table);
struct issued_key *key_table_at(struct key_table *table, size_t i);
/* By its id; NULL: there is none. */
struct issued_key *key_table_find(const struct key_table *table, struct slice id);
/* Copies all of it. 0, -EEXIST: that id is there, -ENOSPC or -ENOMEM. */
int key_table_add(struct key_table *table, const struct issued_key *key);

/* Whether a text has the form of a key that was issued here, or could have been; then its id. */
bool key_text_read(struct slice text, struct slice *id);
/* Whether it can name a key or a group: letters, digits, '.', '_', '-' and '@'. */
bool key_name_fits(struct slice name);

enum key_state {
	KEY_VALID,
	KEY_UNKNOWN,
	KEY_WRONG,
	KEY_EXPIRED,
	KEY_REVOKED,
	KEY_SEVERAL, /* of different people, by one request */
};
const char *key_state_name(enum key_state state);
/* Of a key at that time, whoever presents it. */
enum key_state key_state(const struct issued_key *key, uint64_t now_s);
/* Whose key that text is: *key is set when there is one of its id. The comparison takes as long
 * whatever differs. */
enum key_state key_table_check(const struct key_table *table, struct slice text,
	key_digest_fn digest, uint64_t now_s, const struct issued_key **key);

#endif
