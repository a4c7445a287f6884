// SPDX-License-Identifier: GPL-2.0-or-later
/* A day of a million events: what a question costs is counted in steps of SQLite, not by a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query_internal.h"
#include "tests/support/store_scene.h"

#define MILLION	 1000000
#define BEGIN_NS 1700006400000000000u /* 2023-11-15 */

/* 500 calls through the store, as they come; then each 2000 times, a bit later: rows and sums, by SQL. */
static const char multiply[] =
	"PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; BEGIN;"
	"DROP INDEX event_identity;" /* no question here needs it */
	"CREATE TEMP TABLE n(n INTEGER PRIMARY KEY);"
	"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1999)"
	" INSERT INTO n SELECT n FROM c;"
	"INSERT INTO event(id, event_id, digest, time_ns, source, model, kind, outcome, host, backend,"
	" operation, status, error_type, request_user, input_tokens, output_tokens, total_tokens, record,"
	" content, duration_ns)"
	" SELECT n * 500 + id, 'n' || (n * 500 + id), digest, time_ns + n * 43000000000 / 1000 * 1000,"
	" source, model, kind, outcome, host, backend, operation, status, error_type, request_user,"
	" input_tokens, output_tokens, total_tokens,"
	/* Of those that are shown. */
	" CASE WHEN n > 1900 OR event.id = 251 THEN record ELSE x'' END, content, duration_ns"
	" FROM n CROSS JOIN event WHERE event.id <= 500;"
	"DELETE FROM hourly; DELETE FROM hourly_verdict; DELETE FROM hourly_user; DELETE FROM daily;"
	"INSERT INTO hourly SELECT time_ns / 3600000000000, coalesce(model, 0), coalesce(operation, 0),"
	" coalesce(outcome, 0), coalesce(backend, 0), count(*), count(total_tokens), sum(input_tokens),"
	" sum(output_tokens), sum(total_tokens) FROM event GROUP BY 1, 2, 3, 4, 5;"
	"INSERT INTO hourly_verdict SELECT time_ns / 3600000000000, 0, coalesce(status, 0),"
	" coalesce(error_type, 0), count(*), count(total_tokens), sum(input_tokens), sum(output_tokens),"
	" sum(total_tokens) FROM event GROUP BY 1, 2, 3, 4;"
	"INSERT INTO hourly_user SELECT time_ns / 3600000000000, coalesce(request_user, 0),"
	" coalesce(status, 0), count(*), count(total_tokens), sum(input_tokens), sum(output_tokens),"
	" sum(total_tokens) FROM event GROUP BY 1, 2, 3;"
	"INSERT INTO daily SELECT source, model, outcome = (SELECT id FROM name WHERE text = 'success'),"
	" count(*), count(total_tokens), sum(input_tokens), sum(output_tokens), sum(total_tokens)"
	" FROM event GROUP BY 1, 2, 3; COMMIT; PRAGMA journal_mode=WAL";

static void send_one(struct store_scene *f, uint64_t i)
{
	struct event event = {.kind = SLICE("exchange"),
		.outcome = i % 20 ? SLICE("success") : SLICE("failure"),
		.operation = SLICE("chat"),
		.backend_name = i % 3 ? SLICE("east") : SLICE("west"),
		.response_model = i % 4 ? SLICE("m") : SLICE("n"),
		.status = event_number(i == 250 ? 451 : i % 20 ? 200 : 429),
		.error_type = i == 250 ? SLICE("rare") : i % 20 ? SLICE_NONE : SLICE("throttled"),
		.request_user = i % 100 ? SLICE_NONE : SLICE("u"),
		.input_tokens = event_number(i),
		.output_tokens = event_number(1),
		.total_tokens = event_number(i + 1),
		.timing_total = event_number(i * 1000),
		.input_messages = SLICE("[{\"role\":\"user\",\"content\":\"hi\"}]")};
	char ip[24];

	snprintf(ip, sizeof(ip), "10.0.%u.%u", (unsigned)(i % 7), (unsigned)(i % 50 + 1));
	assert_int_equal(address_parse(ip, &event.source_ip), 0);
	event.time_ns = BEGIN_NS + i * 80000;
	scene_send(f->store, i + 1, &event);
}

static int million_setup(void **state)
{
	struct store_scene *f;
	sqlite3 *database;
	char path[128];

	store_scene_setup(state);
	f = *state;
	for (uint64_t i = 0; i < 500; i++)
		send_one(f, i);
	scene_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	snprintf(path, sizeof(path), "%s/2023-11-15.db", f->path);
	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_exec(database, multiply, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(database));
	sqlite3_close(database);
	return 0;
}

static int see_event(void *context, const struct query_event *event)
{
	(void)event;
	++*(uint64_t *)context;
	return 0;
}

/* Steps that a page of events cost, in units of QUERY_STEPS. */
static void assert_page(
	struct query *query, struct query_filter filter, uint64_t expected, uint64_t most)
{
	struct why why = {""};
	uint64_t seen = 0;

	filter.kind = "exchange";
	query->looks = 0;
	if (query_events(query, &filter, 50, see_event, &seen, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(seen, expected);
	if (query->looks > most)
		fail_msg("error %s, user %s, status %lld, outcome %s, backend %s: %llu × %d steps",
			filter.error, filter.user, (long long)filter.status, filter.outcome,
			filter.backend, (unsigned long long)query->looks, QUERY_STEPS);
}

static void a_page_of_events_reads_a_page(void **state)
{
	struct store_scene *f = *state;
	struct why why = {""};
	struct query *query = query_open(f->path, &why);
	struct query_filter one = {.has_source = true};

	prefix_parse("10.0.3.11", &one.source);
	query_patience(query, 0);
	assert_page(query, (struct query_filter){0}, 50, 1);
	assert_page(query, one, 50, 1);
	assert_page(query, (struct query_filter){.status = 451}, 50, 1);
	assert_page(query, (struct query_filter){.error = "rare"}, 50, 1);
	assert_page(query, (struct query_filter){.user = "u"}, 50, 1);
	assert_page(query, (struct query_filter){.outcome = "failure"}, 50, 1);
	assert_page(query, (struct query_filter){.backend = "west", .model = "n"}, 50, 1);
	/* What is not there is not looked for. */
	assert_page(query, (struct query_filter){.status = 503}, 0, 1);
	assert_page(query, (struct query_filter){.status = 204}, 0, 1);
	assert_page(query, (struct query_filter){.model = "no such model"}, 0, 0);
	assert_page(query, (struct query_filter){.error = "no such error"}, 0, 0);
	assert_page(query, (struct query_filter){.error = "throttled", .status = 451}, 0, 1);
	query_close(query);
}

static int see_usage(void *context, const struct query_usage *usage)
{
	(void)usage;
	++*(uint64_t *)context;
	return 0;
}

static void counts_are_read_from_sums(void **state)
{
	static const char *const asked[][2] = {{"ip", "model"}, {"hour", "model"}, {"backend", "model"},
		{"user", "status"}, {"error", "status"}, {"day", "ip"}};
	struct store_scene *f = *state;
	const struct query_filter all = {0};
	struct query_usage total;
	uint64_t seen = 0, rows;
	struct why why = {""};
	struct query *query = query_open(f->path, &why);

	query_patience(query, 0);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		query->looks = 0;
		if (query_usage(query, asked[i], 2, &all, 20, see_usage, &seen, &total, &rows, &why) < 0)
			fail_msg("%s", why.text);
		assert_int_equal(total.calls, MILLION);
		if (query->looks > 4)
			fail_msg("%s,%s: %llu × %d steps", asked[i][0], asked[i][1],
				(unsigned long long)query->looks, QUERY_STEPS);
	}
	query_close(query);
}

/* Groups are held in memory, and that has an end, which is said. */
static void groups_without_number_are_refused(void **state)
{
	static const char *const by[] = {"minute", "ip", "model", "status", "error", "user"};
	struct store_scene *f = *state;
	const struct query_filter all = {0};
	struct query_usage total;
	uint64_t seen = 0, rows;
	struct why why = {""};
	struct query *query = query_open(f->path, &why);
	sqlite3_int64 before = sqlite3_hard_heap_limit64(16 << 20);

	query_patience(query, 0);
	assert_in_range(before, 1, INT64_MAX);
	assert_int_equal(
		query_usage(query, by, 6, &all, 20, see_usage, &seen, &total, &rows, &why), -EIO);
	assert_non_null(strstr(why.text, "more memory than"));
	assert_int_equal(
		query_usage(query, by + 1, 1, &all, 20, see_usage, &seen, &total, &rows, &why), 0);
	assert_int_equal(total.calls, MILLION);
	sqlite3_hard_heap_limit64(before);
	query_close(query);
}

/* The pages together are all of it, at the borders of hours as well. */
static void pages_follow_each_other(void **state)
{
	struct store_scene *f = *state;
	struct why why = {""};
	struct query *query = query_open(f->path, &why);
	struct query_filter rare = {.kind = "exchange", .error = "rare"};
	uint64_t seen = 0;

	query_patience(query, 0);
	assert_int_equal(query_events(query, &rare, 0, see_event, &seen, &why), 0);
	assert_int_equal(seen, 2000);
	rare.since_ns = BEGIN_NS + 3600000000000u;
	rare.until_ns = BEGIN_NS + 2 * 3600000000000u;
	seen = 0;
	assert_int_equal(query_events(query, &rare, 0, see_event, &seen, &why), 0);
	assert_in_range(seen, 80, 88);
	query_close(query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_of_events_reads_a_page),
		cmocka_unit_test(counts_are_read_from_sums),
		cmocka_unit_test(groups_without_number_are_refused),
		cmocka_unit_test(pages_follow_each_other),
	};

	return cmocka_run_group_tests(tests, million_setup, store_scene_teardown);
}
