// SPDX-License-Identifier: GPL-2.0-or-later
/* What was changed, is missing or is copied is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "collector/layout.h"
#include "tests/support/store_scene.h"

static void change(struct store_scene *f, const char *sql)
{
	sqlite3 *database;
	char path[128];

	snprintf(path, sizeof(path), "%s/2023-11-14.db", f->path);
	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(database), 1);
	sqlite3_close(database);
}

static int see_damaged(void *context, const char *what)
{
	struct scene_seen *seen = context;

	seen->len += (size_t)snprintf(
		seen->text + seen->len, sizeof(seen->text) - seen->len, "%s\n", what);
	return 0;
}

static int see_gap(void *context, const struct query_gap *gap)
{
	struct scene_seen *seen = context;

	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%s %.*s %lld: %lld-%lld\n", gap->twice ? "twice" : "missing",
		SLICE_ARG(gap->observer), (long long)gap->stream, (long long)gap->first,
		(long long)gap->last);
	return 0;
}

static struct query_integrity verify(struct store_scene *f, struct scene_seen *seen)
{
	static const struct query_integrity_ops ops = {.damaged = see_damaged, .gap = see_gap};
	const struct query_filter all = {0};
	struct query_integrity found;
	struct why why = {""};
	struct query *query = query_open(f->path, &why);

	memset(seen, 0, sizeof(*seen));
	if (query_verify(query, &all, &ops, seen, &found, &why) < 0)
		fail_msg("%s", why.text);
	query_close(query);
	return found;
}

static void what_was_changed_is_told(void **state)
{
	static const char *const changes[] = {
		"UPDATE event SET time_ns = time_ns + 1 WHERE id = 3",
		"UPDATE event SET record = (SELECT record FROM event WHERE id = 5) WHERE id = 4",
		"UPDATE event SET content = NULL WHERE id = 7",
		"UPDATE block SET data = substr(data, 1, 9) WHERE id = (SELECT max(id) FROM block)",
	};
	struct store_scene *f = *state;
	struct query_integrity found;
	struct scene_seen seen;

	for (uint64_t i = 1; i <= 9; i++)
		scene_send_call(f->store, i, "192.0.2.1", "m", i, 1, "success");
	scene_send_at(f->store, 10, 1700000000000000000u + SCENE_DAY_NS);
	scene_commit(f->store);
	found = verify(f, &seen);
	assert_int_equal(found.events, 10);
	assert_int_equal(found.damaged + found.missing + found.twice + found.conflicts, 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		change(f, changes[i]);
		found = verify(f, &seen);
		/* The last is the answer of all of that day. */
		assert_int_equal(found.damaged, i < 3 ? i + 1 : 9);
		if (i < 3)
			assert_non_null(strstr(seen.text,
				"2023-11-14.db: event 3 (id-3): it is not as it was stored"));
	}
}

static void what_is_missing_is_told(void **state)
{
	struct event forged = {.kind = SLICE("exchange"), .observer = SLICE("gate")};
	struct store_scene *f = *state;
	struct query_integrity found;
	struct scene_seen seen;

	for (uint64_t i = 3; i <= 12; i++)
		scene_send_at(f->store, i, 1700000000000000000u + (i > 8 ? SCENE_DAY_NS : 0));
	/* of another day, so that it stands in nobody's place there */
	forged.time_ns = 1700000000000000000u + SCENE_DAY_NS;
	scene_send_as(f->store, 4, "another", &forged);
	forged.time_ns = 1700000000000000000u;
	scene_send_as(f->store, 5, "yet another", &forged);
	scene_commit(f->store);
	change(f, "DELETE FROM event WHERE sequence = 7");
	change(f, "DELETE FROM event WHERE sequence = 8");
	found = verify(f, &seen);
	assert_int_equal(found.streams, 1);
	assert_int_equal(found.missing, 2);
	assert_int_equal(found.twice, 1);
	assert_int_equal(found.conflicts, 1);
	assert_int_equal(found.removed, 2);
	assert_int_equal(found.damaged, 0);
	assert_string_equal(seen.text, "twice gate 1: 4-4\nmissing gate 1: 7-8\n");
}

/* A copy made while a transaction is open is a store as it was before it. */
static void a_backup_is_a_store(void **state)
{
	const struct query_filter all = {0};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query *query;
	struct stat status;
	char copy[128];
	struct why why = {""};
	uint64_t days;

	for (uint64_t i = 1; i <= 4; i++)
		scene_send_call(f->store, i, "192.0.2.1", "m", i, 1, "success");
	scene_send_at(f->store, 5, 1700000000000000000u + SCENE_DAY_NS);
	scene_commit(f->store);
	scene_send_at(f->store, 6, 1700000000000000000u);
	query = query_open(f->path, &why);
	snprintf(copy, sizeof(copy), "%.60s/copy", f->directory);
	if (query_backup(query, copy, &days, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(days, 2);
	/* It replaces nothing. */
	assert_int_equal(query_backup(query, copy, &days, &why), -EEXIST);
	query_close(query);
	scene_commit(f->store);
	memcpy(f->path, copy, sizeof(f->path));
	assert_int_equal(verify(f, &seen).events, 5);
	assert_int_equal(verify(f, &seen).damaged, 0);
	query = query_open(f->path, &why);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(query_events(query, &all, 0, scene_see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 5);
	query_close(query);
	snprintf(copy, sizeof(copy), "%s/2023-11-14.db", f->path);
	assert_int_equal(stat(copy, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	/* A collector goes on with it. */
	store_close(f->store);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	scene_send_call(f->store, 4, "192.0.2.1", "m", 4, 1, "success");
	scene_send_at(f->store, 6, 1700000000000000000u);
	scene_commit(f->store);
	assert_int_equal(store_added(f->store), 1);
	assert_int_equal(store_duplicates(f->store), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_changed_is_told),
		TEST(what_is_missing_is_told),
		TEST(a_backup_is_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
