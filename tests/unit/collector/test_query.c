// SPDX-License-Identifier: GPL-2.0-or-later
/* Events and sources come out as they went in, in their order, within bounds. */
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

/* 192.0.2.last, alone */
#define PREFIX(last)                                                                               \
	{                                                                                          \
		{{[10] = 0xff, 0xff, 192, 0, 2, last}}, 128                                        \
	}

static void send_summary(struct store *store, uint64_t sequence, const char *observer,
	const char *ip, uint64_t bytes, uint64_t received)
{
	struct event event = {
		.kind = SLICE("source.summary"),
		.observer = slice_of_string(observer),
		.source_bytes = event_number(bytes),
		.source_bytes_received = event_number(received),
		.source_active = event_number(3),
		.source_drops = SLICE("{\"flags\":1}"),
	};

	assert_int_equal(address_parse(ip, &event.source_ip), 0);
	scene_send(store, sequence, &event);
}

static void events_come_newest_first(void **state)
{
	const struct query_filter filter = {.kind = "exchange"},
				  one = {.source = PREFIX(2), .has_source = true};
	struct store_scene *f = *state;
	struct scene_seen seen = {0}, other = {0};
	struct query *query;
	struct why why;

	scene_send_call(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	scene_send_call(f->store, 2, "192.0.2.2", "m", 2, 1, "success");
	scene_commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &filter, 1, scene_see_event, &seen, &why), 0);
	assert_string_equal(
		seen.text, "192.0.2.2 m 2 [{\"role\":\"assistant\",\"content\":\"hello\"}]\n");
	assert_int_equal(query_events(query, &one, 0, scene_see_event, &other, &why), 0);
	assert_int_equal(other.rows, 1);
	query_close(query);
}

static void kinds_are_told_apart(void **state)
{
	static const char *const by[] = {"ip", "model"};
	const struct query_filter calls = {.kind = "exchange"}, all = {0},
				  summaries = {.kind = "source.summary"};
	struct store_scene *f = *state;
	struct scene_seen seen[5] = {0};
	struct query_usage total;
	uint64_t rows;
	struct query *query;
	struct why why;

	scene_send_call(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	send_summary(f->store, 2, "gate", "192.0.2.1", 10, 20);
	send_summary(f->store, 3, "gate", "192.0.2.2", 10, 20);
	scene_commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &calls, 0, scene_see_event, &seen[0], &why), 0);
	assert_int_equal(query_events(query, &all, 0, scene_see_event, &seen[1], &why), 0);
	assert_int_equal(query_events(query, &summaries, 0, scene_see_event, &seen[2], &why), 0);
	assert_int_equal(query_follow_begin(query, 1, &why), 0);
	assert_int_equal(query_follow(query, &summaries, 0, scene_see_event, &seen[3], &why), 0);
	assert_int_equal(
		query_usage(query, by, 2, &calls, 0, scene_see_usage, &seen[4], &total, &rows, &why), 0);
	assert_int_equal(seen[0].rows, 1);
	assert_int_equal(seen[1].rows, 3);
	assert_int_equal(seen[2].rows, 2);
	assert_int_equal(seen[3].rows, 1);
	assert_string_equal(seen[4].text, "192.0.2.1 m 1 1 1 2 2.0\n");
	query_close(query);
}

static int see_source(void *context, const struct query_source *s)
{
	struct scene_seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s %.*s %llu %llu %llu %.*s\n", SLICE_ARG(s->observer), SLICE_ARG(s->source_ip),
		(unsigned long long)s->bytes, (unsigned long long)s->bytes_received,
		(unsigned long long)s->active, SLICE_ARG(s->drops));
	return 0;
}

static void sources_are_told_as_they_were_last(void **state)
{
	const struct query_filter all = {0}, one = {.source = PREFIX(1), .has_source = true},
				  before = {.until_ns = 1700000000000000003u};
	struct store_scene *f = *state;
	struct scene_seen seen = {0}, of_one = {0}, early = {0}, first = {0};
	struct query *query;
	struct why why;

	send_summary(f->store, 1, "gate", "192.0.2.1", 10, 5);
	send_summary(f->store, 2, "gate", "192.0.2.2", 100, 1);
	send_summary(f->store, 3, "gate", "192.0.2.1", 11, 600);
	send_summary(f->store, 4, "door", "192.0.2.1", 7, 0);
	scene_send_call(f->store, 5, "192.0.2.3", "m", 1, 1, "success");
	scene_commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_sources(query, &all, 0, see_source, &seen, &why), 0);
	assert_string_equal(seen.text, "gate 192.0.2.1 11 600 3 {\"flags\":1}\n"
				       "gate 192.0.2.2 100 1 3 {\"flags\":1}\n"
				       "door 192.0.2.1 7 0 3 {\"flags\":1}\n");
	assert_int_equal(query_sources(query, &one, 0, see_source, &of_one, &why), 0);
	assert_int_equal(of_one.rows, 2);
	assert_int_equal(query_sources(query, &before, 0, see_source, &early, &why), 0);
	assert_string_equal(early.text, "gate 192.0.2.2 100 1 3 {\"flags\":1}\n"
					"gate 192.0.2.1 10 5 3 {\"flags\":1}\n");
	assert_int_equal(query_sources(query, &all, 1, see_source, &first, &why), 0);
	assert_int_equal(first.rows, 1);
	query_close(query);
}

struct checkpointing {
	sqlite3 *database;
	unsigned rows;
};

static int see_and_checkpoint(void *context, const struct query_event *e)
{
	struct checkpointing *c = context;
	int frames, moved;

	(void)e;
	c->rows++;
	return sqlite3_wal_checkpoint_v2(
		c->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &moved);
}

/* Whoever reads slowly (a pager) must not keep the log from being emptied: it grew for ever. */
static void a_slow_reader_holds_no_view(void **state)
{
	const struct query_filter all = {0};
	struct store_scene *f = *state;
	struct checkpointing c = {0};
	struct query *query;
	char path[128];
	struct why why;

	for (uint64_t i = 1; i <= 450; i++)
		scene_send_at(f->store, i, 1700000000000000000u);
	scene_commit(f->store);
	snprintf(path, sizeof(path), "%s/2023-11-14.db", f->path);
	assert_int_equal(
		sqlite3_open_v2(path, &c.database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, see_and_checkpoint, &c, &why), 0);
	assert_int_equal(c.rows, 450);
	query_close(query);
	sqlite3_close(c.database);
}

static void a_question_has_an_end(void **state)
{
	static const char *const by[] = {"status", "host"};
	const struct query_filter filter = {0};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query_usage total;
	struct query *query;
	struct why why;
	uint64_t rows;

	for (uint64_t i = 1; i <= 3000; i++)
		scene_send_at(f->store, i, 1700000000000000000u);
	scene_commit(f->store);
	query = query_open(f->path, &why);
	query_patience(query, 1);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 0, scene_see_usage, &seen, &total, &rows, &why), -EIO);
	assert_non_null(strstr(why.text, "--since"));
	query_patience(query, 0);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 0, scene_see_usage, &seen, &total, &rows, &why), 0);
	assert_int_equal(total.calls, 3000);
	query_close(query);
}

static void prefixes_hold_addresses(void **state)
{
	struct query_filter filter = {.has_source = true};
	struct store_scene *f = *state;
	struct query *query;
	struct why why;
	static const struct {
		const char *prefix;
		unsigned rows;
	} cases[] = {{"192.0.2.0/24", 2}, {"192.0.2.1", 1}, {"192.0.2.2/31", 0}, {"0.0.0.0/0", 2},
		{"2001:db8::/32", 1}, {"2001:db9::/32", 0}};

	scene_send_call(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	scene_send_call(f->store, 2, "192.0.2.255", "m", 1, 1, "success");
	scene_send_call(f->store, 3, "2001:db8:ffff::1", "m", 1, 1, "success");
	scene_commit(f->store);
	query = query_open(f->path, &why);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene_seen seen = {0};

		assert_int_equal(prefix_parse(cases[i].prefix, &filter.source), 0);
		assert_int_equal(query_events(query, &filter, 0, scene_see_event, &seen, &why), 0);
		if (seen.rows != cases[i].rows)
			fail_msg("%s: %u events", cases[i].prefix, seen.rows);
	}
	query_close(query);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_come_newest_first),
		TEST(kinds_are_told_apart),
		TEST(sources_are_told_as_they_were_last),
		TEST(a_slow_reader_holds_no_view),
		TEST(a_question_has_an_end),
		TEST(prefixes_hold_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
