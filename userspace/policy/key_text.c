// SPDX-License-Identifier: GPL-2.0-or-later
/* The file of issued keys, as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "policy/key_table.h"

#define HEAD "sallyport-keys 1"

/* ---- writing ---- */

static int put_hex(struct buf *text, const uint8_t *bytes, size_t n)
{
	int error = 0;

	for (size_t i = 0; i < n && !error; i++)
		error = buf_printf(text, "%02x", bytes[i]);
	return error;
}

static int put_key(struct buf *text, const struct issued_key *key)
{
	int error = buf_printf(text, "%s ", key->id);

	if (!error)
		error = put_hex(text, key->digest, KEY_DIGEST);
	if (!error)
		error = buf_printf(text, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s ", key->created_s,
			key->expires_s, key->revoked_s, key->name);
	if (!error && !key->ngroups)
		error = buf_append_slice(text, SLICE("-"));
	for (size_t i = 0; i < key->ngroups && !error; i++)
		error = buf_printf(text, "%s%s", i ? "," : "", key->groups[i]);
	return error ? error : buf_append_slice(text, SLICE("\n"));
}

int key_table_print(const struct key_table *t, struct buf *text)
{
	struct key_table *table = (struct key_table *)t;
	size_t before = buf_len(text);
	struct slice all;
	int error = buf_append_slice(text, SLICE(HEAD "\nsalt "));

	if (!error)
		error = put_hex(text, key_table_salt(t), KEY_SALT);
	if (!error)
		error = buf_append_slice(text, SLICE("\n"));
	for (size_t i = 0; i < key_table_count(t) && !error; i++)
		error = put_key(text, key_table_at(table, i));
	all = slice_after(buf_slice(text), before);
	if (!error)
		error = buf_printf(text, "end %zu %08x\n", key_table_count(t),
			crc32c(0, all.data, all.len));
	return error;
}

/* ---- reading ---- */

struct lines {
	const char *name;
	struct slice rest;
	unsigned number;
	struct why *why;
};

static int refuse(const struct lines *l, const char *expected)
{
	return why_set(l->why, EINVAL,
		"%s:%u: expected %s: it is damaged, or was not written by sallyport keys; restore "
		"it from a backup",
		l->name, l->number, expected);
}

/* The next line, without its end; SLICE_NONE when there is no whole one. */
static struct slice next_line(struct lines *l)
{
	size_t len = slice_index(l->rest, '\n');
	struct slice line = slice_first(l->rest, len);

	l->number++;
	if (len == l->rest.len)
		return SLICE_NONE;
	l->rest = slice_after(l->rest, len + 1);
	return line;
}

/* The next word of a line, cut off its front. */
static struct slice next_word(struct slice *line)
{
	size_t len = slice_index(*line, ' ');
	struct slice word = slice_first(*line, len);

	*line = slice_after(*line, len + 1);
	return word;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct slice text, uint8_t *bytes, size_t n)
{
	if (text.len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = nibble(text.data[2 * i]), low = nibble(text.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool read_number(struct slice text, uint64_t *number)
{
	*number = 0;
	if (!text.len || text.len > 15)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(text.data[i] - '0');
	}
	return true;
}

/* The text does not end in a NUL, and so not even strndup may read it. */
static char *copy_name(struct slice name)
{
	char *copy = malloc(name.len + 1);

	if (!copy)
		return NULL;
	memcpy(copy, name.data, name.len);
	copy[name.len] = '\0';
	return copy;
}

static bool read_groups(struct slice text, char *groups[KEY_GROUPS], size_t *n)
{
	*n = 0;
	if (slice_equal(text, SLICE("-")))
		return true;
	while (text.len) {
		size_t len = slice_index(text, ',');
		struct slice group = slice_first(text, len);

		if (*n == KEY_GROUPS || !key_name_fits(group))
			return false;
		groups[*n] = copy_name(group);
		if (!groups[(*n)++])
			return false;
		text = slice_after(text, len + 1);
	}
	return *n > 0;
}

static int read_key(const struct lines *l, struct slice line, struct key_table *table)
{
	char *groups[KEY_GROUPS];
	struct issued_key key = {.groups = groups};
	struct slice id = next_word(&line), digest = next_word(&line);
	struct slice created = next_word(&line), expires = next_word(&line);
	struct slice revoked = next_word(&line), name = next_word(&line);
	int error = 0;

	if (id.len != KEY_ID || !read_hex(digest, key.digest, KEY_DIGEST) ||
		!read_number(created, &key.created_s) || !read_number(expires, &key.expires_s) ||
		!read_number(revoked, &key.revoked_s) || !key_name_fits(name))
		return refuse(l, "a key");
	memcpy(key.id, id.data, id.len);
	memcpy(key.name, name.data, name.len);
	if (!read_groups(line, groups, &key.ngroups))
		error = refuse(l, "the groups of a key");
	if (!error)
		error = key_table_add(table, &key);
	while (key.ngroups)
		free(groups[--key.ngroups]);
	if (error == -EEXIST)
		return refuse(l, "each key once");
	return error == -ENOMEM ? why_set(l->why, ENOMEM, "%s: no memory", l->name) : error;
}

/* The last line says how many there are, and what the text before it adds up to. */
static int read_end(
	struct lines *l, struct slice line, const struct key_table *table, struct slice before)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "end %zu %08x", key_table_count(table),
		crc32c(0, before.data, before.len));
	if (!slice_equal(line, slice_of_string(expected)) || l->rest.len)
		return refuse(l, "the number and the checksum of all that stands before");
	return 0;
}

static int read_keys(struct lines *l, struct slice text, struct key_table *table)
{
	for (;;) {
		struct slice before = slice_first(text, text.len - l->rest.len);
		struct slice line = next_line(l);
		int error;

		if (!line.len)
			return refuse(l, "a key, or the end of all keys");
		if (slice_starts_with(line, SLICE("end ")))
			return read_end(l, line, table, before);
		error = read_key(l, line, table);
		if (error)
			return error;
	}
}

int key_table_parse(const char *name, struct slice text, struct key_table **table, struct why *why)
{
	struct lines l = {.name = name, .rest = text, .why = why};
	uint8_t salt[KEY_SALT];
	struct slice line;
	int error;

	*table = NULL;
	if (!slice_equal(next_line(&l), SLICE(HEAD)))
		return refuse(&l, "\"" HEAD "\"");
	line = next_line(&l);
	if (!slice_equal(next_word(&line), SLICE("salt")) || !read_hex(line, salt, KEY_SALT))
		return refuse(&l, "the salt");
	*table = key_table_new(salt);
	if (!*table)
		return why_set(why, ENOMEM, "%s: no memory", name);
	error = read_keys(&l, text, *table);
	if (error) {
		key_table_free(*table);
		*table = NULL;
	}
	return error;
}
