// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/key_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"

struct key_table {
	uint8_t salt[KEY_SALT];
	struct issued_key *keys;
	size_t n, room;
	uint32_t *slots; /* number of the key plus one; 0: none */
	size_t nslots;
	uint64_t seed;
};

struct key_table *key_table_new(const uint8_t salt[KEY_SALT])
{
	struct key_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	memcpy(t->salt, salt, KEY_SALT);
	t->seed = address_seed();
	return t;
}

static void key_free(struct issued_key *key)
{
	for (size_t i = 0; i < key->ngroups; i++)
		free(key->groups[i]);
	free(key->groups);
}

void key_table_free(struct key_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		key_free(&t->keys[i]);
	free(t->keys);
	free(t->slots);
	free(t);
}

const uint8_t *key_table_salt(const struct key_table *t)
{
	return t->salt;
}

size_t key_table_count(const struct key_table *t)
{
	return t->n;
}

struct issued_key *key_table_at(struct key_table *t, size_t i)
{
	return &t->keys[i];
}

/* ---- by id ---- */

static size_t slot_of(const struct key_table *t, struct slice id)
{
	size_t at = bytes_hash(id.data, id.len, t->seed) & (t->nslots - 1);

	while (t->slots[at] && !slice_equal(slice_of(t->keys[t->slots[at] - 1].id, KEY_ID), id))
		at = (at + 1) & (t->nslots - 1);
	return at;
}

struct issued_key *key_table_find(const struct key_table *t, struct slice id)
{
	uint32_t number;

	if (!t->n || id.len != KEY_ID)
		return NULL;
	number = t->slots[slot_of(t, id)];
	return number ? &t->keys[number - 1] : NULL;
}

static int grow(struct key_table *t)
{
	size_t room = t->room ? 2 * t->room : 16;
	struct issued_key *keys = realloc(t->keys, room * sizeof(*keys));
	uint32_t *slots;

	if (!keys)
		return -ENOMEM;
	t->keys = keys;
	slots = calloc(4 * room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->nslots = 4 * room;
	t->room = room;
	for (size_t i = 0; i < t->n; i++)
		slots[slot_of(t, slice_of(keys[i].id, KEY_ID))] = (uint32_t)i + 1;
	return 0;
}

static int copy_groups(struct issued_key *to, const struct issued_key *from)
{
	to->ngroups = 0;
	to->groups = calloc(from->ngroups + 1, sizeof(*to->groups));
	if (!to->groups)
		return -ENOMEM;
	for (; to->ngroups < from->ngroups; to->ngroups++) {
		to->groups[to->ngroups] = strdup(from->groups[to->ngroups]);
		if (!to->groups[to->ngroups])
			return -ENOMEM;
	}
	return 0;
}

int key_table_add(struct key_table *t, const struct issued_key *key)
{
	struct issued_key copy = *key;

	if (key_table_find(t, slice_of(key->id, KEY_ID)))
		return -EEXIST;
	if (t->n == KEY_MOST)
		return -ENOSPC;
	if (t->n == t->room && grow(t))
		return -ENOMEM;
	if (copy_groups(&copy, key)) {
		key_free(&copy);
		return -ENOMEM;
	}
	t->slots[slot_of(t, slice_of(copy.id, KEY_ID))] = (uint32_t)t->n + 1;
	t->keys[t->n++] = copy;
	return 0;
}

/* ---- what is presented ---- */

static bool is_made_of(struct slice text, const char *letters)
{
	for (size_t i = 0; i < text.len; i++)
		if (!text.data[i] || !strchr(letters, text.data[i]))
			return false;
	return true;
}

bool key_text_read(struct slice text, struct slice *id)
{
	struct slice secret = slice_after(text, 3 + KEY_ID + 1);

	*id = slice_first(slice_after(text, 3), KEY_ID);
	return text.len == KEY_TEXT && slice_starts_with(text, SLICE("sp-")) &&
	       text.data[3 + KEY_ID] == '-' && is_made_of(*id, KEY_ALPHABET) &&
	       is_made_of(secret, KEY_ALPHABET);
}

bool key_name_fits(struct slice name)
{
	return name.len && name.len <= KEY_NAME &&
	       is_made_of(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@");
}

const char *key_state_name(enum key_state state)
{
	static const char *const names[] = {
		"valid", "unknown", "wrong", "expired", "revoked", "several"};

	return names[state];
}

enum key_state key_state(const struct issued_key *key, uint64_t now_s)
{
	if (key->revoked_s)
		return KEY_REVOKED;
	return key->expires_s && now_s >= key->expires_s ? KEY_EXPIRED : KEY_VALID;
}

static bool same_digest(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t differs = 0;

	for (size_t i = 0; i < KEY_DIGEST; i++)
		differs = (uint8_t)(differs | (a[i] ^ b[i]));
	return differs == 0;
}

enum key_state key_table_check(const struct key_table *t, struct slice text, key_digest_fn digest,
	uint64_t now_s, const struct issued_key **key)
{
	uint8_t found[KEY_DIGEST];
	struct slice id;

	*key = NULL;
	if (!key_text_read(text, &id))
		return KEY_UNKNOWN;
	*key = key_table_find(t, id);
	if (!*key)
		return KEY_UNKNOWN;
	if (!digest(t->salt, text, found) || !same_digest(found, (*key)->digest))
		return KEY_WRONG;
	return key_state(*key, now_s);
}
