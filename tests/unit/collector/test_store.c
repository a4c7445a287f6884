// SPDX-License-Identifier: GPL-2.0-or-later
/* Events go in as the appliance makes them, and come out of the two queries of the architecture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/event.h"
#include "audit/forward_client.h"
#include "collector/forward_server.h"
#include "collector/query.h"
#include "collector/store.h"

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
	snprintf(f->path, sizeof(f->path), "%s/events.db", f->directory);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct fixture *f = *state;
	char path[96];

	store_close(f->store);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	rmdir(f->directory);
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
	char text[512];
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
		(unsigned long long)e->input_tokens, SLICE_ARG(e->output_messages));
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
	struct query *query;
	struct why why;

	send_event(f->store, 1, "192.0.2.1", "gpt-4o-2024-08-06", 10, 20, "success");
	send_event(f->store, 2, "192.0.2.1", "gpt-4o-2024-08-06", 1, 3, "success");
	send_event(f->store, 3, "2001:db8::1", "gpt-4o-2024-11-20", 5, 5, "success");
	send_event(f->store, 4, "192.0.2.1", "gpt-4o-2024-08-06", 100, 100, "failure");
	commit(f->store);
	query = query_open(f->path, &why);
	assert_non_null(query);
	assert_int_equal(query_usage(query, by, 2, &filter, see_usage, &seen, &why), 0);
	assert_string_equal(seen.text, "192.0.2.1 gpt-4o-2024-08-06 2 11 23 34 17.0\n"
				       "2001:db8::1 gpt-4o-2024-11-20 1 5 5 10 10.0\n");
	assert_int_equal(query_usage(query, families, 2, &filter, see_usage, &other, &why), 0);
	assert_string_equal(other.text, "gpt-4o chat 3 16 28 44 14.7\n");
	query_close(query);
}

static void events_come_newest_first(void **state)
{
	const struct query_filter filter = {.kind = "exchange"}, one = {.source_ip = "192.0.2.2"};
	struct fixture *f = *state;
	struct seen seen = {0}, other = {0};
	struct query *query;
	struct why why;

	send_event(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	send_event(f->store, 2, "192.0.2.2", "m", 2, 1, "success");
	commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &filter, 1, false, see_event, &seen, &why), 0);
	assert_string_equal(
		seen.text, "192.0.2.2 m 2 [{\"role\":\"assistant\",\"content\":\"hello\"}]\n");
	assert_int_equal(query_events(query, &one, 0, false, see_event, &other, &why), 0);
	assert_int_equal(other.rows, 1);
	query_close(query);
}

static void kinds_are_told_apart(void **state)
{
	static const char *const by[] = {"ip", "model"};
	const struct query_filter calls = {.kind = "exchange"}, all = {0},
				  summaries = {.kind = "source.summary"},
				  since = {.kind = "source.summary", .after_id = 2};
	struct fixture *f = *state;
	struct seen seen[5] = {0};
	struct query *query;
	struct why why;

	send_event(f->store, 1, "192.0.2.1", "m", 1, 1, "success");
	send_summary(f->store, 2, "gate", "192.0.2.1", 10, 20);
	send_summary(f->store, 3, "gate", "192.0.2.2", 10, 20);
	commit(f->store);
	query = query_open(f->path, &why);
	assert_int_equal(query_events(query, &calls, 0, false, see_event, &seen[0], &why), 0);
	assert_int_equal(query_events(query, &all, 0, false, see_event, &seen[1], &why), 0);
	assert_int_equal(query_events(query, &summaries, 0, false, see_event, &seen[2], &why), 0);
	assert_int_equal(query_events(query, &since, 0, true, see_event, &seen[3], &why), 0);
	assert_int_equal(query_usage(query, by, 2, &calls, see_usage, &seen[4], &why), 0);
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
	const struct query_filter all = {0}, one = {.source_ip = "192.0.2.1"},
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
	assert_int_equal(query_events(query, &filter, 0, true, see_conflict, &seen, &why), 0);
	assert_string_equal(seen.text, "true\nforged conflict\nforged conflict\n");
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
	assert_int_equal(query_events(query, &filter, 0, true, see_event, &seen, &why), 0);
	assert_int_equal(seen.rows, 0);
	query_close(query);
}

static void a_store_that_others_may_read_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;
	struct why why;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(chmod(f->path, 0644), 0);
	assert_int_equal(store_open(f->path, &store, &why), -EPERM);
	assert_non_null(strstr(why.text, "0600"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			usage_is_summed_by_address_and_model, set_up, tear_down),
		cmocka_unit_test_setup_teardown(events_come_newest_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kinds_are_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			sources_are_told_as_they_were_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_resent_event_is_stored_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			events_of_one_identity_are_all_stored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_not_committed_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_store_that_others_may_read_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
