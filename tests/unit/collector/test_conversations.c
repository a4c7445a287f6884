// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls whose messages begin with those of another belong to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/store_scene.h"


/* A call whose messages are these letters, one each. */
static void say(struct store_scene *f, uint64_t number, const char *ip, const char *messages)
{
	struct event event = {.kind = SLICE("exchange"), .input_tokens = event_number(10)};
	char text[1024];
	size_t len = 0;

	for (size_t i = 0; messages[i]; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%c{\"role\":\"user\",\"content\":\"say %c\"}", i ? ',' : '[', messages[i]);
	snprintf(text + len, sizeof(text) - len, "]");
	event.input_messages = slice_of_string(text);
	event.time_ns = 1700000000000000000u + number * 60000000000u;
	event.response_model = SLICE("m");
	if (*ip)
		assert_int_equal(address_parse(ip, &event.source_ip), 0);
	scene_send(f->store, number, &event);
}

static int see(void *context, const struct query_conversation *of)
{
	struct scene_seen *seen = context;

	seen->rows++;
	seen->len += (size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
		"%s %.*s: %llu calls, %llu messages, %llu tokens, %.*s\n",
		of->has_source ? address_format(&of->source).text : "-", SLICE_ARG(of->event_id),
		(unsigned long long)of->calls, (unsigned long long)of->messages,
		(unsigned long long)of->input_tokens, SLICE_ARG(of->question));
	return 0;
}

static bool ask(struct store_scene *f, struct query_filter filter, uint64_t limit,
	struct scene_seen *seen)
{
	struct why why = {""};
	struct query *query = query_open(f->path, &why);
	bool cut;

	memset(seen, 0, sizeof(*seen));
	if (query_conversations(query, &filter, limit, see, seen, &cut, &why) < 0)
		fail_msg("%s", why.text);
	query_close(query);
	return cut;
}

static void calls_that_go_on_belong_together(void **state)
{
	struct store_scene *f = *state;
	struct query_filter since = {.since_ns = 1700000000000000000u + 6 * 60000000000u};
	struct scene_seen seen;

	say(f, 1, "10.0.0.1", "sa");
	say(f, 2, "10.0.0.2", "sa"); /* the same words of another */
	say(f, 3, "10.0.0.1", "sabc");
	say(f, 4, "10.0.0.1", "sx"); /* the same beginning, another question */
	say(f, 5, "10.0.0.1", "sabcde");
	say(f, 6, "10.0.0.1", "sabcfg"); /* a branch */
	say(f, 7, "10.0.0.1", "sa");	  /* asked once more */
	say(f, 8, "", "q");
	scene_commit(f->store);
	assert_false(ask(f, (struct query_filter){0}, 20, &seen));
	assert_string_equal(seen.text, "- id-8: 1 calls, 1 messages, 10 tokens, say q\n"
				       "10.0.0.1 id-7: 5 calls, 6 messages, 50 tokens, say a\n"
				       "10.0.0.1 id-4: 1 calls, 2 messages, 10 tokens, say x\n"
				       "10.0.0.2 id-2: 1 calls, 2 messages, 10 tokens, say a\n");
	ask(f, (struct query_filter){0}, 2, &seen);
	assert_int_equal(seen.rows, 2);
	/* Of what began before, the first that is looked at begins it. */
	ask(f, since, 20, &seen);
	assert_string_equal(seen.text, "- id-8: 1 calls, 1 messages, 10 tokens, say q\n"
				       "10.0.0.1 id-7: 2 calls, 6 messages, 20 tokens, say a\n");
}

/* More calls than are looked at: that is said, and the newest are there. */
static void too_many_are_cut(void **state)
{
	struct store_scene *f = *state;
	struct scene_seen seen;

	for (uint64_t i = 0; i < 5001; i++) {
		struct event event = {.kind = SLICE("exchange"),
			.input_messages = i % 2 ? SLICE("[1,2]") : SLICE("[1]"),
			.time_ns = 1700000000000000000u + i};

		scene_send(f->store, i + 1, &event);
	}
	scene_commit(f->store);
	assert_true(ask(f, (struct query_filter){0}, 20, &seen));
	assert_int_equal(seen.rows, 1);
	assert_non_null(strstr(seen.text, "5000 calls, 2 messages"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_that_go_on_belong_together),
		TEST(too_many_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
