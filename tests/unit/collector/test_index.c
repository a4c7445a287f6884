// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said is found: by its words, in the event in which an address said it first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/event.h"
#include "audit/record.h"
#include "collector/index.h"
#include "collector/query.h"
#include "collector/store.h"

#define BEGIN 1700000000000000000u
#define DAY   19675 /* of BEGIN */

struct fixture {
	char directory[64];
	struct store *store;
	struct query *query;
	uint64_t sequence;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct why why;

	snprintf(f->directory, sizeof(f->directory), "/tmp/sallyport-index-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	assert_int_equal(store_open(f->directory, &f->store, &why), 0);
	f->query = query_open(f->directory, &why);
	assert_non_null(f->query);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	query_close(f->query);
	store_close(f->store);
	snprintf(command, sizeof(command), "rm -r %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* A call of that address; committed by settle. */
static void say(struct fixture *f, const char *ip, const char *prompt)
{
	struct event event = {.kind = SLICE("exchange"),
		.epoch = SLICE("00000000000000aa"),
		.stream = event_number(1),
		.sequence = event_number(f->sequence + 1),
		.time_ns = BEGIN + f->sequence + 1,
		.input_messages = slice_of_string(prompt)};
	struct buf record = BUF_EMPTY;
	struct forward_entry entry = {.time_ns = event.time_ns};
	msgpack_unpacked unpacked;
	size_t offset = 0;
	char id[32];
	struct why why;

	snprintf(id, sizeof(id), "e%llu", (unsigned long long)++f->sequence);
	event.id = slice_of_string(id);
	assert_int_equal(address_parse(ip, &event.source_ip), 0);
	assert_int_equal(event_encode(&event, &record), 0);
	entry.raw = slice_after(buf_slice(&record), RECORD_TIME_SIZE);
	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, entry.raw.data, entry.raw.len, &offset),
		MSGPACK_UNPACK_SUCCESS);
	entry.record = &unpacked.data;
	assert_int_equal(store_add(f->store, &entry, &why), 0);
	msgpack_unpacked_destroy(&unpacked);
	buf_free(&record);
}

static void settle(struct fixture *f)
{
	struct why why;

	assert_int_equal(store_commit(f->store, &why), 0);
}

static void index_all(struct fixture *f)
{
	uint64_t done = 1;
	struct why why = {""};

	settle(f);
	while (done)
		if (index_step(f->query, DAY, 100, &done, &why) < 0)
			fail_msg("%s", why.text);
}

static int see(void *context, const struct query_event *event)
{
	return buf_printf(context, "%.*s ", SLICE_ARG(event->event_id));
}

static void assert_found(struct fixture *f, const char *const *words, size_t n,
	const struct query_filter *filter, uint64_t limit, const char *expected)
{
	struct buf seen = BUF_EMPTY;
	struct query_lag lag;
	struct why why = {""};

	if (query_search(f->query, words, n, filter, limit, see, &seen, &lag, &why) < 0)
		fail_msg("%s", why.text);
	if (!slice_equal(buf_slice(&seen), slice_of_string(expected)))
		fail_msg("%s: found %.*s, not %s", words[0], SLICE_ARG(buf_slice(&seen)), expected);
	buf_free(&seen);
}

#define ASSERT_FOUND(filter, limit, expected, ...)                                                 \
	do {                                                                                       \
		static const char *const words[] = {__VA_ARGS__};                                  \
		assert_found(f, words, sizeof(words) / sizeof(words[0]), filter, limit, expected); \
	} while (0)

static void words_and_phrases_are_found(void **state)
{
	const struct query_filter all = {0};
	struct fixture *f = *state;

	say(f, "192.0.2.1",
		"[{\"role\":\"user\",\"content\":\"The quick brown fox, r\\u00e9sum\\u00e9\"}]");
	say(f, "192.0.2.1", "[{\"role\":\"user\",\"content\":\"A brown and quick dog\"}]");
	say(f, "192.0.2.2", "no JSON: a fox and \"quotes\" AND more");
	index_all(f);
	ASSERT_FOUND(&all, 0, "e2 e1 ", "brown");
	ASSERT_FOUND(&all, 1, "e2 ", "brown");
	ASSERT_FOUND(&all, 0, "e1 ", "quick brown");
	ASSERT_FOUND(&all, 0, "e2 e1 ", "quick", "BROWN");
	ASSERT_FOUND(&all, 0, "e1 ", "brown", "fox");
	ASSERT_FOUND(&all, 0, "e1 ", "resume");
	ASSERT_FOUND(&all, 0, "e1 ", "qui*", "fox");
	ASSERT_FOUND(&all, 0, "", "dogs");
	/* nothing in a word is an operator */
	ASSERT_FOUND(&all, 0, "e3 ", "AND", "\"quotes\"");
	ASSERT_FOUND(&all, 0, "", "brown OR fox");
	/* what every message has is not found in all */
	ASSERT_FOUND(&all, 0, "", "role");
}

static void filters_hold(void **state)
{
	struct query_filter one = {.has_source = true}, since = {.since_ns = BEGIN + 3};
	struct fixture *f = *state;

	say(f, "192.0.2.1", "[\"the words\"]");
	say(f, "192.0.2.2", "[\"the words\"]");
	say(f, "192.0.2.1", "[\"other words\"]");
	index_all(f);
	assert_int_equal(prefix_parse("192.0.2.2", &one.source), 0);
	ASSERT_FOUND(&one, 0, "e2 ", "words");
	ASSERT_FOUND(&since, 0, "e3 ", "words");
}

static void a_history_is_found_where_it_came_first(void **state)
{
	const struct query_filter all = {0};
	struct fixture *f = *state;

	say(f, "192.0.2.1", "[\"first\"]");
	say(f, "192.0.2.1", "[\"first\",\"second\"]");
	say(f, "192.0.2.1", "[\"first\",\"second\",\"third\"]");
	say(f, "192.0.2.9", "[\"first\",\"second\"]");
	index_all(f);
	ASSERT_FOUND(&all, 0, "e4 e1 ", "first");
	ASSERT_FOUND(&all, 0, "e4 e2 ", "second");
	ASSERT_FOUND(&all, 0, "e3 ", "third");
}

/* More than one step of blocks, all of which match. */
static void many_matches_are_all_told_once(void **state)
{
	const struct query_filter all = {0};
	struct fixture *f = *state;
	struct buf seen = BUF_EMPTY;
	static const char *const words[] = {"common"};
	struct query_lag lag;
	struct why why = {""};
	size_t n = 0;
	char text[64];

	for (int i = 0; i < 1200; i++) {
		snprintf(text, sizeof(text), "[\"common %d\"]", i);
		say(f, "192.0.2.1", text);
	}
	index_all(f);
	assert_int_equal(query_search(f->query, words, 1, &all, 0, see, &seen, &lag, &why), 0);
	for (size_t i = 0; i < buf_len(&seen); i++)
		n += buf_slice(&seen).data[i] == ' ';
	assert_int_equal(n, 1200);
	buf_free(&seen);
}

static void the_lag_is_told(void **state)
{
	const struct query_filter all = {0};
	static const char *const words[] = {"said"};
	struct fixture *f = *state;
	struct buf seen = BUF_EMPTY;
	struct query_lag lag;
	uint64_t done;
	struct why why = {""};

	say(f, "192.0.2.1", "[\"said one\"]");
	say(f, "192.0.2.1", "[\"said two\"]");
	say(f, "192.0.2.1", "[\"said three\"]");
	settle(f);
	assert_int_equal(query_search(f->query, words, 1, &all, 0, see, &seen, &lag, &why), 0);
	assert_int_equal(lag.events, 3);
	assert_int_equal(lag.until_ns, 0);
	assert_int_equal(index_step(f->query, DAY, 2, &done, &why), 0);
	assert_int_equal(query_search(f->query, words, 1, &all, 0, see, &seen, &lag, &why), 0);
	assert_int_equal(lag.events, 1);
	assert_int_equal(lag.until_ns, BEGIN + 2);
	index_all(f);
	assert_int_equal(query_search(f->query, words, 1, &all, 0, see, &seen, &lag, &why), 0);
	assert_int_equal(lag.events, 0);
	buf_free(&seen);
}

static void a_question_without_words_is_wrong(void **state)
{
	static const char *const wrong[] = {"", "!?", "\"", "*", "ab*"};
	const struct query_filter all = {0};
	struct fixture *f = *state;
	struct buf seen = BUF_EMPTY;
	struct query_lag lag;
	struct why why;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
			query_search(f->query, &wrong[i], 1, &all, 0, see, &seen, &lag, &why),
			-EINVAL);
	buf_free(&seen);
}

static void data_and_common_names_are_not_words(void **state)
{
	struct buf out = BUF_EMPTY, block = BUF_EMPTY;

	(void)state;
	assert_int_equal(buf_printf(&block, "{\"role\":\"user\",\"content\":[{\"type\":\"text\","
					    "\"text\":\"seen\"},{\"image_url\":\"data:"),
		0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_append(&block, "AAAA", 4), 0);
	assert_int_equal(buf_printf(&block, "\"}]}"), 0);
	assert_int_equal(index_text(buf_slice(&block), &out), 0);
	assert_true(slice_equal(buf_slice(&out), SLICE("seen\n")));
	buf_free(&out);
	buf_free(&block);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(words_and_phrases_are_found),
		TEST(filters_hold),
		TEST(a_history_is_found_where_it_came_first),
		TEST(many_matches_are_all_told_once),
		TEST(the_lag_is_told),
		TEST(a_question_without_words_is_wrong),
		TEST(data_and_common_names_are_not_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
