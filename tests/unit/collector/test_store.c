// SPDX-License-Identifier: GPL-2.0-or-later
/* Events go in as the appliance makes them, and come out of the two queries of the architecture. */
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

#include "audit/event.h"
#include "audit/forward_client.h"
#include "audit/record.h"
#include "base/clock.h"
#include "collector/forward_server.h"
#include "collector/layout.h"
#include "collector/migrate.h"
#include "collector/query.h"
#include "collector/store.h"

/* 192.0.2.last, alone */
#define PREFIX(last)                                                                               \
	{                                                                                          \
		{{[10] = 0xff, 0xff, 192, 0, 2, last}}, 128                                        \
	}

struct fixture {
	char directory[64], path[80];
	struct store *store;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct why why;

	snprintf(f->directory, sizeof(f->directory), "/tmp/sallyport-store-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/events", f->directory);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	store_close(f->store);
	snprintf(command, sizeof(command), "rm -r %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static int add(void *context, const struct forward_entry *entry)
{
	struct why why;

	return store_add(context, entry, &why);
}

/* An event, sent as a chunk of its own; its place is the number. */
static void send_as(
	struct store *store, uint64_t sequence, const char *event_id, struct event *event)
{
	struct buf record = BUF_EMPTY, chunk = BUF_EMPTY;
	struct forward_chunk making;
	struct forward_id id = forward_id(1, 1, sequence, sequence + 1);
	struct slice acknowledged;

	if (!event->time_ns)
		event->time_ns = 1700000000000000000u + sequence;
	event->epoch = SLICE("00000000000000aa");
	event->stream = event_number(1);
	event->sequence = event_number(sequence);
	event->id = slice_of_string(event_id);
	assert_int_equal(event_encode(event, &record), 0);
	assert_int_equal(forward_chunk_begin(&making, SLICE("sallyport.exchange"), &chunk), 0);
	assert_int_equal(forward_chunk_add(&making, buf_slice(&record)), 0);
	assert_int_equal(forward_chunk_end(&making, &id), 0);
	assert_int_equal(forward_read(buf_slice(&chunk), add, store, &acknowledged), FORWARD_OK);
	assert_true(slice_equal(acknowledged, slice_of_string(id.text)));
	buf_free(&record);
	buf_free(&chunk);
}

static void send_one(struct store *store, uint64_t sequence, struct event *event)
{
	char event_id[40];

	snprintf(event_id, sizeof(event_id), "id-%llu", (unsigned long long)sequence);
	send_as(store, sequence, event_id, event);
}

static void send_event(struct store *store, uint64_t sequence, const char *ip, const char *model,
	uint64_t input, uint64_t output, const char *outcome)
{
	struct event event = {
		.kind = SLICE("exchange"),
		.outcome = slice_of_string(outcome),
		.operation = SLICE("chat"),
		.response_model = slice_of_string(model),
		.input_tokens = event_number(input),
		.output_tokens = event_number(output),
		.total_tokens = event_number(input + output),
		.input_messages = SLICE("[{\"role\":\"user\",\"content\":\"hi\"}]"),
		.output_messages = SLICE("[{\"role\":\"assistant\",\"content\":\"hello\"}]"),
	};

	assert_int_equal(address_parse(ip, &event.source_ip), 0);
	send_one(store, sequence, &event);
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
	send_one(store, sequence, &event);
}

static void commit(struct store *store)
{
	struct why why;

	assert_int_equal(store_commit(store, &why), 0);
}

struct seen {
	unsigned rows;
	char text[16384];
	size_t len;
};

static int see_usage(void *context, const struct query_usage *u)
{
	struct seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s %.*s %llu %llu %llu %llu %.1f\n", SLICE_ARG(u->by[0]), SLICE_ARG(u->by[1]),
		(unsigned long long)u->calls, (unsigned long long)u->input_tokens,
		(unsigned long long)u->output_tokens, (unsigned long long)u->total_tokens,
		u->average_total);
	return 0;
}

static int see_event(void *context, const struct query_event *e)
{
	struct seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s %.*s %llu %.*s\n", SLICE_ARG(e->source_ip), SLICE_ARG(e->model),
		(unsigned long long)e->input_tokens, SLICE_ARG(e->content[CONTENT_OUTPUT]));
	return 0;
}

static int see_conflict(void *context, const struct query_event *e)
{
	struct seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s%s\n", SLICE_ARG(e->model), e->conflict ? " conflict" : "");
	return 0;
}

static void usage_is_summed_by_address_and_model(void **state)
{
	static const char *const by[] = {"ip", "model"}, *const families[] = {
								 "family", "operation"};
	const struct query_filter filter = {.outcome = "success", .completions = true};
	struct fixture *f = *state;
	struct seen seen = {0}, other = {0};
	struct query_usage total;
	struct query *query;
	struct why why;
	uint64_t rows;

	send_event(f->store, 1, "192.0.2.1", "gpt-4o-2024-08-06", 10, 20, "success");
	send_event(f->store, 2, "192.0.2.1", "gpt-4o-2024-08-06", 1, 3, "success");
	send_event(f->store, 3, "2001:db8::1", "gpt-4o-2024-11-20", 5, 5, "success");
	send_event(f->store, 4, "192.0.2.1", "gpt-4o-2024-08-06", 100, 100, "failure");
	commit(f->store);
	query = query_open(f->path, &why);
	assert_non_null(query);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 0, see_usage, &seen, &total, &rows, &why), 0);
	assert_string_equal(seen.text, "192.0.2.1 gpt-4o-2024-08-06 2 11 23 34 17.0\n"
				       "2001:db8::1 gpt-4o-2024-11-20 1 5 5 10 10.0\n");
	assert_int_equal(
		query_usage(query, families, 2, &filter, 0, see_usage, &other, &total, &rows, &why),
		0);
	assert_string_equal(other.text, "gpt-4o chat 3 16 28 44 14.7\n");
	query_close(query);
}

static void events_come_newest_first(void **state)
{
	const struct query_filter filter = {.kind = "exchange"},
				  one = {.source = PREFIX(2), .has_source = true};
	struct fixture *f = *state;
	struct seen seen = {0}, other = {0};
	struct query *query;
	struct why why;

	send_event(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	send_event(f->store, 2, "192.0.2.2", "m", 2, 1, "success");
	commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &filter, 1, see_event, &seen, &why), 0);
	assert_string_equal(
		seen.text, "192.0.2.2 m 2 [{\"role\":\"assistant\",\"content\":\"hello\"}]\n");
	assert_int_equal(query_events(query, &one, 0, see_event, &other, &why), 0);
	assert_int_equal(other.rows, 1);
	query_close(query);
}

static void kinds_are_told_apart(void **state)
{
	static const char *const by[] = {"ip", "model"};
	const struct query_filter calls = {.kind = "exchange"}, all = {0},
				  summaries = {.kind = "source.summary"};
	struct fixture *f = *state;
	struct seen seen[5] = {0};
	struct query_usage total;
	uint64_t rows;
	struct query *query;
	struct why why;

	send_event(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	send_summary(f->store, 2, "gate", "192.0.2.1", 10, 20);
	send_summary(f->store, 3, "gate", "192.0.2.2", 10, 20);
	commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &calls, 0, see_event, &seen[0], &why), 0);
	assert_int_equal(query_events(query, &all, 0, see_event, &seen[1], &why), 0);
	assert_int_equal(query_events(query, &summaries, 0, see_event, &seen[2], &why), 0);
	assert_int_equal(query_follow_begin(query, 1, &why), 0);
	assert_int_equal(query_follow(query, &summaries, 0, see_event, &seen[3], &why), 0);
	assert_int_equal(
		query_usage(query, by, 2, &calls, 0, see_usage, &seen[4], &total, &rows, &why), 0);
	assert_int_equal(seen[0].rows, 1);
	assert_int_equal(seen[1].rows, 3);
	assert_int_equal(seen[2].rows, 2);
	assert_int_equal(seen[3].rows, 1);
	assert_string_equal(seen[4].text, "192.0.2.1 m 1 1 1 2 2.0\n");
	query_close(query);
}

static int see_source(void *context, const struct query_source *s)
{
	struct seen *seen = context;

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
	struct fixture *f = *state;
	struct seen seen = {0}, of_one = {0}, early = {0}, first = {0};
	struct query *query;
	struct why why;

	send_summary(f->store, 1, "gate", "192.0.2.1", 10, 5);
	send_summary(f->store, 2, "gate", "192.0.2.2", 100, 1);
	send_summary(f->store, 3, "gate", "192.0.2.1", 11, 600);
	send_summary(f->store, 4, "door", "192.0.2.1", 7, 0);
	send_event(f->store, 5, "192.0.2.3", "m", 1, 1, "success");
	commit(f->store);
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

static void a_resent_event_is_stored_once(void **state)
{
	struct fixture *f = *state;

	send_event(f->store, 7, "192.0.2.1", "m", 1, 1, "success");
	send_event(f->store, 7, "192.0.2.1", "m", 1, 1, "success");
	commit(f->store);
	send_event(f->store, 7, "192.0.2.1", "m", 1, 1, "success");
	commit(f->store);
	assert_int_equal(store_added(f->store), 1);
	assert_int_equal(store_duplicates(f->store), 2);
}

/* An event of a compromised process must not make another's go away. */
static void events_of_one_identity_are_all_stored(void **state)
{
	const struct query_filter filter = {0};
	struct fixture *f = *state;
	struct event forged = {.kind = SLICE("exchange"), .response_model = SLICE("forged")};
	struct seen seen = {0};
	struct query *query;
	struct why why;

	send_event(f->store, 7, "192.0.2.1", "true", 1, 1, "success");
	/* the same id and place with another content, twice */
	send_one(f->store, 7, &forged);
	send_one(f->store, 7, &forged);
	/* the same place under another id, twice */
	send_as(f->store, 7, "another", &forged);
	send_as(f->store, 7, "another", &forged);
	commit(f->store);
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
	struct fixture *f = *state;
	struct seen seen = {0};
	struct query *query;
	struct why why;

	send_event(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	store_rollback(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &filter, 0, see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 0);
	query_close(query);
}

static void a_store_that_others_may_read_is_refused(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
	struct store *other = NULL;
	struct why why;

	assert_int_equal(store_open(f->path, &other, &why), -EBUSY);
	assert_non_null(strstr(why.text, "another collector"));
}

/* ---- days ---- */

#define DAY_NS 86400000000000ull

/* One event at a time, whose model tells the number. */
static void send_at(struct store *store, uint64_t number, uint64_t time_ns)
{
	struct event event = {.kind = SLICE("exchange"), .observer = SLICE("gate")};
	char model[32];

	snprintf(model, sizeof(model), "m%llu", (unsigned long long)number);
	event.response_model = slice_of_string(model);
	event.input_tokens = event_number(number);
	event.time_ns = time_ns;
	send_one(store, number, &event);
}

static void days_are_files_and_events_come_in_order(void **state)
{
	const struct query_filter all = {0}, middle = {.since_ns = 1700000000000000000u + DAY_NS,
						     .until_ns = 1700000000000000000u + 2 * DAY_NS};
	struct fixture *f = *state;
	struct seen seen = {0}, some = {0}, followed = {0}, later = {0};
	struct query *query;
	char path[128];
	struct why why;

	for (uint64_t i = 0; i < 6; i++)
		send_at(f->store, i + 1, 1700000000000000000u + (5 - i) * DAY_NS);
	commit(f->store);
	snprintf(path, sizeof(path), "%s/2023-11-19.db", f->path);
	assert_int_equal(access(path, F_OK), 0);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 4, see_event, &seen, &why), 0);
	assert_string_equal(seen.text, " m1 1 \n m2 2 \n m3 3 \n m4 4 \n");
	assert_int_equal(query_events(query, &middle, 0, see_event, &some, &why), 0);
	assert_string_equal(some.text, " m5 5 \n");
	/* Whatever day an event is of, who follows sees it once. */
	assert_int_equal(query_follow_begin(query, 0, &why), 0);
	assert_int_equal(query_follow(query, &all, 0, see_event, &followed, &why), 0);
	assert_int_equal(followed.rows, 0);
	send_at(f->store, 7, 1700000000000000000u + 5 * DAY_NS);
	send_at(f->store, 8, 1700000000000000000u);
	send_at(f->store, 9, 1700000000000000000u + 9 * DAY_NS);
	commit(f->store);
	assert_int_equal(query_follow(query, &all, 0, see_event, &followed, &why), 0);
	assert_string_equal(followed.text, " m8 8 \n m7 7 \n m9 9 \n");
	assert_int_equal(query_follow(query, &all, 0, see_event, &later, &why), 0);
	assert_int_equal(later.rows, 0);
	query_close(query);
}

static void a_wrong_clock_makes_no_file(void **state)
{
	struct fixture *f = *state;
	int32_t *days;
	size_t n;

	send_at(f->store, 1, 1);
	send_at(f->store, 2, UINT32_MAX * 1000000000ull);
	commit(f->store);
	assert_int_equal(layout_days(f->path, &days, &n), 0);
	/* today, and on the edge of midnight the next one */
	assert_in_range(n, 1, 2);
	assert_in_range((int64_t)(clock_realtime_ns() / DAY_NS) - days[0], 0, 1);
	free(days);
	/* Sent again it is known, but for one that came on the other side of midnight. */
	send_at(f->store, 1, 1);
	commit(f->store);
	assert_int_equal(store_conflicts(f->store), 0);
	assert_true(store_duplicates(f->store) == 1 || store_added(f->store) == 3);
}

static void old_days_are_removed(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_realtime_ns();
	int32_t *days;
	size_t n;

	send_at(f->store, 1, now - 40 * DAY_NS);
	send_at(f->store, 2, now - 20 * DAY_NS);
	commit(f->store);
	store_retain(f->store, 0);
	assert_int_equal(layout_days(f->path, &days, &n), 0);
	assert_int_equal(n, 2);
	free(days);
	store_retain(f->store, 30);
	assert_int_equal(layout_days(f->path, &days, &n), 0);
	assert_int_equal(n, 1);
	free(days);
	send_at(f->store, 3, now - 20 * DAY_NS);
	commit(f->store);
	assert_int_equal(store_added(f->store), 3);
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
static int kept_aside(struct fixture *f)
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
	struct fixture *f = *state;
	struct seen seen = {0};
	struct query *query;
	char path[128];
	struct why why;
	FILE *file;

	send_at(f->store, 1, 1700000000000000000u);
	commit(f->store);
	snprintf(path, sizeof(path), "%s/2023-11-20.db", f->path);
	file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("no database ", file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, see_event, &seen, &why), -EIO);
	assert_non_null(strstr(why.text, "2023-11-20.db"));
	query_close(query);
	/* The collector goes on with the others. */
	store_close(f->store);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	send_at(f->store, 2, 1700000000000000000u);
	commit(f->store);
	/* An event of that day does not stop it: sent again, it is in a new file. */
	assert_int_equal(try_at(f->store, 3, 1700000000000000000u + 6 * DAY_NS), FORWARD_REFUSED);
	send_at(f->store, 3, 1700000000000000000u + 6 * DAY_NS);
	commit(f->store);
	query = query_open(f->path, &why);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(query_events(query, &all, 0, see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 3);
	query_close(query);
	assert_int_equal(kept_aside(f), 1);
}

/* ---- content ---- */

static long long ask(struct fixture *f, const char *sql)
{
	sqlite3 *database;
	sqlite3_stmt *statement;
	long long number = -1;
	char path[128];

	snprintf(path, sizeof(path), "%s/2023-11-14.db", f->path);
	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return number;
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
	struct fixture *f = *state;
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
		send_one(f->store, i, &event);
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
	commit(f->store);
	assert_int_equal(ask(f, "SELECT count(*) FROM block"), 50 + 2);
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
	struct fixture *f = *state;
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
		event.time_ns = 1700000000000000000u + (i > 1200 ? DAY_NS : 0) + i;
		send_one(f->store, i, &event);
		if (i % 100 == 0)
			commit(f->store);
	}
	assert_int_equal(ask(f, "SELECT count(*) FROM dictionary WHERE learned = 1"), 2);
	assert_int_equal(
		ask(f, "SELECT count(*) FROM event WHERE id > 1100 AND length(record) > 150"), 0);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &all, 0, see_content, &shown, &why), 0);
	assert_non_null(memmem(buf_slice(&shown).data, buf_len(&shown), "question 1300 about", 19));
	assert_non_null(memmem(buf_slice(&shown).data, buf_len(&shown), "question 1 about", 16));
	query_close(query);
	buf_free(&shown);
}

/* ---- sums ---- */

static void send_random(struct store *store, uint64_t number, unsigned random)
{
	static const char *const models[] = {"gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "o3"};
	static const char *const operations[] = {"chat", "embeddings", "text_completion"};
	static const char *const ips[] = {"192.0.2.1", "192.0.2.9", "2001:db8::1"};
	static const char *const users[] = {"ada", "joan", "edsger"};
	static const char *const errors[] = {"content.card", "limit.tokens"};
	struct event event = {.kind = SLICE("exchange"),
		.observer = SLICE("gate"),
		.response_model = slice_of_string(models[random % 3]),
		.operation = slice_of_string(operations[random / 3 % 3]),
		.outcome = random / 9 % 4 ? SLICE("success") : SLICE("failure"),
		.action = random / 5 % 3 ? SLICE("allow") : SLICE("deny"),
		.error_type = random / 5 % 3 ? SLICE_NONE : slice_of_string(errors[random % 2]),
		.request_user = random % 11 ? slice_of_string(users[random / 7 % 3]) : SLICE_NONE,
		.tls_server_name = SLICE("h"),
		.time_ns = 1700000000000000000u + (uint64_t)(random / 36 % 4000) * (DAY_NS / 1000)};

	if (random % 7) {
		event.input_tokens = event_number(random % 1000);
		event.total_tokens = event_number(random % 1000);
	}
	if (random % 5)
		event.status = event_number(random % 2 ? 200 : 403);
	assert_int_equal(address_parse(ips[random / 144000 % 3], &event.source_ip), 0);
	send_one(store, number, &event);
}

static void ask_usage(
	struct query *query, const char *const *by, struct query_filter filter, struct seen *seen)
{
	struct query_usage total;
	uint64_t rows;
	struct why why = {""};

	memset(seen, 0, sizeof(*seen));
	if (query_usage(query, by, 2, &filter, 0, see_usage, seen, &total, &rows, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(rows, seen->rows);
	assert_true(seen->rows > 0);
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%llu calls, %llu tokens", (unsigned long long)total.calls,
		(unsigned long long)total.total_tokens);
}

/* With filters that some sums know. */
static void sums_agree_filtered(struct query *query)
{
	static const char *const by_verdict[] = {"action", "error"}, *const by_user[] = {"user", "status"},
				 *const by_model[] = {"model", "day"};
	const struct query_filter filters[] = {{.action = "deny"}, {.error = "limit.tokens"},
		{.status = 403}, {.user = "ada"}, {.status = 403, .user = "joan"},
		{.action = "allow", .status = 200}, {.operation = "chat"}, {.outcome = "failure"}};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *const *const asked[] = {by_verdict, by_user, by_model};

		for (size_t j = 0; j < 3; j++) {
			struct query_filter rows = filters[i];
			struct seen by_sums, by_rows;

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
				 *const by_user[] = {"user", "status"};
	static const uint64_t begin = 1700000000000000000u;
	static const uint64_t times[][2] = {{0, 0},
		{begin + DAY_NS / 3, begin + 2 * DAY_NS + 12345}, {begin + DAY_NS, 0},
		{begin + 3600000000000u, begin + 3 * 3600000000000u}};
	struct fixture *f = *state;
	struct query *query;
	unsigned random = 1;
	struct why why;

	for (uint64_t i = 1; i <= 600; i++) {
		random = random * 1103515245u + 12345u;
		send_random(f->store, i, random >> 8);
	}
	commit(f->store);
	query = query_open(f->path, &why);
	for (size_t i = 0; i < 4; i++)
		for (int completions = 0; completions < 2; completions++) {
			struct query_filter sums = {.since_ns = times[i][0],
				.until_ns = times[i][1],
				.completions = completions,
				.outcome = completions ? "success" : NULL};
			struct query_filter rows = sums;
			struct seen by_sums, by_rows;
			const char *const *const asked[] = {
				by_hour, by_day, by_time, by_verdict, by_status, by_user};

			/* No sums know the host, which all of them called. */
			rows.host = "h";
			for (size_t j = 0; j < 6; j++) {
				ask_usage(query, asked[j], sums, &by_sums);
				ask_usage(query, asked[j], rows, &by_rows);
				assert_string_equal(by_sums.text, by_rows.text);
			}
		}
	sums_agree_filtered(query);
	query_close(query);
}

static void exec(struct fixture *f, const char *sql)
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
	struct fixture *f = *state;
	struct query_filter all = {0};
	struct seen users[3], verdicts[3];
	struct query *query;
	unsigned random = 1;
	struct why why;

	for (uint64_t i = 1; i <= 300; i++) {
		random = random * 1103515245u + 12345u;
		send_random(f->store, i, random >> 8);
	}
	commit(f->store);
	query = query_open(f->path, &why);
	ask_usage(query, by_user, all, &users[0]);
	ask_usage(query, by_verdict, all, &verdicts[0]);
	store_close(f->store);
	exec(f, "DROP TABLE hourly_user; DROP TABLE hourly_verdict");
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
	commit(f->store);
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

static void who_was_denied_and_why(void **state)
{
	static const char *const by[] = {"ip", "error"};
	const struct query_filter denied = {.action = "deny"}, why_not = {.error = "too_large"};
	struct fixture *f = *state;
	struct seen seen;
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
		send_one(f->store, i, &event);
	}
	commit(f->store);
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
	struct fixture *f = *state;
	struct seen seen = {0};
	struct query_usage total;
	struct query *query;
	struct why why;
	uint64_t rows;

	for (uint64_t i = 1; i <= 5; i++)
		send_at(f->store, i, 1700000000000000000u);
	commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 2, see_usage, &seen, &total, &rows, &why), 0);
	assert_int_equal(seen.rows, 2);
	assert_int_equal(rows, 5);
	assert_int_equal(total.calls, 5);
	assert_int_equal(total.input_tokens, 15);
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
	struct fixture *f = *state;
	struct checkpointing c = {0};
	struct query *query;
	char path[128];
	struct why why;

	for (uint64_t i = 1; i <= 450; i++)
		send_at(f->store, i, 1700000000000000000u);
	commit(f->store);
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
	struct fixture *f = *state;
	struct seen seen = {0};
	struct query_usage total;
	struct query *query;
	struct why why;
	uint64_t rows;

	for (uint64_t i = 1; i <= 3000; i++)
		send_at(f->store, i, 1700000000000000000u);
	commit(f->store);
	query = query_open(f->path, &why);
	query_patience(query, 1);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 0, see_usage, &seen, &total, &rows, &why), -EIO);
	assert_non_null(strstr(why.text, "--since"));
	query_patience(query, 0);
	assert_int_equal(
		query_usage(query, by, 2, &filter, 0, see_usage, &seen, &total, &rows, &why), 0);
	assert_int_equal(total.calls, 3000);
	query_close(query);
}

static void prefixes_hold_addresses(void **state)
{
	struct query_filter filter = {.has_source = true};
	struct fixture *f = *state;
	struct query *query;
	struct why why;
	static const struct {
		const char *prefix;
		unsigned rows;
	} cases[] = {{"192.0.2.0/24", 2}, {"192.0.2.1", 1}, {"192.0.2.2/31", 0}, {"0.0.0.0/0", 2},
		{"2001:db8::/32", 1}, {"2001:db9::/32", 0}};

	send_event(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	send_event(f->store, 2, "192.0.2.255", "m", 1, 1, "success");
	send_event(f->store, 3, "2001:db8:ffff::1", "m", 1, 1, "success");
	commit(f->store);
	query = query_open(f->path, &why);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = {0};

		assert_int_equal(prefix_parse(cases[i].prefix, &filter.source), 0);
		assert_int_equal(query_events(query, &filter, 0, see_event, &seen, &why), 0);
		if (seen.rows != cases[i].rows)
			fail_msg("%s: %u events", cases[i].prefix, seen.rows);
	}
	query_close(query);
}

/* ---- integrity ---- */

static void change(struct fixture *f, const char *sql)
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
	struct seen *seen = context;

	seen->len += (size_t)snprintf(
		seen->text + seen->len, sizeof(seen->text) - seen->len, "%s\n", what);
	return 0;
}

static int see_gap(void *context, const struct query_gap *gap)
{
	struct seen *seen = context;

	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%s %.*s %lld: %lld-%lld\n", gap->twice ? "twice" : "missing",
		SLICE_ARG(gap->observer), (long long)gap->stream, (long long)gap->first,
		(long long)gap->last);
	return 0;
}

static struct query_integrity verify(struct fixture *f, struct seen *seen)
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
	struct fixture *f = *state;
	struct query_integrity found;
	struct seen seen;

	for (uint64_t i = 1; i <= 9; i++)
		send_event(f->store, i, "192.0.2.1", "m", i, 1, "success");
	send_at(f->store, 10, 1700000000000000000u + DAY_NS);
	commit(f->store);
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
	struct fixture *f = *state;
	struct query_integrity found;
	struct seen seen;

	for (uint64_t i = 3; i <= 12; i++)
		send_at(f->store, i, 1700000000000000000u + (i > 8 ? DAY_NS : 0));
	/* of another day, so that it stands in nobody's place there */
	forged.time_ns = 1700000000000000000u + DAY_NS;
	send_as(f->store, 4, "another", &forged);
	forged.time_ns = 1700000000000000000u;
	send_as(f->store, 5, "yet another", &forged);
	commit(f->store);
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
	struct fixture *f = *state;
	struct seen seen = {0};
	struct query *query;
	struct stat status;
	char copy[128];
	struct why why = {""};
	uint64_t days;

	for (uint64_t i = 1; i <= 4; i++)
		send_event(f->store, i, "192.0.2.1", "m", i, 1, "success");
	send_at(f->store, 5, 1700000000000000000u + DAY_NS);
	commit(f->store);
	send_at(f->store, 6, 1700000000000000000u);
	query = query_open(f->path, &why);
	snprintf(copy, sizeof(copy), "%.60s/copy", f->directory);
	if (query_backup(query, copy, &days, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(days, 2);
	/* It replaces nothing. */
	assert_int_equal(query_backup(query, copy, &days, &why), -EEXIST);
	query_close(query);
	commit(f->store);
	memcpy(f->path, copy, sizeof(f->path));
	assert_int_equal(verify(f, &seen).events, 5);
	assert_int_equal(verify(f, &seen).damaged, 0);
	query = query_open(f->path, &why);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(query_events(query, &all, 0, see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 5);
	query_close(query);
	snprintf(copy, sizeof(copy), "%s/2023-11-14.db", f->path);
	assert_int_equal(stat(copy, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	/* A collector goes on with it. */
	store_close(f->store);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	send_event(f->store, 4, "192.0.2.1", "m", 4, 1, "success");
	send_at(f->store, 6, 1700000000000000000u);
	commit(f->store);
	assert_int_equal(store_added(f->store), 1);
	assert_int_equal(store_duplicates(f->store), 1);
}

/* ---- the older store ---- */

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
	sqlite3_bind_int64(insert, 2, (sqlite3_int64)(1700000000000000000u + number * DAY_NS));
	sqlite3_bind_blob(insert, 3, buf_slice(&record).data, (int)buf_len(&record), SQLITE_STATIC);
	assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
	sqlite3_finalize(insert);
	buf_free(&record);
}

static void an_older_store_is_taken_over(void **state)
{
	const struct query_filter all = {0};
	struct fixture *f = *state;
	struct seen seen = {0};
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
	assert_int_equal(query_events(query, &all, 0, see_event, &seen, &why), 0);
	assert_string_equal(seen.text, " old 2 \n old 1 \n");
	query_close(query);
	snprintf(path, sizeof(path), "%s.old.migrated", f->path);
	assert_int_equal(access(path, F_OK), 0);
	/* The next start has nothing to take over. */
	store_close(f->store);
	assert_int_equal(migrate_open(f->path, &f->store, &why), 0);
	assert_int_equal(store_added(f->store) + store_duplicates(f->store), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usage_is_summed_by_address_and_model),
		TEST(events_come_newest_first),
		TEST(kinds_are_told_apart),
		TEST(sources_are_told_as_they_were_last),
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
		TEST(sums_agree_with_rows),
		TEST(older_files_get_new_sums),
		TEST(who_was_denied_and_why),
		TEST(a_limit_keeps_the_totals),
		TEST(a_slow_reader_holds_no_view),
		TEST(a_question_has_an_end),
		TEST(prefixes_hold_addresses),
		TEST(what_was_changed_is_told),
		TEST(what_is_missing_is_told),
		TEST(a_backup_is_a_store),
		TEST(an_older_store_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
