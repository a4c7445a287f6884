// SPDX-License-Identifier: GPL-2.0-or-later
/* Sums of tokens: by columns, by filters, and by the tables that answer without rows. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "collector/layout.h"
#include "tests/support/store_scene.h"

static void usage_is_summed_by_address_and_model(void **state)
{
	static const char *const by[] = {"ip", "model"}, *const families[] = {
								 "family", "operation"};
	const struct query_filter filter = {.outcome = "success", .completions = true};
	struct store_scene *f = *state;
	struct scene_seen seen = {0}, other = {0};
	struct query_usage total;
	struct query *query;
	struct why why;
	uint64_t rows;

	scene_send_call(f->store, 1, "192.0.2.1", "gpt-4o-2024-08-06", 10, 20, "success");
	scene_send_call(f->store, 2, "192.0.2.1", "gpt-4o-2024-08-06", 1, 3, "success");
	scene_send_call(f->store, 3, "2001:db8::1", "gpt-4o-2024-11-20", 5, 5, "success");
	scene_send_call(f->store, 4, "192.0.2.1", "gpt-4o-2024-08-06", 100, 100, "failure");
	scene_commit(f->store);
	query = query_open(f->path, &why);
	assert_non_null(query);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 0, scene_see_usage, &seen, &total, &rows, &why), 0);
	assert_string_equal(seen.text, "192.0.2.1 gpt-4o-2024-08-06 2 11 23 34 17.0\n"
				       "2001:db8::1 gpt-4o-2024-11-20 1 5 5 10 10.0\n");
	assert_int_equal(
		query_usage(query, families, 2, &filter, 0, scene_see_usage, &other, &total, &rows, &why),
		0);
	assert_string_equal(other.text, "gpt-4o chat 3 16 28 44 14.7\n");
	query_close(query);
}

static void send_random(struct store *store, uint64_t number, unsigned random)
{
	static const char *const models[] = {"gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "o3"};
	static const char *const operations[] = {"chat", "embeddings", "text_completion"};
	static const char *const ips[] = {"192.0.2.1", "192.0.2.9", "2001:db8::1"};
	static const char *const users[] = {"ada", "joan", "edsger"};
	static const char *const subjects[] = {"team-a", "team-b", "team-c"};
	static const char *const errors[] = {"content.card", "limit.tokens"};
	struct event event = {.kind = SLICE("exchange"),
		.observer = SLICE("gate"),
		.response_model = slice_of_string(models[random % 3]),
		.operation = slice_of_string(operations[random / 3 % 3]),
		.outcome = random / 9 % 4 ? SLICE("success") : SLICE("failure"),
		.action = random / 5 % 3 ? SLICE("allow") : SLICE("deny"),
		.error_type = random / 5 % 3 ? SLICE_NONE : slice_of_string(errors[random % 2]),
		.request_user = random % 11 ? slice_of_string(users[random / 7 % 3]) : SLICE_NONE,
		.subject_name = random / 3 % 5 ? slice_of_string(subjects[random / 13 % 3]) : SLICE_NONE,
		.azure_deployment = slice_of_string(models[random / 11 % 3]),
		.response_service_tier = random / 17 % 3 ? SLICE("default") : SLICE("priority"),
		.attempts = event_number(1 + (random / 19 % 6 == 0)),
		.tls_server_name = SLICE("h"),
		.time_ns = 1700000000000000000u + (uint64_t)(random / 36 % 4000) * (SCENE_DAY_NS / 1000)};

	if (random % 7) {
		event.input_tokens = event_number(random % 1000);
		event.total_tokens = event_number(random % 1000);
	}
	if (random % 5)
		event.status = event_number(random % 2 ? 200 : 403);
	assert_int_equal(address_parse(ips[random / 144000 % 3], &event.source_ip), 0);
	scene_send(store, number, &event);
}

static void ask_usage(
	struct query *query, const char *const *by, struct query_filter filter, struct scene_seen *seen)
{
	struct query_usage total;
	uint64_t rows;
	struct why why = {""};

	memset(seen, 0, sizeof(*seen));
	if (query_usage(query, by, 2, &filter, 0, scene_see_usage, seen, &total, &rows, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(rows, seen->rows);
	assert_true(seen->rows > 0);
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%llu calls, %llu tokens", (unsigned long long)total.calls,
		(unsigned long long)total.total_tokens);
}

static int count_event(void *context, const struct query_event *event)
{
	(void)event;
	++*(uint64_t *)context;
	return 0;
}

/* The hours that are read are those that have what is asked for. */
static void assert_lists_what_it_counts(struct query *query, struct query_filter filter)
{
	static const char *const by[] = {"host", "day"};
	struct query_usage total;
	struct scene_seen seen = {0};
	uint64_t listed = 0, rows;
	struct why why = {""};

	if (query_usage(query, by, 2, &filter, 0, scene_see_usage, &seen, &total, &rows, &why) < 0)
		fail_msg("%s", why.text);
	filter.kind = "exchange";
	if (query_events(query, &filter, 0, count_event, &listed, &why) < 0)
		fail_msg("%s", why.text);
	assert_true(listed > 0);
	assert_int_equal(listed, total.calls);
}

/* With filters that some sums know. */
static void sums_agree_filtered(struct query *query)
{
	static const char *const by_verdict[] = {"action", "error"}, *const by_user[] = {"user", "status"},
				 *const by_model[] = {"model", "day"},
				 *const by_subject[] = {"subject", "tier"};
	const struct query_filter filters[] = {{.action = "deny"}, {.error = "limit.tokens"},
		{.status = 403}, {.user = "ada"}, {.status = 403, .user = "joan"},
		{.action = "allow", .status = 200}, {.operation = "chat"}, {.outcome = "failure"},
		{.subject = "team-a"}, {.subject = "team-b", .status = 403}, {.attempts = 2},
		{.attempts = 2, .subject = "team-c"}};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *const *const asked[] = {by_verdict, by_user, by_model, by_subject};

		assert_lists_what_it_counts(query, filters[i]);
		for (size_t j = 0; j < 4; j++) {
			struct query_filter rows = filters[i];
			struct scene_seen by_sums, by_rows;

			rows.host = "h";
			ask_usage(query, asked[j], filters[i], &by_sums);
			ask_usage(query, asked[j], rows, &by_rows);
			assert_string_equal(by_sums.text, by_rows.text);
		}
	}
}

/* Sums answer as the rows do, which are asked by a condition that says nothing new. */
static void sums_agree_with_rows(void **state)
{
	static const char *const by_hour[] = {"model", "operation"},
				 *const by_day[] = {"ip", "family"},
				 *const by_time[] = {"day", "model"},
				 *const by_verdict[] = {"action", "error"},
				 *const by_status[] = {"status", "day"},
				 *const by_user[] = {"user", "status"},
				 *const by_subject[] = {"subject", "model"},
				 *const by_tier[] = {"deployment", "tier"},
				 *const by_source[] = {"ip", "hour"};
	static const uint64_t begin = 1700000000000000000u;
	static const uint64_t times[][2] = {{0, 0},
		{begin + SCENE_DAY_NS / 3, begin + 2 * SCENE_DAY_NS + 12345}, {begin + SCENE_DAY_NS, 0},
		{begin + 3600000000000u, begin + 3 * 3600000000000u}};
	struct store_scene *f = *state;
	struct query *query;
	unsigned random = 1;
	struct why why;

	for (uint64_t i = 1; i <= 600; i++) {
		random = random * 1103515245u + 12345u;
		send_random(f->store, i, random >> 8);
	}
	scene_commit(f->store);
	query = query_open(f->path, &why);
	for (size_t i = 0; i < 4; i++)
		for (int completions = 0; completions < 2; completions++) {
			struct query_filter sums = {.since_ns = times[i][0],
				.until_ns = times[i][1],
				.completions = completions,
				.outcome = completions ? "success" : NULL};
			struct query_filter rows = sums;
			struct scene_seen by_sums, by_rows;
			const char *const *const asked[] = {
				by_hour, by_day, by_time, by_verdict, by_status, by_user,
				by_subject, by_tier, by_source};

			/* No sums know the host, which all of them called. */
			rows.host = "h";
			for (size_t j = 0; j < 9; j++) {
				ask_usage(query, asked[j], sums, &by_sums);
				ask_usage(query, asked[j], rows, &by_rows);
				assert_string_equal(by_sums.text, by_rows.text);
			}
		}
	sums_agree_filtered(query);
	query_close(query);
}

static void exec(struct store_scene *f, const char *sql)
{
	for (int day = 0; day < 5; day++) {
		char path[160];
		sqlite3 *database;

		snprintf(path, sizeof(path), "%s/%s", f->path,
			layout_day_name((int32_t)(1700000000 / 86400 + day)).text);
		if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
			sqlite3_exec(database, sql, NULL, NULL, NULL);
		sqlite3_close(database);
	}
}

/* A file of before there were sums by verdict and by user: its rows answer, and when it is written to
 * again it gets them, with what it has. */
static void older_files_get_new_sums(void **state)
{
	static const char *const by_user[] = {"user", "status"}, *const by_verdict[] = {"action", "error"};
	struct store_scene *f = *state;
	struct query_filter all = {0};
	struct scene_seen users[3], verdicts[3];
	struct query *query;
	unsigned random = 1;
	struct why why;

	for (uint64_t i = 1; i <= 300; i++) {
		random = random * 1103515245u + 12345u;
		send_random(f->store, i, random >> 8);
	}
	scene_commit(f->store);
	query = query_open(f->path, &why);
	ask_usage(query, by_user, all, &users[0]);
	ask_usage(query, by_verdict, all, &verdicts[0]);
	store_close(f->store);
	exec(f, "DROP TABLE hourly_user; DROP TABLE hourly_verdict; DROP TABLE hourly_source");
	ask_usage(query, by_user, all, &users[1]);
	ask_usage(query, by_verdict, all, &verdicts[1]);
	assert_string_equal(users[0].text, users[1].text);
	assert_string_equal(verdicts[0].text, verdicts[1].text);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	random = 1;
	for (uint64_t i = 1; i <= 300; i++) { /* the same again: no event is new */
		random = random * 1103515245u + 12345u;
		send_random(f->store, i, random >> 8);
	}
	scene_commit(f->store);
	/* It is the sums that answer: what is put into them shows. */
	ask_usage(query, by_user, all, &users[2]);
	ask_usage(query, by_verdict, all, &verdicts[2]);
	assert_string_equal(users[0].text, users[2].text);
	assert_string_equal(verdicts[0].text, verdicts[2].text);
	exec(f, "UPDATE hourly_user SET calls = calls + 1");
	ask_usage(query, by_user, all, &users[2]);
	assert_string_not_equal(users[0].text, users[2].text);
	query_close(query);
}

/* Of before there were columns for them: what is stored from now on has them. */
static void older_files_get_new_columns(void **state)
{
	static const char *const by[] = {"subject", "tier"};
	const struct query_filter all = {0}, again = {.attempts = 2};
	struct store_scene *f = *state;
	struct scene_seen seen;
	struct query *query;
	unsigned random = 1;
	struct why why = {""};

	for (uint64_t i = 1; i <= 150; i++) {
		if (i == 101) {
			scene_commit(f->store);
			store_close(f->store);
			exec(f, "DROP TABLE hourly_subject; DROP INDEX event_subject;"
				"DROP INDEX event_again; ALTER TABLE event DROP COLUMN subject;"
				"ALTER TABLE event DROP COLUMN tier;"
				"ALTER TABLE event DROP COLUMN attempts");
			if (store_open(f->path, &f->store, &why) < 0)
				fail_msg("%s", why.text);
		}
		random = random * 1103515245u + 12345u;
		send_random(f->store, i, random >> 8);
	}
	scene_commit(f->store);
	query = query_open(f->path, &why);
	ask_usage(query, by, all, &seen);
	assert_non_null(strstr(seen.text, "150 calls"));
	assert_non_null(strstr(seen.text, "team-a default"));
	ask_usage(query, by, again, &seen);
	query_close(query);
}

static void who_was_denied_and_why(void **state)
{
	static const char *const by[] = {"ip", "error"};
	const struct query_filter denied = {.action = "deny"}, why_not = {.error = "too_large"};
	struct store_scene *f = *state;
	struct scene_seen seen;
	struct query *query;
	struct why why;

	for (uint64_t i = 1; i <= 6; i++) {
		struct event event = {.kind = SLICE("exchange"),
			.action = i % 2 ? SLICE("deny") : SLICE("allow"),
			.error_type = i == 3  ? SLICE("too_large")
				      : i % 2 ? SLICE("model")
					      : SLICE("")};

		assert_int_equal(
			address_parse(i < 5 ? "192.0.2.1" : "192.0.2.2", &event.source_ip), 0);
		scene_send(f->store, i, &event);
	}
	scene_commit(f->store);
	query = query_open(f->path, &why);
	ask_usage(query, by, denied, &seen);
	assert_string_equal(seen.text,
		"192.0.2.1 model 1 0 0 0 0.0\n192.0.2.1 too_large 1 0 0 0 0.0\n"
		"192.0.2.2 model 1 0 0 0 0.0\n3 calls, 0 tokens");
	ask_usage(query, by, why_not, &seen);
	assert_string_equal(seen.text, "192.0.2.1 too_large 1 0 0 0 0.0\n1 calls, 0 tokens");
	query_close(query);
}

static void a_limit_keeps_the_totals(void **state)
{
	static const char *const by[] = {"model", "ip"};
	const struct query_filter filter = {0};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query_usage total;
	struct query *query;
	struct why why;
	uint64_t rows;

	for (uint64_t i = 1; i <= 5; i++)
		scene_send_at(f->store, i, 1700000000000000000u);
	scene_commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 2, scene_see_usage, &seen, &total, &rows, &why), 0);
	assert_int_equal(seen.rows, 2);
	assert_int_equal(rows, 5);
	assert_int_equal(total.calls, 5);
	assert_int_equal(total.input_tokens, 15);
	query_close(query);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usage_is_summed_by_address_and_model),
		TEST(sums_agree_with_rows),
		TEST(older_files_get_new_sums),
		TEST(older_files_get_new_columns),
		TEST(who_was_denied_and_why),
		TEST(a_limit_keeps_the_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
