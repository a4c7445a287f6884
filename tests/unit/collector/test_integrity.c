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

static void change_all(struct store_scene *f, const char *sql)
{
	sqlite3 *database;
	char path[128];

	snprintf(path, sizeof(path), "%s/2023-11-14.db", f->path);
	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
}

static int see_damaged(void *context, const char *what)
{
	struct scene_seen *seen = context;

	seen->len += (size_t)snprintf(
		seen->text + seen->len, sizeof(seen->text) - seen->len, "%s\n", what);
	return 0;
}

static int see_head(void *context, const struct query_head *head)
{
	struct scene_seen *seen = context;

	seen->rows++;
	seen->head = *head;
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
	static const struct query_integrity_ops ops = {.damaged = see_damaged,
		.broken = see_damaged,
		.head = see_head,
		.gap = see_gap};
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

/* As verify, after the collector opened the store anew. */
static struct query_integrity verify_again(struct store_scene *f, struct scene_seen *seen)
{
	struct why why;

	store_close(f->store);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	return verify(f, seen);
}

/* In the store's directory. */
static void run(struct store_scene *f, const char *command)
{
	char whole[640];

	snprintf(whole, sizeof(whole), "cd %s && %s", f->path, command);
	assert_int_equal(system(whole), 0);
}

static void send_days(struct store_scene *f)
{
	for (uint64_t i = 1; i <= 12; i++) {
		scene_send_at(f->store, i, 1700000000000000000u + (i - 1) / 4 * SCENE_DAY_NS);
		if (i % 4 == 0)
			scene_commit(f->store);
	}
}

/* Who changes a file without the key breaks the chain, at the first event that he touched. */
static void a_chain_breaks_where_it_was_changed(void **state)
{
	static const struct {
		const char *change, *told;
		unsigned broken;
	} cases[] = {
		{"DELETE FROM event WHERE id = 2", "event 3 (id-3) does not follow event 1", 2},
		{"DELETE FROM event WHERE id = 1",
			"event 2 (id-2) does not follow the chain of the day before", 2},
		{"DELETE FROM event WHERE id = 4",
			"the chain of gate had 4 events, the last of them 4; there are 3", 3},
		{"UPDATE event SET event_id = 'another' WHERE id = 3",
			"event 3 (another) does not follow event 2", 1},
		{"UPDATE event SET conflict = 1 WHERE id = 3", "event 3 (id-3) does not follow", 1},
		{"UPDATE event SET id = 40 WHERE id = 2", "event 3 (id-3) does not follow event 1", 3},
		{"UPDATE event SET link = NULL WHERE id = 3", "event 3 (id-3) has lost its link", 3},
		{"UPDATE event SET observer = NULL WHERE id = 3", "event 4 (id-4) does not follow", 4},
		{"UPDATE chain SET length = 3", "what it says of the chain of gate was changed", 1},
		{"DELETE FROM chain", "where the chain of gate ends is missing", 1},
	};
	struct store_scene *f = *state;
	struct query_integrity found;
	struct scene_seen seen;

	send_days(f);
	found = verify(f, &seen);
	assert_int_equal(found.broken + found.unchained, 0);
	assert_int_equal(found.chains, 3);
	assert_int_equal(found.chained, 12);
	assert_int_equal(seen.rows, 1);
	store_close(f->store);
	f->store = NULL;
	run(f, "mkdir ../whole && cp * ../whole");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		change(f, cases[i].change);
		found = verify(f, &seen);
		if (!strstr(seen.text, cases[i].told) || found.broken != cases[i].broken)
			fail_msg("%s: %llu broken:\n%s", cases[i].change,
				(unsigned long long)found.broken, seen.text);
		run(f, "rm * && cp ../whole/* .");
	}
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

/* What is found and counted by: not of what the digest is made. */
static void columns_and_sums_are_those_of_the_records(void **state)
{
	static const struct {
		const char *change, *told;
	} cases[] = {
		{"UPDATE event SET input_tokens = 1 WHERE id = 3", "event 3 (id-3): its column input_tokens"},
		{"UPDATE event SET source = NULL WHERE id = 3", "its column source"},
		{"UPDATE event SET model = (SELECT id FROM name WHERE text = 'success') WHERE id = 3",
			"its column model"},
		{"UPDATE event SET outcome = NULL WHERE id = 3", "its column outcome"},
		{"UPDATE event SET status = 200 WHERE id = 3", "its column status"},
		{"UPDATE name SET text = 'other' WHERE text = 'm'", "its column model"},
		{"UPDATE hourly SET total_tokens = 1", "the sums in its table hourly are not"},
		{"DELETE FROM daily", "the sums in its table daily are not"},
		{"INSERT INTO hourly_subject VALUES(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)", "hourly_subject"},
	};
	struct store_scene *f = *state;
	struct query_integrity found;
	struct scene_seen seen;

	for (uint64_t i = 1; i <= 5; i++)
		scene_send_call(f->store, i, "192.0.2.1", "m", 1000 * i, 5, "success");
	scene_send_at(f->store, 6, 1700000000000000000u);
	scene_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	found = verify(f, &seen);
	assert_int_equal(found.damaged + found.broken, 0);
	run(f, "mkdir ../whole && cp * ../whole");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		change_all(f, cases[i].change);
		found = verify(f, &seen);
		if (!found.damaged || !strstr(seen.text, cases[i].told))
			fail_msg("%s: %s", cases[i].change, seen.text);
		run(f, "rm * && cp ../whole/* .");
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
	/* The sums know them still. */
	assert_int_equal(found.damaged, 6);
	assert_non_null(strstr(seen.text, "event 12 (yet another) does not follow event 4"));
	assert_int_equal(found.broken, 2);
	assert_non_null(strstr(seen.text, "twice gate 1: 4-4\nmissing gate 1: 7-8\n"));
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

/* A day that is gone or is as it was before is missed, until --retain removes it. */
static void the_ends_of_chains_are_kept(void **state)
{
	struct store_scene *f = *state;
	struct query_integrity found;
	struct query_head head;
	struct scene_seen seen;
	struct query *query;
	struct why why;

	send_days(f);
	verify(f, &seen);
	head = seen.head;
	assert_int_equal(head.id, 12);
	run(f, "cp 2023-11-14.db before; cat 2023-11-14.db-wal > before-wal");
	scene_send_at(f->store, 13, 1700000000000000000u);
	scene_commit(f->store);
	/* of which the next day knows nothing: it had begun before */
	store_close(f->store);
	f->store = NULL;
	run(f, "mv 2023-11-14.db now; cp before 2023-11-14.db;"
	       "cp before-wal 2023-11-14.db-wal");
	found = verify(f, &seen);
	assert_int_equal(found.broken, 1);
	assert_non_null(strstr(seen.text, "2023-11-14.db: it is not what was stored: 5 events of "
					  "gate were, the last of them 13"));
	/* The collector goes on with it, and what it was is known still. */
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	found = verify(f, &seen);
	assert_int_equal(found.broken, 1);
	assert_non_null(strstr(seen.text, "as it had been before, or was another one: 5 events"));
	/* One that is gone. */
	store_close(f->store);
	f->store = NULL;
	run(f, "rm 2023-11-15.db*");
	found = verify(f, &seen);
	assert_non_null(strstr(seen.text, "2023-11-15.db: it is missing: 4 events of gate"));
	assert_int_equal(found.broken, 2);
	/* and with its anchor: the next day's chain goes on from it */
	run(f, "/usr/bin/python3 -c \"import sqlite3; d = sqlite3.connect('anchors.db');"
	       "d.execute('DELETE FROM anchor WHERE day = 19676'); d.commit()\"");
	found = verify(f, &seen);
	assert_non_null(strstr(seen.text,
		"2023-11-15.db: the chain of gate goes on from its event 8, which is missing"));
	assert_int_equal(found.broken, 2);
	query = query_open(f->path, &why);
	assert_int_equal(query_has_head(query, &head, &why), 1);
	head.link.bytes[31] ^= 1;
	assert_int_equal(query_has_head(query, &head, &why), 0);
	head.day--;
	assert_int_equal(query_has_head(query, &head, &why), -ENOENT);
	query_close(query);
}

static void retention_keeps_the_anchor(void **state)
{
	struct store_scene *f = *state;
	uint64_t now = clock_realtime_ns();
	struct query_integrity found;
	struct scene_seen seen;

	for (uint64_t i = 1; i <= 9; i++)
		scene_send_at(f->store, i, now - (9 - i) / 3 * SCENE_DAY_NS);
	scene_commit(f->store);
	store_retain(f->store, 1);
	found = verify_again(f, &seen);
	assert_int_equal(found.chains, 2);
	assert_int_equal(found.retired, 3);
	assert_int_equal(found.events, 6);
	assert_int_equal(found.broken, 0);
	/* What comes late begins the day anew, behind what is known of it. */
	scene_send_at(f->store, 10, now - 2 * SCENE_DAY_NS);
	scene_commit(f->store);
	found = verify_again(f, &seen);
	assert_int_equal(found.events, 7);
	assert_int_equal(found.broken, 0);
}

/* What is stored by a collector without chains stays as it is; a chain begins behind it. */
static void a_store_of_before_there_were_chains(void **state)
{
	struct store_scene *f = *state;
	struct query_integrity found;
	struct scene_seen seen;
	struct why why;

	for (uint64_t i = 1; i <= 4; i++)
		scene_send_at(f->store, i, 1700000000000000000u);
	scene_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	change_all(f, "DROP TABLE chain; ALTER TABLE event DROP COLUMN link");
	run(f, "rm anchors.db*");
	found = verify(f, &seen);
	assert_int_equal(found.unchained, 4);
	assert_int_equal(found.broken, 0);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	scene_send_at(f->store, 5, 1700000000000000000u);
	scene_commit(f->store);
	found = verify(f, &seen);
	assert_int_equal(found.unchained, 4);
	assert_int_equal(found.chained, 1);
	assert_int_equal(found.broken + found.damaged, 0);
}

/* More appliances than are held in memory, in one transaction; what is rolled back was never linked. */
static void chains_of_many_appliances(void **state)
{
	struct store_scene *f = *state;
	struct query_integrity found;
	struct scene_seen seen;
	char name[16];

	for (uint64_t i = 0; i < 600; i++) {
		struct event event = {.kind = SLICE("exchange")};

		snprintf(name, sizeof(name), "gate%llu", (unsigned long long)(i % 150));
		event.observer = slice_of_string(i % 150 ? name : "");
		event.time_ns = 1700000000000000000u;
		scene_send(f->store, i + 1, &event);
		if (i == 100 || i == 450)
			scene_commit(f->store);
		if (i == 300)
			store_rollback(f->store);
	}
	scene_commit(f->store);
	found = verify_again(f, &seen);
	assert_int_equal(found.events, 400);
	assert_int_equal(found.chained, 400);
	assert_int_equal(found.broken, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_chain_breaks_where_it_was_changed),
		TEST(the_ends_of_chains_are_kept),
		TEST(retention_keeps_the_anchor),
		TEST(a_store_of_before_there_were_chains),
		TEST(chains_of_many_appliances),
		TEST(what_was_changed_is_told),
		TEST(columns_and_sums_are_those_of_the_records),
		TEST(what_is_missing_is_told),
		TEST(a_backup_is_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
