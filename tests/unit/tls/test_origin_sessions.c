// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/slice.h"
#include "tests/support/forge.h"
#include "tls/origin_sessions.h"

#define MINUTE_NS (60 * NS_PER_S)

/* A chain of one that is valid for so many days from now. */
struct scene {
	struct origin_sessions *sessions;
	struct forged root;
	STACK_OF(X509) *verified;
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

static SSL_SESSION *session(const char *id)
{
	SSL_SESSION *made = SSL_SESSION_new();

	if (*id)
		assert_int_equal(
			SSL_SESSION_set1_id(made, (const unsigned char *)id, (unsigned)strlen(id)),
			1);
	return made;
}

static void put(struct scene *scene, const char *host, const char *id, bool verified, uint64_t at)
{
	SSL_SESSION *kept = session(id);

	origin_sessions_put(scene->sessions, host, kept, verified ? scene->verified : NULL, at);
	SSL_SESSION_free(kept);
}

/* Whether the session of that id (NULL: none) is offered to host. */
static bool offers(struct scene *scene, const char *host, const char *id, uint64_t at)
{
	SSL_SESSION *offered = origin_sessions_get(scene->sessions, host, at);
	const unsigned char *found;
	unsigned len = 0;
	bool same;

	if (!offered || !id)
		return !offered && !id;
	found = SSL_SESSION_get_id(offered, &len);
	same = slice_equal(slice_of((const char *)found, len), slice_of_string(id));
	SSL_SESSION_free(offered);
	return same;
}

static void a_session_is_its_hosts_for_an_hour(void **state)
{
	struct scene scene = scene_make(8, 30);

	(void)state;
	put(&scene, "a.example", "1", true, scene.now);
	assert_true(offers(&scene, "a.example", "1", scene.now));
	assert_true(offers(&scene, "b.example", NULL, scene.now));
	assert_true(offers(&scene, "a.example", "1", scene.now + 59 * MINUTE_NS));
	assert_true(offers(&scene, "a.example", NULL, scene.now + 60 * MINUTE_NS));
	scene_end(&scene);
}

static void resuming_does_not_make_the_hour_longer(void **state)
{
	struct scene scene = scene_make(8, 30);

	(void)state;
	put(&scene, "a.example", "1", true, scene.now);
	put(&scene, "a.example", "2", false, scene.now + 50 * MINUTE_NS);
	assert_true(offers(&scene, "a.example", "2", scene.now + 59 * MINUTE_NS));
	assert_true(offers(&scene, "a.example", NULL, scene.now + 61 * MINUTE_NS));
	scene_end(&scene);
}

static void a_session_that_nobody_verified_is_not_kept(void **state)
{
	struct scene scene = scene_make(8, 30);

	(void)state;
	put(&scene, "a.example", "1", false, scene.now);
	put(&scene, "a.example", "", true, scene.now); /* not resumable */
	assert_true(offers(&scene, "a.example", NULL, scene.now));
	scene_end(&scene);
}

static void a_session_ends_with_the_chain(void **state)
{
	struct scene scene = scene_make(8, 1);
	uint64_t late = scene.now + (24 * 60 - 20) * MINUTE_NS;

	(void)state;
	put(&scene, "a.example", "1", true, late);
	assert_true(offers(&scene, "a.example", "1", late + 10 * MINUTE_NS));
	assert_true(offers(&scene, "a.example", NULL, late + 30 * MINUTE_NS));
	scene_end(&scene);
}

static void the_least_recently_used_goes_first(void **state)
{
	struct scene scene = scene_make(2, 30);

	(void)state;
	put(&scene, "a.example", "1", true, scene.now);
	put(&scene, "b.example", "2", true, scene.now);
	assert_true(offers(&scene, "a.example", "1", scene.now));
	put(&scene, "c.example", "3", true, scene.now);
	assert_true(offers(&scene, "a.example", "1", scene.now));
	assert_true(offers(&scene, "c.example", "3", scene.now));
	assert_true(offers(&scene, "b.example", NULL, scene.now));
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
