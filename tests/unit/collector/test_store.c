// SPDX-License-Identifier: GPL-2.0-or-later
/* Events go in as the appliance makes them: each once, of its day, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/forward_client.h"
#include "audit/record.h"
#include "base/clock.h"
#include "collector/forward_server.h"
#include "collector/layout.h"
#include "collector/migrate.h"
#include "tests/support/store_scene.h"

static int see_conflict(void *context, const struct query_event *e)
{
	struct scene_seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s%s\n", SLICE_ARG(e->model), e->conflict ? " conflict" : "");
	return 0;
}

static void a_resent_event_is_stored_once(void **state)
{
	struct store_scene *f = *state;

	scene_send_call(f->store, 7, "192.0.2.1", "m", 1, 1, "success");
	scene_send_call(f->store, 7, "192.0.2.1", "m", 1, 1, "success");
	scene_commit(f->store);
	scene_send_call(f->store, 7, "192.0.2.1", "m", 1, 1, "success");
	scene_commit(f->store);
	assert_int_equal(store_added(f->store), 1);
	assert_int_equal(store_duplicates(f->store), 2);
}

/* An event of a compromised process must not make another's go away. */
static void events_of_one_identity_are_all_stored(void **state)
{
	const struct query_filter filter = {0};
	struct store_scene *f = *state;
	struct event forged = {.kind = SLICE("exchange"), .response_model = SLICE("forged")};
	struct scene_seen seen = {0};
	struct query *query;
	struct why why;

	scene_send_call(f->store, 7, "192.0.2.1", "true", 1, 1, "success");
	/* the same id and place with another content, twice */
	scene_send(f->store, 7, &forged);
	scene_send(f->store, 7, &forged);
	/* the same place under another id, twice */
	scene_send_as(f->store, 7, "another", &forged);
	scene_send_as(f->store, 7, "another", &forged);
	scene_commit(f->store);
	assert_int_equal(store_added(f->store), 3);
	assert_int_equal(store_duplicates(f->store), 2);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &filter, 0, see_conflict, &seen, &why), 0);
	assert_string_equal(seen.text, "forged conflict\nforged conflict\ntrue\n");
	query_close(query);
}

static void what_was_not_committed_is_gone(void **state)
{
	const struct query_filter filter = {0};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query *query;
	struct why why;

	scene_send_call(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	store_rollback(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &filter, 0, scene_see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 0);
	query_close(query);
}

static void a_store_that_others_may_read_is_refused(void **state)
{
	struct store_scene *f = *state;
	struct store *store = NULL;
	char path[128];
	struct why why;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(chmod(f->path, 0755), 0);
	assert_int_equal(store_open(f->path, &store, &why), -EPERM);
	assert_non_null(strstr(why.text, "0700"));
	assert_int_equal(chmod(f->path, 0700), 0);
	snprintf(path, sizeof(path), "%s/key", f->path);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(store_open(f->path, &store, &why), -EIO);
	assert_non_null(strstr(why.text, path));
}

static void a_store_has_one_writer(void **state)
{
	struct store_scene *f = *state;
	struct store *other = NULL;
	struct why why;

	assert_int_equal(store_open(f->path, &other, &why), -EBUSY);
	assert_non_null(strstr(why.text, "another collector"));
}

static void days_are_files_and_events_come_in_order(void **state)
{
	const struct query_filter all = {0}, middle = {.since_ns = 1700000000000000000u + SCENE_DAY_NS,
						     .until_ns = 1700000000000000000u + 2 * SCENE_DAY_NS};
	struct store_scene *f = *state;
	struct scene_seen seen = {0}, some = {0}, followed = {0}, later = {0};
	struct query *query;
	char path[128];
	struct why why;

	for (uint64_t i = 0; i < 6; i++)
		scene_send_at(f->store, i + 1, 1700000000000000000u + (5 - i) * SCENE_DAY_NS);
	scene_commit(f->store);
	snprintf(path, sizeof(path), "%s/2023-11-19.db", f->path);
	assert_int_equal(access(path, F_OK), 0);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 4, scene_see_event, &seen, &why), 0);
	assert_string_equal(seen.text, " m1 1 \n m2 2 \n m3 3 \n m4 4 \n");
	assert_int_equal(query_events(query, &middle, 0, scene_see_event, &some, &why), 0);
	assert_string_equal(some.text, " m5 5 \n");
	/* Whatever day an event is of, who follows sees it once. */
	assert_int_equal(query_follow_begin(query, 0, &why), 0);
	assert_int_equal(query_follow(query, &all, 0, scene_see_event, &followed, &why), 0);
	assert_int_equal(followed.rows, 0);
	scene_send_at(f->store, 7, 1700000000000000000u + 5 * SCENE_DAY_NS);
	scene_send_at(f->store, 8, 1700000000000000000u);
	scene_send_at(f->store, 9, 1700000000000000000u + 9 * SCENE_DAY_NS);
	scene_commit(f->store);
	assert_int_equal(query_follow(query, &all, 0, scene_see_event, &followed, &why), 0);
	assert_string_equal(followed.text, " m8 8 \n m7 7 \n m9 9 \n");
	assert_int_equal(query_follow(query, &all, 0, scene_see_event, &later, &why), 0);
	assert_int_equal(later.rows, 0);
	query_close(query);
}

static void a_wrong_clock_makes_no_file(void **state)
{
	struct store_scene *f = *state;
	int32_t *days;
	size_t n;

	scene_send_at(f->store, 1, 1);
	scene_send_at(f->store, 2, UINT32_MAX * 1000000000ull);
	scene_commit(f->store);
	assert_int_equal(layout_days(f->path, &days, &n), 0);
	/* today, and on the edge of midnight the next one */
	assert_in_range(n, 1, 2);
	assert_in_range((int64_t)(clock_realtime_ns() / SCENE_DAY_NS) - days[0], 0, 1);
	free(days);
	/* Sent again it is known, but for one that came on the other side of midnight. */
	scene_send_at(f->store, 1, 1);
	scene_commit(f->store);
	assert_int_equal(store_conflicts(f->store), 0);
	assert_true(store_duplicates(f->store) == 1 || store_added(f->store) == 3);
}

static void old_days_are_removed(void **state)
{
	struct store_scene *f = *state;
	uint64_t now = clock_realtime_ns();
	int32_t *days;
	size_t n;

	scene_send_at(f->store, 1, now - 40 * SCENE_DAY_NS);
	scene_send_at(f->store, 2, now - 20 * SCENE_DAY_NS);
	scene_commit(f->store);
	store_retain(f->store, 0);
	assert_int_equal(layout_days(f->path, &days, &n), 0);
	assert_int_equal(n, 2);
	free(days);
	store_retain(f->store, 30);
	assert_int_equal(layout_days(f->path, &days, &n), 0);
	assert_int_equal(n, 1);
	free(days);
	scene_send_at(f->store, 3, now - 20 * SCENE_DAY_NS);
	scene_commit(f->store);
	assert_int_equal(store_added(f->store), 3);
}

static int add(void *context, const struct forward_entry *entry)
{
	struct why why;

	return store_add(context, entry, &why);
}

/* As send_at, without knowing that it is taken. */
static enum forward_result try_at(struct store *store, uint64_t number, uint64_t time_ns)
{
	char message[128];
	struct slice chunk;
	size_t len = 0;

	/* [tag, EventTime, {"event.id": number}] */
	memcpy(message, "\x93\xa1t\xd7\x00", 5);
	for (int i = 0; i < 4; i++) {
		message[5 + i] = (char)(time_ns / 1000000000u >> (24 - 8 * i));
		message[9 + i] = (char)(time_ns % 1000000000u >> (24 - 8 * i));
	}
	len = 13 + (size_t)snprintf(message + 13, 40,
			   "\x81\xa8"
			   "event.id\xa3"
			   "%03u",
			   (unsigned)number);
	return forward_read(slice_of(message, len), add, store, &chunk);
}

/* How many damaged files were kept. */
static int kept_aside(struct store_scene *f)
{
	DIR *directory = opendir(f->path);
	const struct dirent *entry;
	int n = 0;

	while ((entry = readdir(directory)))
		n += strstr(entry->d_name, ".db.damaged-") && !strstr(entry->d_name, "-wal") &&
		     !strstr(entry->d_name, "-shm");
	closedir(directory);
	return n;
}

static void a_damaged_day_is_named(void **state)
{
	const struct query_filter all = {0};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query *query;
	char path[128];
	struct why why;
	FILE *file;

	scene_send_at(f->store, 1, 1700000000000000000u);
	scene_commit(f->store);
	snprintf(path, sizeof(path), "%s/2023-11-20.db", f->path);
	file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("no database ", file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, scene_see_event, &seen, &why), -EIO);
	assert_non_null(strstr(why.text, "2023-11-20.db"));
	query_close(query);
	/* The collector goes on with the others. */
	store_close(f->store);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	scene_send_at(f->store, 2, 1700000000000000000u);
	scene_commit(f->store);
	/* An event of that day does not stop it: sent again, it is in a new file. */
	assert_int_equal(try_at(f->store, 3, 1700000000000000000u + 6 * SCENE_DAY_NS), FORWARD_REFUSED);
	scene_send_at(f->store, 3, 1700000000000000000u + 6 * SCENE_DAY_NS);
	scene_commit(f->store);
	query = query_open(f->path, &why);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(query_events(query, &all, 0, scene_see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 3);
	query_close(query);
	assert_int_equal(kept_aside(f), 1);
}

static int see_content(void *context, const struct query_event *e)
{
	struct buf *out = context;

	for (int kind = 0; kind < CONTENT_KINDS; kind++)
		assert_int_equal(buf_append_slice(out, e->content[kind]), 0);
	return buf_append(out, "\n", 1);
}

/* Agents send the whole history with each call: it is stored once, and shown as it was sent. */
static void a_history_is_stored_once(void **state)
{
	const struct query_filter all = {0};
	struct store_scene *f = *state;
	struct buf history = BUF_EMPTY, expected = BUF_EMPTY, shown = BUF_EMPTY, turned = BUF_EMPTY;
	struct query *query;
	struct why why;

	for (uint64_t i = 1; i <= 50; i++) {
		struct event event = {.kind = SLICE("exchange"),
			.tools = SLICE("[{\"t\":1}]"),
			.output_messages = SLICE("no JSON at all [")};

		assert_int_equal(buf_printf(&history,
					 "%s{\"role\":\"user\",\"content\":\"part %llu, \\\"]\"}",
					 i > 1 ? "," : "[", (unsigned long long)i),
			0);
		assert_int_equal(buf_append(&history, "]", 1), 0);
		event.input_messages = buf_slice(&history);
		scene_send(f->store, i, &event);
		buf_clear(&turned);
		assert_int_equal(
			buf_printf(&turned, "%.*s%.*s%.*s\n%.*s", SLICE_ARG(event.input_messages),
				SLICE_ARG(event.output_messages), SLICE_ARG(event.tools),
				SLICE_ARG(buf_slice(&expected))),
			0);
		buf_clear(&expected);
		assert_int_equal(buf_append_slice(&expected, buf_slice(&turned)), 0);
		history.end--;
	}
	scene_commit(f->store);
	assert_int_equal(scene_ask(f, "SELECT count(*) FROM block"), 50 + 2);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, see_content, &shown, &why), 0);
	assert_true(slice_equal(buf_slice(&shown), buf_slice(&expected)));
	query_close(query);
	buf_free(&history);
	buf_free(&expected);
	buf_free(&shown);
	buf_free(&turned);
}

/* Enough of them that dictionaries are learned, and then used by the next day. */
static void dictionaries_are_learned_and_taken_along(void **state)
{
	const struct query_filter all = {0};
	struct store_scene *f = *state;
	struct buf shown = BUF_EMPTY;
	struct query *query;
	struct why why;

	for (uint64_t i = 1; i <= 1300; i++) {
		struct event event = {.kind = SLICE("exchange"), .user_agent = SLICE("agent")};
		char text[400];

		event.input_messages = slice_of(text,
			(size_t)snprintf(text, sizeof(text),
				"[{\"role\":\"user\",\"content\":\"question %llu about the weather in town %llu, "
				"and what it means for tomorrow's plans of number %llu\"}]",
				(unsigned long long)i, (unsigned long long)(i * 7919 % 1000),
				(unsigned long long)(i * 104729 % 10007)));
		event.time_ns = 1700000000000000000u + (i > 1200 ? SCENE_DAY_NS : 0) + i;
		scene_send(f->store, i, &event);
		if (i % 100 == 0)
			scene_commit(f->store);
	}
	assert_int_equal(scene_ask(f, "SELECT count(*) FROM dictionary WHERE learned = 1"), 2);
	assert_int_equal(
		scene_ask(f, "SELECT count(*) FROM event WHERE id > 1100 AND length(record) > 150"), 0);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, see_content, &shown, &why), 0);
	assert_non_null(memmem(buf_slice(&shown).data, buf_len(&shown), "question 1300 about", 19));
	assert_non_null(memmem(buf_slice(&shown).data, buf_len(&shown), "question 1 about", 16));
	query_close(query);
	buf_free(&shown);
}

static void put_old(sqlite3 *database, uint64_t number, const char *id)
{
	struct event event = {.kind = SLICE("exchange"),
		.response_model = SLICE("old"),
		.id = slice_of_string(id),
		.input_tokens = event_number(number),
		.epoch = SLICE("00000000000000aa"),
		.stream = event_number(1),
		.sequence = event_number(number),
		.time_ns = 1700000000000000000u};
	struct buf record = BUF_EMPTY;
	sqlite3_stmt *insert;

	assert_int_equal(event_encode(&event, &record), 0);
	buf_consume(&record, RECORD_TIME_SIZE);
	assert_int_equal(sqlite3_prepare_v2(database,
				 "INSERT INTO event(event_id, time_ns, record) VALUES(?, ?, ?)", -1,
				 &insert, NULL),
		SQLITE_OK);
	sqlite3_bind_text(insert, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(insert, 2, (sqlite3_int64)(1700000000000000000u + number * SCENE_DAY_NS));
	sqlite3_bind_blob(insert, 3, buf_slice(&record).data, (int)buf_len(&record), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
	sqlite3_finalize(insert);
	buf_free(&record);
}

static void an_older_store_is_taken_over(void **state)
{
	const struct query_filter all = {0};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query *query;
	sqlite3 *database;
	char path[128];
	struct why why = {""};

	store_close(f->store);
	f->store = NULL;
	snprintf(path, sizeof(path), "rm -r %s", f->path);
	assert_int_equal(system(path), 0);
	assert_int_equal(sqlite3_open(f->path, &database), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(database,
			"PRAGMA journal_mode=WAL; CREATE TABLE event(id INTEGER PRIMARY KEY,"
			" event_id TEXT UNIQUE, time_ns INTEGER, record BLOB);"
			"PRAGMA user_version=1",
			NULL, NULL, NULL),
		SQLITE_OK);
	put_old(database, 1, "id-1");
	put_old(database, 2, "id-2");
	sqlite3_close(database);
	assert_null(query_open(f->path, &why));
	assert_non_null(strstr(why.text, "older version"));
	if (migrate_open(f->path, &f->store, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(store_added(f->store), 2);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, scene_see_event, &seen, &why), 0);
	assert_string_equal(seen.text, " old 2 \n old 1 \n");
	query_close(query);
	snprintf(path, sizeof(path), "%s.old.migrated", f->path);
	assert_int_equal(access(path, F_OK), 0);
	/* The next start has nothing to take over. */
	store_close(f->store);
	assert_int_equal(migrate_open(f->path, &f->store, &why), 0);
	assert_int_equal(store_added(f->store) + store_duplicates(f->store), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_resent_event_is_stored_once),
		TEST(events_of_one_identity_are_all_stored),
		TEST(what_was_not_committed_is_gone),
		TEST(a_store_that_others_may_read_is_refused),
		TEST(a_store_has_one_writer),
		TEST(days_are_files_and_events_come_in_order),
		TEST(a_wrong_clock_makes_no_file),
		TEST(old_days_are_removed),
		TEST(a_damaged_day_is_named),
		TEST(a_history_is_stored_once),
		TEST(dictionaries_are_learned_and_taken_along),
		TEST(an_older_store_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
