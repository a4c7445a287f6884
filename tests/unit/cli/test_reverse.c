// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of addresses, from a name server in the same loop, on a loopback port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/reverse.h"
#include "config/config.h"
#include "tests/support/name_server.h"

#define QUERIES_MAX 16
#define PATIENCE_NS (20 * NS_PER_S)

enum { TYPE_PTR = 12 };

enum behaviour { ANSWER, NO_NAME, SILENT };

struct server {
	struct name_server names;
	enum behaviour behaviour;
	const char *name; /* in the form of the wire: each label with its length */
	size_t name_len;
	unsigned queries;
	char asked[256]; /* the last question, with dots */
};

struct bench {
	struct ev_loop *loop;
	struct server server;
	struct config config;
	struct reverse *reverse;
};

static void server_asked(void *context, struct name_question *question)
{
	static const uint8_t head[] = {0xc0, 12, 0, TYPE_PTR, 0, 1, 0, 0, 0, 60};
	struct server *server = context;
	uint8_t *at = question->packet + question->end;
	bool answer = server->behaviour == ANSWER;

	memcpy(server->asked, question->name, sizeof(server->asked));
	if (question->type != TYPE_PTR)
		return;
	server->queries++;
	if (server->behaviour == SILENT)
		return;
	if (answer) {
		memcpy(at, head, sizeof(head));
		at += sizeof(head);
		*at++ = (uint8_t)(server->name_len >> 8);
		*at++ = (uint8_t)server->name_len;
		memcpy(at, server->name, server->name_len);
		at += server->name_len;
	}
	name_server_answer(&server->names, question, server->behaviour == NO_NAME ? 3 : 0, answer,
		(size_t)(at - question->packet));
}

static int setup(void **state)
{
	static struct bench bench;
	struct why why = {""};

	bench = (struct bench){.loop = ev_loop_new(0)};
	bench.server = (struct server){.name = "\x04host\x07"
					       "example\0",
		.name_len = 14};
	name_server_open(&bench.server.names, bench.loop, server_asked, &bench.server);
	bench.config.endpoints.resolvers = &bench.server.names.address;
	bench.config.endpoints.nresolvers = 1;
	bench.reverse = reverse_new(bench.loop, &bench.config, &why);
	if (!bench.reverse)
		fail_msg("%s", why.text);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	reverse_free(bench->reverse);
	name_server_close(&bench->server.names);
	/* Nothing of it is left in the loop. */
	assert_int_equal(ev_pending_count(bench->loop), 0);
	assert_false(ev_run(bench->loop, EVRUN_NOWAIT));
	ev_loop_destroy(bench->loop);
	return 0;
}

static bool looked_up(struct bench *bench, const char *text, const char **name)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return reverse_lookup(bench->reverse, &address, name);
}

/* Waits for the answer. */
static const char *name_of(struct bench *bench, const char *text)
{
	uint64_t late = clock_monotonic_ns() + PATIENCE_NS;
	const char *name;

	while (!looked_up(bench, text, &name)) {
		if (clock_monotonic_ns() > late)
			fail_msg("no answer for %s", text);
		ev_run(bench->loop, EVRUN_ONCE);
	}
	return name;
}

static void a_name_is_found_in_both_families(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(name_of(bench, "192.0.2.7"), "host.example");
	assert_string_equal(bench->server.asked, "7.2.0.192.in-addr.arpa.");
	assert_string_equal(name_of(bench, "2001:db8::1"), "host.example");
	assert_string_equal(bench->server.asked, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
						 "8.b.d.0.1.0.0.2.ip6.arpa.");
}

static void nothing_is_waited_for(void **state)
{
	struct bench *bench = *state;
	uint64_t before = clock_monotonic_ns();
	const char *name;

	bench->server.behaviour = SILENT;
	for (int i = 0; i < 1000; i++)
		assert_false(looked_up(bench, "192.0.2.7", &name));
	assert_null(name);
	assert_true(clock_monotonic_ns() - before < NS_PER_S);
}

static void an_answer_is_kept(void **state)
{
	struct bench *bench = *state;
	const char *name;

	name_of(bench, "192.0.2.7");
	bench->server.behaviour = NO_NAME;
	assert_null(name_of(bench, "192.0.2.8"));
	/* Also that there is none. */
	for (int i = 0; i < 10; i++) {
		assert_true(looked_up(bench, "192.0.2.7", &name));
		assert_string_equal(name, "host.example");
		assert_true(looked_up(bench, "192.0.2.8", &name));
		assert_null(name);
	}
	assert_int_equal(bench->server.queries, 2);
}

static void few_are_asked_for_at_a_time(void **state)
{
	struct bench *bench = *state;
	const char *name;
	char text[32];

	bench->server.behaviour = SILENT;
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i);
		assert_false(looked_up(bench, text, &name));
		ev_run(bench->loop, EVRUN_NOWAIT);
	}
	assert_in_range(bench->server.queries, 1, QUERIES_MAX);
}

static void a_server_that_is_silent_is_given_up(void **state)
{
	struct bench *bench = *state;

	bench->server.behaviour = SILENT;
	assert_null(name_of(bench, "192.0.2.7"));
	/* And asked again about others. */
	bench->server.behaviour = ANSWER;
	assert_string_equal(name_of(bench, "192.0.2.8"), "host.example");
}

static void many_addresses_make_room_for_each_other(void **state)
{
	struct bench *bench = *state;
	char text[32];

	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 256, i % 256);
		assert_string_equal(name_of(bench, text), "host.example");
	}
}

static void names_do_no_harm(void **state)
{
	/* Escapes of terminals, line ends, what turns the writing round, and quite long ones. */
	static const struct {
		const char *wire;
		size_t len;
	} rows[] = {
		{"\x08"
		 "\x1b[31mred\0",
			10},
		{"\x05"
		 "a\r\nb.\0",
			7},
		{"\x06"
		 "a\xe2\x80\xae"
		 "bc\0",
			8},
		{"\x03"
		 "a\x7f\x80\0",
			5},
	};
	struct bench *bench = *state;
	char text[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name;

		bench->server.name = rows[i].wire;
		bench->server.name_len = rows[i].len;
		snprintf(text, sizeof(text), "192.0.2.%zu", i);
		name = name_of(bench, text);
		for (; name && *name; name++)
			assert_in_range((unsigned char)*name, 0x20, 0x7e);
	}
}

static void long_names_are_cut(void **state)
{
	struct bench *bench = *state;
	char wire[256], *at = wire;

	for (int i = 0; i < 3; i++) {
		*at++ = 63;
		memset(at, 'a' + i, 63);
		at += 63;
	}
	*at++ = 0;
	bench->server.name = wire;
	bench->server.name_len = (size_t)(at - wire);
	assert_in_range(strlen(name_of(bench, "192.0.2.7")), 100, 127);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_is_found_in_both_families),
		TEST(nothing_is_waited_for),
		TEST(an_answer_is_kept),
		TEST(few_are_asked_for_at_a_time),
		TEST(a_server_that_is_silent_is_given_up),
		TEST(many_addresses_make_room_for_each_other),
		TEST(names_do_no_harm),
		TEST(long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
