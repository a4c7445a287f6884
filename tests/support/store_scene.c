// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/store_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/forward_client.h"
#include "audit/record.h"
#include "collector/forward_server.h"

int store_scene_setup(void **state)
{
	struct store_scene *f = calloc(1, sizeof(*f));
	struct why why;

	snprintf(f->directory, sizeof(f->directory), "/tmp/sallyport-store-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/events", f->directory);
	assert_int_equal(store_open(f->path, &f->store, &why), 0);
	*state = f;
	return 0;
}

int store_scene_teardown(void **state)
{
	struct store_scene *f = *state;
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

void scene_send_as(
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

void scene_send(struct store *store, uint64_t sequence, struct event *event)
{
	char event_id[40];

	snprintf(event_id, sizeof(event_id), "id-%llu", (unsigned long long)sequence);
	scene_send_as(store, sequence, event_id, event);
}

void scene_send_call(struct store *store, uint64_t sequence, const char *ip, const char *model,
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
	scene_send(store, sequence, &event);
}

void scene_send_at(struct store *store, uint64_t number, uint64_t time_ns)
{
	struct event event = {.kind = SLICE("exchange"), .observer = SLICE("gate")};
	char model[32];

	snprintf(model, sizeof(model), "m%llu", (unsigned long long)number);
	event.response_model = slice_of_string(model);
	event.input_tokens = event_number(number);
	event.time_ns = time_ns;
	scene_send(store, number, &event);
}

void scene_commit(struct store *store)
{
	struct why why;

	assert_int_equal(store_commit(store, &why), 0);
}

int scene_see_usage(void *context, const struct query_usage *u)
{
	struct scene_seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s %.*s %llu %llu %llu %llu %.1f\n", SLICE_ARG(u->by[0]), SLICE_ARG(u->by[1]),
		(unsigned long long)u->calls, (unsigned long long)u->input_tokens,
		(unsigned long long)u->output_tokens, (unsigned long long)u->total_tokens,
		u->average_total);
	return 0;
}

int scene_see_event(void *context, const struct query_event *e)
{
	struct scene_seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%.*s %.*s %llu %.*s\n", SLICE_ARG(e->source_ip), SLICE_ARG(e->model),
		(unsigned long long)e->input_tokens, SLICE_ARG(e->content[CONTENT_OUTPUT]));
	return 0;
}

long long scene_ask(struct store_scene *f, const char *sql)
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
