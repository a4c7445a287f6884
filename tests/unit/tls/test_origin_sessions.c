// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/forge.h"
#include "tls/origin_sessions.h"

#define MINUTE_NS (60 * NS_PER_S)

/* A chain of one that is valid for so many days from now. */
struct scene {
	struct origin_sessions *sessions;
	struct forged root;
	STACK_OF(X509) * verified;
	uint64_t now;
};

static struct scene scene_make(size_t max, int days)
{
	struct scene scene = {
		.sessions = origin_sessions_new(max),
		.root = forge(
			&(struct forge){.name = "a", .from_days = -1, .until_days = days}, NULL),
		.verified = sk_X509_new_null(),
		.now = clock_realtime_ns(),
	};

	sk_X509_push(scene.verified, scene.root.certificate);
	return scene;
}

static void scene_end(struct scene *scene)
{
	origin_sessions_free(scene->sessions);
	sk_X509_free(scene->verified);
	forged_free(&scene->root);
}

static SSL_SESSION *session(void)
{
	SSL_SESSION *made = SSL_SESSION_new();

	assert_int_equal(SSL_SESSION_set1_id(made, (const unsigned char *)"id", 2), 1);
	return made;
}

static void a_session_is_its_hosts_for_an_hour(void **state)
{
	struct scene scene = scene_make(8, 30);
	SSL_SESSION *kept = session();

	(void)state;
	assert_int_equal(
		origin_sessions_put(scene.sessions, "a.example", kept, scene.verified, scene.now),
		1);
	assert_ptr_equal(origin_sessions_get(scene.sessions, "a.example", scene.now), kept);
	assert_null(origin_sessions_get(scene.sessions, "b.example", scene.now));
	assert_ptr_equal(
		origin_sessions_get(scene.sessions, "a.example", scene.now + 59 * MINUTE_NS), kept);
	assert_null(origin_sessions_get(scene.sessions, "a.example", scene.now + 60 * MINUTE_NS));
	scene_end(&scene);
}

static void resuming_does_not_make_the_hour_longer(void **state)
{
	struct scene scene = scene_make(8, 30);
	SSL_SESSION *second = session();

	(void)state;
	origin_sessions_put(scene.sessions, "a.example", session(), scene.verified, scene.now);
	assert_int_equal(origin_sessions_put(scene.sessions, "a.example", second, NULL,
				 scene.now + 50 * MINUTE_NS),
		1);
	assert_ptr_equal(
		origin_sessions_get(scene.sessions, "a.example", scene.now + 59 * MINUTE_NS),
		second);
	assert_null(origin_sessions_get(scene.sessions, "a.example", scene.now + 61 * MINUTE_NS));
	scene_end(&scene);
}

static void a_session_that_nobody_verified_is_not_kept(void **state)
{
	struct scene scene = scene_make(8, 30);
	SSL_SESSION *refused = session(), *unresumable = SSL_SESSION_new();

	(void)state;
	assert_int_equal(
		origin_sessions_put(scene.sessions, "a.example", refused, NULL, scene.now), 0);
	assert_int_equal(origin_sessions_put(scene.sessions, "a.example", unresumable,
				 scene.verified, scene.now),
		0);
	assert_null(origin_sessions_get(scene.sessions, "a.example", scene.now));
	SSL_SESSION_free(refused);
	SSL_SESSION_free(unresumable);
	scene_end(&scene);
}

static void a_session_ends_with_the_chain(void **state)
{
	struct scene scene = scene_make(8, 1);
	uint64_t late = scene.now + (24 * 60 - 20) * MINUTE_NS;

	(void)state;
	origin_sessions_put(scene.sessions, "a.example", session(), scene.verified, late);
	assert_non_null(origin_sessions_get(scene.sessions, "a.example", late + 10 * MINUTE_NS));
	assert_null(origin_sessions_get(scene.sessions, "a.example", late + 30 * MINUTE_NS));
	scene_end(&scene);
}

static void the_least_recently_used_goes_first(void **state)
{
	struct scene scene = scene_make(2, 30);

	(void)state;
	origin_sessions_put(scene.sessions, "a.example", session(), scene.verified, scene.now);
	origin_sessions_put(scene.sessions, "b.example", session(), scene.verified, scene.now);
	assert_non_null(origin_sessions_get(scene.sessions, "a.example", scene.now));
	origin_sessions_put(scene.sessions, "c.example", session(), scene.verified, scene.now);
	assert_non_null(origin_sessions_get(scene.sessions, "a.example", scene.now));
	assert_non_null(origin_sessions_get(scene.sessions, "c.example", scene.now));
	assert_null(origin_sessions_get(scene.sessions, "b.example", scene.now));
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_its_hosts_for_an_hour),
		cmocka_unit_test(resuming_does_not_make_the_hour_longer),
		cmocka_unit_test(a_session_that_nobody_verified_is_not_kept),
		cmocka_unit_test(a_session_ends_with_the_chain),
		cmocka_unit_test(the_least_recently_used_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
