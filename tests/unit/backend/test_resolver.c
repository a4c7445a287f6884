// SPDX-License-Identifier: GPL-2.0-or-later
/* The resolver against a name server in the same loop, on a loopback port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ev.h>
#include <string.h>

#include "backend/resolver.h"
#include "base/clock.h"
#include "config/config.h"
#include "tests/support/name_server.h"

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };

/* How the server answers. */
enum behaviour { ANSWER, NO_NAME, SILENT, REFUSE };

struct server {
	struct name_server names;
	enum behaviour behaviour;
	unsigned n4, n6; /* records of each type: 192.0.2.1 …, 2001:db8::1 … */
	uint32_t ttl;
	bool cname;	   /* the name is an alias, with a TTL of 1 second */
	unsigned queries4; /* A queries seen */
};

struct bench {
	struct ev_loop *loop;
	struct server server;
	struct config config;
	struct resolver *resolver;
};

struct answer {
	unsigned calls;
	int error;
	struct address addresses[64];
	size_t n;
	uint64_t ttl_ns;
	bool stale;
};

static void put16(uint8_t **at, unsigned value)
{
	*(*at)++ = (uint8_t)(value >> 8);
	*(*at)++ = (uint8_t)value;
}

static void put_record(uint8_t **at, unsigned name, unsigned type, uint32_t ttl, unsigned len)
{
	put16(at, 0xc000 | name);
	put16(at, type);
	put16(at, 1);
	put16(at, ttl >> 16);
	put16(at, ttl & 0xffff);
	put16(at, len);
}

static void server_answer(struct server *server, struct name_question *question)
{
	unsigned type = question->type;
	unsigned n = type == TYPE_A ? server->n4 : type == TYPE_AAAA ? server->n6 : 0;
	uint8_t *packet = question->packet, *at = packet + question->end;
	unsigned name = 12;

	if (server->behaviour != ANSWER)
		n = 0;
	if (n && server->cname) {
		put_record(&at, 12, TYPE_CNAME, 1, 4);
		name = (unsigned)(at - packet);
		memcpy(at, "\x01z\xc0\x0c", 4);
		at += 4;
	}
	for (unsigned i = 1; i <= n; i++) {
		put_record(&at, name, type, server->ttl, type == TYPE_A ? 4 : 16);
		if (type == TYPE_A) {
			memcpy(at, (uint8_t[]){192, 0, 2, (uint8_t)i}, 4);
			at += 4;
		} else {
			memcpy(at, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15);
			at[15] = (uint8_t)i;
			at += 16;
		}
	}
	name_server_answer(&server->names, question,
		server->behaviour == NO_NAME  ? 3
		: server->behaviour == REFUSE ? 5
					      : 0,
		n + (n && server->cname), (size_t)(at - packet));
}

static void server_asked(void *context, struct name_question *question)
{
	struct server *server = context;

	server->queries4 += question->type == TYPE_A;
	if (server->behaviour != SILENT)
		server_answer(server, question);
}

static int setup(void **state)
{
	static struct bench bench;
	struct why why = {""};

	bench = (struct bench){.loop = ev_loop_new(0)};
	bench.server = (struct server){.n4 = 2, .n6 = 1, .ttl = 60};
	name_server_open(&bench.server.names, bench.loop, server_asked, &bench.server);
	bench.config.endpoints.resolvers = &bench.server.names.address;
	bench.config.endpoints.nresolvers = 1;
	bench.config.endpoints.ttl_floor_ns = NS_PER_S / 5;
	bench.config.endpoints.ttl_ceiling_ns = 600 * NS_PER_S;
	bench.resolver = resolver_new(bench.loop, &bench.config, &why);
	if (!bench.resolver)
		fail_msg("%s", why.text);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	resolver_free(bench->resolver);
	name_server_close(&bench->server.names);
	/* Nothing of the resolver is left in the loop. */
	assert_int_equal(ev_pending_count(bench->loop), 0);
	assert_false(ev_run(bench->loop, EVRUN_NOWAIT));
	ev_loop_destroy(bench->loop);
	return 0;
}

static void answered(void *context, int error, const struct resolver_answer *answer)
{
	struct answer *into = context;

	into->calls++;
	into->error = error;
	into->n = 0;
	if (!answer)
		return;
	into->n = answer->n;
	into->ttl_ns = answer->ttl_ns;
	into->stale = answer->stale;
	for (size_t i = 0; i < answer->n; i++)
		into->addresses[i] = answer->addresses[i];
}

static void timer_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until the answer came, or the time is over. */
static void run(struct bench *bench, const struct answer *answer, double seconds)
{
	uint64_t until = clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
	ev_timer timer;

	while (!(answer && answer->calls) && clock_monotonic_ns() < until) {
		ev_timer_init(&timer, timer_over, 0.05, 0.0);
		ev_timer_start(bench->loop, &timer);
		ev_run(bench->loop, EVRUN_ONCE);
		ev_timer_stop(bench->loop, &timer);
	}
}

static struct answer ask(struct bench *bench, const char *host)
{
	struct answer answer = {0};
	uint64_t ticket;

	assert_int_equal(resolver_lookup(bench->resolver, host, answered, &answer, &ticket), 0);
	assert_true((ticket == 0) == (answer.calls == 1));
	run(bench, &answer, 15);
	assert_int_equal(answer.calls, 1);
	return answer;
}

static void both_families_are_asked_for(void **state)
{
	struct answer answer = ask(*state, "Api.Example.");

	assert_int_equal(answer.error, 0);
	assert_int_equal(answer.n, 3);
	assert_string_equal(address_format(&answer.addresses[0]).text, "192.0.2.1");
	assert_string_equal(address_format(&answer.addresses[1]).text, "192.0.2.2");
	assert_string_equal(address_format(&answer.addresses[2]).text, "2001:db8::1");
	assert_false(answer.stale);
	assert_in_range(answer.ttl_ns, 59 * NS_PER_S, 60 * NS_PER_S);
}

static void one_family_is_enough(void **state)
{
	struct bench *bench = *state;
	struct answer answer;

	bench->server.n6 = 0;
	answer = ask(bench, "four.example");
	assert_int_equal(answer.n, 2);
	bench->server.n6 = 1;
	bench->server.n4 = 0;
	answer = ask(bench, "six.example");
	assert_int_equal(answer.n, 1);
	assert_string_equal(address_format(&answer.addresses[0]).text, "2001:db8::1");
}

static void an_answer_is_kept_for_its_ttl(void **state)
{
	struct bench *bench = *state;
	struct answer answer;

	bench->server.ttl = 0; /* the floor: 200 ms */
	ask(bench, "kept.example");
	answer = ask(bench, "KEPT.example.");
	assert_int_equal(bench->server.queries4, 1);
	assert_false(answer.stale);
	run(bench, NULL, 0.3);
	ask(bench, "kept.example");
	assert_int_equal(bench->server.queries4, 2);
}

static void the_least_ttl_of_an_alias_counts(void **state)
{
	struct bench *bench = *state;
	struct answer answer;

	bench->server.cname = true;
	answer = ask(bench, "alias.example");
	assert_int_equal(answer.error, 0);
	assert_true(answer.ttl_ns <= NS_PER_S);
}

static void a_long_ttl_is_cut(void **state)
{
	struct bench *bench = *state;

	bench->server.ttl = 86400;
	assert_true(ask(bench, "long.example").ttl_ns <= 600 * NS_PER_S);
}

static void lookups_of_one_name_share_a_query(void **state)
{
	struct bench *bench = *state;
	struct answer answers[3] = {0};
	uint64_t ticket;

	for (int i = 0; i < 3; i++)
		resolver_lookup(bench->resolver, "shared.example", answered, &answers[i], &ticket);
	run(bench, &answers[2], 5);
	for (int i = 0; i < 3; i++)
		assert_int_equal(answers[i].calls, 1);
	assert_int_equal(bench->server.queries4, 1);
}

static void a_cancelled_lookup_is_not_answered(void **state)
{
	struct bench *bench = *state;
	struct answer cancelled = {0}, kept = {0};
	uint64_t ticket, other;

	resolver_lookup(bench->resolver, "cancel.example", answered, &cancelled, &ticket);
	resolver_lookup(bench->resolver, "cancel.example", answered, &kept, &other);
	resolver_cancel(bench->resolver, ticket);
	resolver_cancel(bench->resolver, ticket);
	resolver_cancel(bench->resolver, 0);
	run(bench, &kept, 5);
	assert_int_equal(kept.calls, 1);
	assert_int_equal(cancelled.calls, 0);
}

static void a_missing_name_is_told_and_remembered_for_a_while(void **state)
{
	struct bench *bench = *state;

	bench->server.behaviour = NO_NAME;
	assert_int_equal(ask(bench, "missing.example").error, -ENOENT);
	assert_int_equal(ask(bench, "missing.example").error, -ENOENT);
	assert_int_equal(bench->server.queries4, 1);
}

static void a_broken_dns_leaves_the_old_answer(void **state)
{
	struct bench *bench = *state;
	struct answer answer;

	bench->server.ttl = 0;
	ask(bench, "stale.example");
	run(bench, NULL, 0.3);
	bench->server.behaviour = REFUSE;
	answer = ask(bench, "stale.example");
	assert_int_equal(answer.error, 0);
	assert_true(answer.stale);
	assert_int_equal(answer.n, 3);
	assert_true(answer.ttl_ns > 0);
	/* A name that is gone is gone. */
	run(bench, NULL, 0.3);
	bench->server.behaviour = NO_NAME;
	assert_int_equal(ask(bench, "stale.example").error, -ENOENT);
}

static void a_silent_dns_is_not_waited_for_when_there_is_an_old_answer(void **state)
{
	struct bench *bench = *state;
	uint64_t before;
	struct answer answer;

	bench->server.ttl = 0;
	ask(bench, "silent.example");
	run(bench, NULL, 0.3);
	bench->server.behaviour = SILENT;
	before = clock_monotonic_ns();
	answer = ask(bench, "silent.example");
	assert_true(answer.stale);
	assert_true(clock_monotonic_ns() - before < 4 * NS_PER_S);
}

static void without_an_old_answer_the_failure_is_told(void **state)
{
	struct bench *bench = *state;
	struct answer answer;

	bench->server.behaviour = REFUSE;
	answer = ask(bench, "refused.example");
	assert_true(answer.error < 0 && answer.error != -ENOENT);
	assert_int_equal(answer.n, 0);
}

static void addresses_need_no_dns(void **state)
{
	struct bench *bench = *state;
	struct answer answer = ask(bench, "198.51.100.7");

	assert_string_equal(address_format(&answer.addresses[0]).text, "198.51.100.7");
	answer = ask(bench, "2001:DB8::7");
	assert_string_equal(address_format(&answer.addresses[0]).text, "2001:db8::7");
	assert_int_equal(bench->server.queries4, 0);
}

static void what_is_no_host_name_is_refused(void **state)
{
	static const char *const table[] = {"", ".", "a..b", "-a.example", "a-.example", "a b",
		"a/b", "a.example:443", "*.example", "\xc3\xa4.example",
		"a2345678901234567890123456789012345678901234567890123456789012345.example"};
	struct bench *bench = *state;
	struct answer answer = {0};
	uint64_t ticket;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (resolver_lookup(bench->resolver, table[i], answered, &answer, &ticket) !=
			-EINVAL)
			fail_msg("'%s' is taken", table[i]);
	assert_int_equal(answer.calls, 0);
}

struct reentry {
	struct bench *bench;
	struct answer inner;
	uint64_t other;
	unsigned calls;
};

/* Looks up, cancels a wait of the same name and frees the resolver, all inside done. */
static void reenter(void *context, int error, const struct resolver_answer *answer)
{
	struct reentry *reentry = context;
	uint64_t ticket;

	assert_int_equal(error, 0);
	reentry->calls++;
	resolver_cancel(reentry->bench->resolver, reentry->other);
	resolver_lookup(
		reentry->bench->resolver, "reenter.example", answered, &reentry->inner, &ticket);
	assert_int_equal(ticket, 0);
	assert_int_equal(reentry->inner.n, answer->n);
	resolver_free(reentry->bench->resolver);
	reentry->bench->resolver = NULL;
}

static void everything_may_be_done_inside_done(void **state)
{
	struct bench *bench = *state;
	struct reentry reentry = {.bench = bench};
	struct answer cancelled = {0}, never = {0};
	uint64_t ticket;

	resolver_lookup(bench->resolver, "reenter.example", reenter, &reentry, &ticket);
	resolver_lookup(bench->resolver, "reenter.example", answered, &cancelled, &reentry.other);
	resolver_lookup(bench->resolver, "reenter.example", answered, &never, &ticket);
	run(bench, &reentry.inner, 5);
	run(bench, NULL, 0.1);
	assert_int_equal(reentry.calls, 1);
	assert_int_equal(cancelled.calls, 0);
	assert_int_equal(never.calls, 0);
}

static void a_resolver_may_be_freed_with_waits(void **state)
{
	struct bench *bench = *state;
	struct answer answer = {0};
	uint64_t ticket;

	resolver_lookup(bench->resolver, "free.example", answered, &answer, &ticket);
	resolver_free(bench->resolver);
	bench->resolver = NULL;
	run(bench, NULL, 0.2);
	assert_int_equal(answer.calls, 0);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(both_families_are_asked_for),
		WITH_SERVER(one_family_is_enough),
		WITH_SERVER(an_answer_is_kept_for_its_ttl),
		WITH_SERVER(the_least_ttl_of_an_alias_counts),
		WITH_SERVER(a_long_ttl_is_cut),
		WITH_SERVER(lookups_of_one_name_share_a_query),
		WITH_SERVER(a_cancelled_lookup_is_not_answered),
		WITH_SERVER(a_missing_name_is_told_and_remembered_for_a_while),
		WITH_SERVER(a_broken_dns_leaves_the_old_answer),
		WITH_SERVER(a_silent_dns_is_not_waited_for_when_there_is_an_old_answer),
		WITH_SERVER(without_an_old_answer_the_failure_is_told),
		WITH_SERVER(addresses_need_no_dns),
		WITH_SERVER(what_is_no_host_name_is_refused),
		WITH_SERVER(everything_may_be_done_inside_done),
		WITH_SERVER(a_resolver_may_be_freed_with_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
