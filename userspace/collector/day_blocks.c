// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/day_internal.h"
#include "collector/layout.h"

/* Samples to learn a dictionary from, and of each at most so much. */
#define DAY_SAMPLES	1000
#define DAY_SAMPLE_MAX	2048
#define DAY_SAMPLES_FEW 64 /* bytes: what is shorter teaches nothing */

static int day_dictionary(struct day *day, sqlite3_stmt *statement)
{
	struct day_samples *samples =
		&day->samples[sqlite3_column_int(statement, 0) ? DAY_BLOCKS : DAY_RECORDS];

	return squeeze_use(samples->squeeze,
		slice_of(sqlite3_column_blob(statement, 1),
			(size_t)sqlite3_column_bytes(statement, 1)),
		NULL);
}

/* Uses the dictionaries of the file; those that it learned itself come last and are used on. */
static int day_dictionaries(struct day *day, struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int error = day_prepare(
		day, "SELECT of_blocks, data FROM dictionary ORDER BY rowid", &statement, why);

	while (!error && sqlite3_step(statement) == SQLITE_ROW)
		if (day_dictionary(day, statement) == -ENOMEM)
			error = why_set(why, ENOMEM, "out of memory");
	sqlite3_finalize(statement);
	return error;
}

/* ---- sealing ---- */

/* The salt of a file, of the schema of that name; false: it has none. */
static bool day_salt(struct day *day, const char *sql, uint8_t salt[SEAL_SALT])
{
	sqlite3_stmt *ask = NULL;
	bool found = false;

	if (sqlite3_prepare_v2(day->database, sql, -1, &ask, NULL) == SQLITE_OK &&
		sqlite3_step(ask) == SQLITE_ROW && sqlite3_column_bytes(ask, 0) == SEAL_SALT) {
		memcpy(salt, sqlite3_column_blob(ask, 0), SEAL_SALT);
		found = true;
	}
	sqlite3_finalize(ask);
	return found;
}

/* What is stored from now on is sealed. */
static int day_seal(struct day *day, const struct seal_key *key, struct why *why)
{
	uint8_t salt[SEAL_SALT];
	sqlite3_stmt *add = NULL;
	int error = 0;

	if (!day_salt(day, "SELECT salt FROM main.seal", salt)) {
		if (RAND_bytes(salt, sizeof(salt)) != 1)
			return why_set(why, EIO, "%s: there is no randomness", day->path);
		error = day_execute(day,
			"CREATE TABLE IF NOT EXISTS seal(one INTEGER PRIMARY KEY CHECK(one = 1),"
			" salt BLOB NOT NULL)",
			why);
		if (!error)
			error = day_prepare(day, "INSERT INTO seal VALUES(1, ?)", &add, why);
		if (!error) {
			sqlite3_bind_blob(add, 1, salt, SEAL_SALT, SQLITE_STATIC);
			if (sqlite3_step(add) != SQLITE_DONE)
				error = day_error(day, why);
		}
		sqlite3_finalize(add);
	}
	if (!error && !(day->seal = seal_new(key, salt)))
		error = why_set(why, ENOMEM, "out of memory");
	for (int i = 0; i < DAY_PACKED; i++)
		squeeze_seal(day->samples[i].squeeze, day->seal);
	return error;
}

/* Appends a dictionary as it is stored: pieces of contents stand in it. */
static int day_seal_dictionary(struct day *day, struct slice dictionary, struct buf *out)
{
	return day->seal ? seal_close(day->seal, dictionary, out) : buf_append_slice(out, dictionary);
}

/* ---- an earlier day ---- */

static int day_inherit_one(
	struct day *day, sqlite3_stmt *from, sqlite3_stmt *to, struct seal *of_before)
{
	struct slice data = slice_of(
		sqlite3_column_blob(from, 2), (size_t)sqlite3_column_bytes(from, 2));
	struct buf plain = BUF_EMPTY, stored = BUF_EMPTY;
	int error;

	if (!seal_is(data))
		error = buf_append_slice(&plain, data);
	else
		error = of_before ? seal_open(of_before, data, &plain) : -EACCES;
	if (!error)
		error = day_seal_dictionary(day, buf_slice(&plain), &stored);
	if (!error) {
		sqlite3_bind_value(to, 1, sqlite3_column_value(from, 0));
		sqlite3_bind_value(to, 2, sqlite3_column_value(from, 1));
		sqlite3_bind_blob(to, 3, buf_slice(&stored).data, (int)buf_len(&stored),
			SQLITE_STATIC);
		sqlite3_step(to);
		sqlite3_reset(to);
	}
	buf_wipe(&plain);
	buf_free(&stored);
	return error;
}

static void day_inherit_all(struct day *day, const struct seal_key *key)
{
	sqlite3_stmt *from = NULL, *to = NULL;
	struct seal *of_before = NULL;
	uint8_t salt[SEAL_SALT];

	if (key && day_salt(day, "SELECT salt FROM before.seal", salt))
		of_before = seal_new(key, salt);
	if (sqlite3_prepare_v2(day->database,
		    "SELECT number, of_blocks, data FROM before.dictionary WHERE id IN"
		    " (SELECT max(id) FROM before.dictionary GROUP BY of_blocks)",
		    -1, &from, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(day->database,
			"INSERT OR IGNORE INTO main.dictionary(number, of_blocks, data) VALUES(?, ?, ?)",
			-1, &to, NULL) == SQLITE_OK)
		while (sqlite3_step(from) == SQLITE_ROW)
			if (day_inherit_one(day, from, to, of_before) < 0)
				break;
	sqlite3_finalize(from);
	sqlite3_finalize(to);
	seal_free(of_before);
}

/* Copies the last dictionaries of an earlier day: one that cannot be read is gone without. */
static void day_inherit(
	struct day *day, const struct seal_key *key, const char *directory, int32_t before)
{
	sqlite3_stmt *attach = NULL;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, layout_day_name(before).text);
	if (sqlite3_prepare_v2(day->database, "ATTACH ? AS before", -1, &attach, NULL) ==
		SQLITE_OK) {
		sqlite3_bind_text(attach, 1, path, -1, SQLITE_STATIC);
		if (sqlite3_step(attach) == SQLITE_DONE)
			day_inherit_all(day, key);
	}
	sqlite3_finalize(attach);
	sqlite3_exec(day->database, "DETACH before", NULL, NULL, NULL);
}

int day_blocks_open(struct day *day, const struct seal_key *seal_key, const char *directory,
	int32_t before, struct why *why)
{
	int error = 0;

	for (int i = 0; i < DAY_PACKED; i++) {
		day->samples[i].squeeze = squeeze_new();
		day->samples[i].sizes = calloc(DAY_SAMPLES, sizeof(*day->samples[i].sizes));
		if (!day->samples[i].squeeze || !day->samples[i].sizes)
			return why_set(why, ENOMEM, "out of memory");
	}
	if (seal_key)
		error = day_seal(day, seal_key, why);
	if (!error && before >= 0)
		day_inherit(day, seal_key, directory, before);
	if (!error)
		error = day_dictionaries(day, why);
	/* A file that has learned already does not so again. */
	if (before < 0 && day_ask(day, "SELECT count(*) FROM dictionary WHERE learned = 1") > 0) {
		for (int i = 0; i < DAY_PACKED; i++) {
			free(day->samples[i].sizes);
			day->samples[i].sizes = NULL;
		}
	}
	if (!error)
		error = day_prepare(
			day, "SELECT id FROM block WHERE hash = ?", &day->block_find, why);
	return error ? error
		     : day_prepare(day, "INSERT INTO block(hash, data) VALUES(?, ?)",
			       &day->block_add, why);
}

void day_blocks_forget(struct day *day)
{
	memset(day->known, 0, sizeof(day->known));
}

void day_blocks_close(struct day *day)
{
	for (int i = 0; i < DAY_PACKED; i++) {
		squeeze_free(day->samples[i].squeeze);
		buf_wipe(&day->samples[i].bytes);
		free(day->samples[i].sizes);
	}
	sqlite3_finalize(day->block_find);
	sqlite3_finalize(day->block_add);
	seal_free(day->seal);
}

/* Packs into day->packed, and keeps a sample. */
static int day_pack(struct day *day, enum day_packed what, struct slice text, struct why *why)
{
	struct day_samples *samples = &day->samples[what];
	struct slice sample = slice_first(text, DAY_SAMPLE_MAX);

	buf_clear(&day->packed);
	if (squeeze_pack(samples->squeeze, text, &day->packed) < 0)
		return why_set(why, ENOMEM, "out of memory");
	if (samples->sizes && samples->n < DAY_SAMPLES && sample.len >= DAY_SAMPLES_FEW &&
		buf_append_slice(&samples->bytes, sample) == 0)
		samples->sizes[samples->n++] = sample.len;
	return 0;
}

int day_pack_record(struct day *day, struct slice record, struct why *why)
{
	return day_pack(day, DAY_RECORDS, record, why);
}

static int day_block_add(struct day *day, struct slice text, const struct keyed_hash *hash,
	int64_t *id, struct why *why)
{
	int error = day_pack(day, DAY_BLOCKS, text, why);
	struct slice packed = buf_slice(&day->packed);

	if (error)
		return error;
	sqlite3_bind_blob(day->block_add, 1, hash->bytes, sizeof(hash->bytes), SQLITE_STATIC);
	sqlite3_bind_blob(day->block_add, 2, packed.data, (int)packed.len, SQLITE_STATIC);
	if (sqlite3_step(day->block_add) != SQLITE_DONE)
		error = day_error(day, why);
	sqlite3_reset(day->block_add);
	*id = sqlite3_last_insert_rowid(day->database);
	return error;
}

int day_block(struct day *day, struct slice text, int64_t *id, struct why *why)
{
	struct keyed_hash hash;
	struct day_known *slot;
	uint32_t number;
	int step, error = 0;

	if (!keyed_hash(day->keyed, text, &hash))
		return why_set(why, ENOMEM, "out of memory");
	memcpy(&number, hash.bytes, sizeof(number));
	slot = &day->known[number % DAY_KNOWN];
	if (slot->id && memcmp(&slot->hash, &hash, sizeof(hash)) == 0) {
		*id = slot->id;
		return 0;
	}
	sqlite3_bind_blob(day->block_find, 1, hash.bytes, sizeof(hash.bytes), SQLITE_STATIC);
	step = sqlite3_step(day->block_find);
	if (step == SQLITE_ROW)
		*id = sqlite3_column_int64(day->block_find, 0);
	else if (step == SQLITE_DONE)
		error = day_block_add(day, text, &hash, id, why);
	else
		error = day_error(day, why);
	sqlite3_reset(day->block_find);
	if (!error)
		*slot = (struct day_known){hash, *id};
	return error;
}

/* ---- learning ---- */

static int day_train_one(struct day *day, enum day_packed what, struct why *why)
{
	struct day_samples *samples = &day->samples[what];
	struct buf dictionary = BUF_EMPTY, stored = BUF_EMPTY;
	sqlite3_stmt *add = NULL;
	uint32_t number;
	int error = 0;

	/* Samples that teach nothing are no failure: it goes on as it did. */
	if (squeeze_train(buf_slice(&samples->bytes).data, samples->sizes, samples->n,
		    &dictionary) == 0 &&
		squeeze_use(samples->squeeze, buf_slice(&dictionary), &number) == 0) {
		error = day_seal_dictionary(day, buf_slice(&dictionary), &stored);
		if (error)
			why_set(why, ENOMEM, "out of memory");
		else
			error = day_prepare(day,
			"INSERT OR IGNORE INTO dictionary(number, of_blocks, data, learned)"
			" VALUES(?, ?, ?, 1)",
			&add, why);
		if (!error) {
			sqlite3_bind_int64(add, 1, number);
			sqlite3_bind_int(add, 2, what == DAY_BLOCKS);
			sqlite3_bind_blob(add, 3, buf_slice(&stored).data,
				(int)buf_len(&stored), SQLITE_STATIC);
			if (sqlite3_step(add) != SQLITE_DONE)
				error = day_error(day, why);
		}
		sqlite3_finalize(add);
	}
	buf_wipe(&dictionary);
	buf_free(&stored);
	free(samples->sizes);
	samples->sizes = NULL;
	buf_wipe(&samples->bytes);
	return error;
}

int day_train(struct day *day, struct why *why)
{
	int error = 0;

	for (int i = 0; i < DAY_PACKED && !error; i++)
		if (day->samples[i].sizes && day->samples[i].n == DAY_SAMPLES)
			error = day_train_one(day, (enum day_packed)i, why);
	return error;
}
