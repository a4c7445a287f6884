// SPDX-License-Identifier: GPL-2.0-or-later
/* Origins whose names clients invented: nothing of them stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/origin.h"
#include "tests/support/forge.h"
#include "tests/support/name_server.h"

#define NAMES_MAX 64

struct scene {
	struct ev_loop *loop;
	struct turn turn;
	struct name_server names;
	bool silent; /* the name server */
	struct forged root;
	struct forge_file roots;
	char *root_path;
	struct config config;
	_Atomic uint64_t counted[COUNTER_COUNT];
	struct counters counters;
	struct resolver *resolver;
	struct tls_origin_leg *leg;
	struct origins *origins;
	unsigned failed;
	const char *type; /* of the last failure */
};

static void asked(void *context, struct name_question *question)
{
	struct scene *scene = context;

	if (!scene->silent)
		name_server_answer(&scene->names, question, 3, 0, question->end);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct forge wanted = {.name = "root", .authority = true};
	struct why why = {""};

	scene->loop = ev_loop_new(0);
	turn_open(&scene->turn, scene->loop);
	name_server_open(&scene->names, scene->loop, asked, scene);
	scene->root = forge(&wanted, NULL);
	scene->roots = forge_certificates((const X509 *[]){scene->root.certificate}, 1);
	scene->root_path = scene->roots.path;
	scene->counters.own = scene->counted;
	scene->config.endpoints.resolvers = &scene->names.address;
	scene->config.endpoints.nresolvers = 1;
	scene->config.origin.names_max = NAMES_MAX;
	scene->config.origin.connect_ns = 60 * NS_PER_S;
	scene->config.tls.origin_roots = &scene->root_path;
	scene->config.tls.norigin_roots = 1;
	scene->resolver = resolver_new(scene->loop, &scene->config, &why);
	assert_non_null(scene->resolver);
	scene->leg = tls_origin_leg_new(&scene->config, -1, &why);
	if (!scene->leg)
		fail_msg("%s", why.text);
	scene->origins = origins_new(&scene->turn, &scene->config, scene->resolver, scene->leg,
		&scene->counters, &why);
	assert_non_null(scene->origins);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	origins_free(scene->origins);
	resolver_free(scene->resolver);
	tls_origin_leg_free(scene->leg);
	name_server_close(&scene->names);
	forged_free(&scene->root);
	close(scene->roots.fd);
	turn_close(&scene->turn);
	ev_loop_destroy(scene->loop);
	free(scene);
	return 0;
}

static void told(
	void *user, struct upstream_slot *slot, const struct origin_failure *failure)
{
	struct scene *scene = user;

	assert_null(slot);
	scene->type = failure->type;
	scene->failed++;
}

static void acquire(struct scene *scene, unsigned number, struct origin_request **request)
{
	static const struct upstream_user nobody;
	char host[64];
	const struct origin_target target = {.host = host, .port = 443};

	snprintf(host, sizeof(host), "invented-%u.openai.azure.com", number);
	origin_acquire(scene->origins, &target, false, &nobody, told, scene, request);
}

/* The next n names, one after the other. */
static void invent(struct scene *scene, unsigned *number, unsigned n)
{
	for (; n; n--) {
		struct origin_request *request;
		unsigned before = scene->failed;

		acquire(scene, (*number)++, &request);
		while (scene->failed == before)
			ev_run(scene->loop, EVRUN_ONCE);
		assert_string_equal(scene->type, "origin_unresolved");
		assert_int_equal(origins_count(scene->origins), 0);
	}
}

static void test_names_that_nobody_has_leave_nothing(void **state)
{
	struct scene *scene = *state;
	unsigned number = 0;
	size_t before, after;

	invent(scene, &number, 4 * NAMES_MAX);
	before = mallinfo2().uordblks;
	invent(scene, &number, 3000);
	after = mallinfo2().uordblks;
	if (after > before + 32768)
		fail_msg("3000 names took %zu bytes", after - before);
}

/* While the name server says nothing: some are looked up, the others fail at once. */
static void test_lookups_under_way_are_bounded(void **state)
{
	enum { N = 10 * NAMES_MAX };
	struct origin_request *requests[N];
	struct scene *scene = *state;

	scene->silent = true;
	for (unsigned i = 0; i < N; i++)
		acquire(scene, i, &requests[i]);
	assert_in_range(scene->failed, N / 2, N - NAMES_MAX);
	assert_string_equal(scene->type, "origin_unresolved");
	assert_int_equal(origins_count(scene->origins), N - scene->failed);
	for (unsigned i = 0; i < N; i++)
		if (requests[i])
			origin_cancel(requests[i]);
	assert_int_equal(origins_count(scene->origins), 0);
}

static void over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* The failure may be known before the connection is waited for: then nothing waits for it. */
static void test_addresses_that_refuse_leave_nothing(void **state)
{
	static const struct upstream_user nobody;
	struct scene *scene = *state;
	/* Where nobody listens: the name server's socket is of UDP. */
	const struct address_port refusing[2] = {scene->names.address, scene->names.address};
	const struct origin_target target = {
		.host = "a.openai.azure.com", .port = 443, .addresses = refusing, .naddresses = 2};
	enum { N = 100 };
	struct origin_request *requests[N];
	ev_timer timer;

	scene->config.origin.connect_ns = NS_PER_S / 50;
	for (unsigned i = 0; i < N; i++)
		origin_acquire(scene->origins, &target, true, &nobody, told, scene, &requests[i]);
	ev_timer_init(&timer, over, .2, 0.);
	ev_timer_start(scene->loop, &timer);
	ev_run(scene->loop, 0);
	assert_int_equal(scene->failed, N);
	assert_string_equal(scene->type, "origin_unreachable");
	for (unsigned i = 0; i < N; i++)
		assert_null(requests[i]);
	turn_collect(&scene->turn);
	assert_int_equal(origins_count(scene->origins), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_names_that_nobody_has_leave_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_lookups_under_way_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_addresses_that_refuse_leave_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
