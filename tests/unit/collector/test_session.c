// SPDX-License-Identifier: GPL-2.0-or-later
/* A link becomes one session, in its time; a session is known by both of its secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "collector/session.h"

#define LINK_NS	   (120 * NS_PER_S)
#define SESSION_NS (12 * 3600 * NS_PER_S)

static int set_up(void **state)
{
	*state = sessions_new();
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	sessions_free(*state);
	return 0;
}

static struct slice text(const char *secret)
{
	return slice_of(secret, SESSION_SECRET - 1);
}

static const struct session *begin(struct sessions *all, uint64_t now_ns)
{
	char link[SESSION_SECRET];

	assert_int_equal(sessions_link(all, "ada", ROLE_OPERATOR, now_ns, link), 0);
	return sessions_enter(all, text(link), now_ns);
}

static void a_link_is_used_up(void **state)
{
	char link[SESSION_SECRET];
	const struct session *session;

	assert_int_equal(sessions_link(*state, "ada", ROLE_OPERATOR, 1, link), 0);
	session = sessions_enter(*state, text(link), 2);
	assert_non_null(session);
	assert_string_equal(session->name, "ada");
	assert_int_equal(session->role, ROLE_OPERATOR);
	assert_null(sessions_enter(*state, text(link), 2));
	/* Nor is it the session's cookie. */
	assert_null(sessions_find(*state, text(link), text(session->key), 2));
}

static void a_link_has_its_time(void **state)
{
	char link[SESSION_SECRET];

	assert_int_equal(sessions_link(*state, "ada", ROLE_OPERATOR, 1, link), 0);
	assert_null(sessions_enter(*state, text(link), 1 + LINK_NS));
	assert_int_equal(sessions_link(*state, "ada", ROLE_OPERATOR, 1, link), 0);
	assert_non_null(sessions_enter(*state, text(link), LINK_NS));
}

static void both_secrets_of_one_session_are_needed(void **state)
{
	const struct session *a = begin(*state, 1), *b = begin(*state, 1);

	assert_ptr_equal(sessions_find(*state, text(a->cookie), text(a->key), 2), a);
	assert_null(sessions_find(*state, text(a->cookie), text(b->key), 2));
	assert_null(sessions_find(*state, text(a->cookie), SLICE_NONE, 2));
	assert_null(sessions_find(*state, SLICE_NONE, SLICE_NONE, 2));
	assert_null(sessions_find(*state, slice_of(a->cookie, 63), text(a->key), 2));
	/* Nobody has the secrets of a place that is free. */
	assert_null(sessions_find(*state, text((char[SESSION_SECRET]){0}),
		text((char[SESSION_SECRET]){0}), 0));
	assert_null(sessions_find(*state, text(a->cookie), text(a->key), 1 + SESSION_NS));
}

static void an_ended_session_is_none(void **state)
{
	const struct session *a = begin(*state, 1);
	const struct session copy = *a;

	sessions_end(*state, a);
	assert_null(sessions_find(*state, text(copy.cookie), text(copy.key), 2));
}

static void the_oldest_makes_room(void **state)
{
	struct session first = *begin(*state, 1), second = *begin(*state, 2);

	for (uint64_t i = 0; i < 63; i++)
		assert_non_null(begin(*state, 3 + i));
	assert_null(sessions_find(*state, text(first.cookie), text(first.key), 100));
	assert_non_null(sessions_find(*state, text(second.cookie), text(second.key), 100));
}

/* Who has most makes room: nobody's session is ended by another who begins many. */
static void everybody_has_a_share(void **state)
{
	char link[SESSION_SECRET], kept[SESSION_SECRET];
	struct session bob;

	assert_int_equal(sessions_link(*state, "bob", ROLE_OPERATOR, 1, link), 0);
	bob = *sessions_enter(*state, text(link), 1);
	assert_int_equal(sessions_link(*state, "bob", ROLE_OPERATOR, 1, kept), 0);
	for (uint64_t i = 0; i < 200; i++)
		assert_non_null(begin(*state, 2 + i));
	for (uint64_t i = 0; i < 200; i++)
		assert_int_equal(sessions_link(*state, "ada", ROLE_OPERATOR, 202 + i, link), 0);
	assert_non_null(sessions_find(*state, text(bob.cookie), text(bob.key), 500));
	assert_non_null(sessions_enter(*state, text(kept), 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_link_is_used_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_has_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			both_secrets_of_one_session_are_needed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_ended_session_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_oldest_makes_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(everybody_has_a_share, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
