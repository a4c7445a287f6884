// SPDX-License-Identifier: GPL-2.0-or-later
/* Names in bodies, and who keeps what they stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/id_scan.h"
#include "backend/owner.h"

struct found {
	char text[512];
};

static void take(void *context, struct slice id)
{
	struct found *found = context;
	size_t len = strlen(found->text);

	snprintf(found->text + len, sizeof(found->text) - len, "%.*s ", SLICE_ARG(id));
}

static void test_names_are_found_in_pieces_of_any_size(void **state)
{
	static const char text[] =
		"{\"id\":\"resp_0123456789abcdef\",\"x\":\"resp_\",\"y\":[\"file-12345678\",\"file-1234567\"],"
		"\"t\":\"say \\\"file-abcdefgh\\\" resp_0123456789abcdef\",\"e\":\"conv_01\\u0041234567\","
		"\"\\\\\":\"thread_abcdefghij\",\"b\":\"vs_ 12345678\",\"rs_abcdefgh\":\"msg_abcdefgh";

	(void)state;
	for (size_t size = 1; size < sizeof(text); size++) {
		struct id_scan scan = {.len = 0};
		struct found found = {""};

		for (size_t at = 0; at < sizeof(text) - 1; at += size) {
			struct slice rest = slice_of(text + at, sizeof(text) - 1 - at);

			id_scan_feed(&scan, slice_first(rest, size), take, &found);
		}
		assert_string_equal(found.text,
			"resp_0123456789abcdef file-12345678 thread_abcdefghij rs_abcdefgh ");
	}
}

static void test_the_length_of_a_name(void **state)
{
	char name[ID_MAX + 2] = "\"file-";
	struct id_scan scan = {.len = 0};
	struct found found = {""};

	(void)state;
	memset(name + 6, 'a', ID_MAX - 5);
	assert_true(id_is_one(slice_of(name + 1, ID_MAX)));
	assert_false(id_is_one(slice_of(name + 1, ID_MAX + 1)));
	name[ID_MAX + 1] = 'a';
	id_scan_feed(&scan, slice_of(name, ID_MAX + 2), take, &found);
	id_scan_feed(&scan, SLICE("\""), take, &found);
	assert_string_equal(found.text, "");
}

/* A search that passed over the same bytes again would take hours. */
static void test_the_work_is_linear(void **state)
{
	const size_t len = 16 << 20;
	char *text = malloc(len);
	struct id_scan scan = {.len = 0};
	struct found found = {""};

	(void)state;
	for (size_t at = 0; at < len; at += 2)
		memcpy(text + at, "\\n", 2);
	id_scan_feed(&scan, SLICE("\""), take, &found);
	id_scan_feed(&scan, slice_of(text, len), take, &found);
	id_scan_feed(&scan, SLICE("\",\"file-12345678\""), take, &found);
	assert_string_equal(found.text, "file-12345678 ");
	free(text);
}

static const struct pool_member members[] = {{{"east", 4}, 1, 1, 0}, {{"west", 4}, 1, 1, 0}};
static const struct pool pool = {.members = members, .n = 2};
static const struct pool_member other_members[] = {{{"north", 5}, 1, 1, 0}};
static const struct pool other = {.members = other_members, .n = 1};

enum { EAST, WEST };

static void test_the_owner_is_found(void **state)
{
	struct standing *standing = standing_new();

	(void)state;
	assert_int_equal(owner_find(standing, SLICE("resp_1"), &pool), -1);
	owner_learn(standing, SLICE("resp_1"), &pool, EAST, 5);
	owner_learn(standing, SLICE("resp_2"), &pool, WEST, 5);
	owner_learn(standing, SLICE("resp_3"), &other, 0, 5);
	assert_int_equal(owner_find(standing, SLICE("resp_1"), &pool), 0);
	assert_int_equal(owner_find(standing, SLICE("resp_2"), &pool), 1);
	assert_int_equal(owner_find(standing, SLICE("resp_3"), &pool), -1); /* not of this pool */
	/* Who is made to repeat a name does not get what another one keeps; who is gone keeps nothing. */
	owner_learn(standing, SLICE("resp_1"), &pool, WEST, 6);
	assert_int_equal(owner_find(standing, SLICE("resp_1"), &pool), EAST);
	owner_learn(standing, SLICE("resp_3"), &pool, WEST, 6);
	assert_int_equal(owner_find(standing, SLICE("resp_3"), &pool), WEST);
	standing_free(standing);
}

static void test_what_was_learned_last_is_known(void **state)
{
	struct standing *standing = standing_new();
	unsigned known = 0;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 3 * STANDING_OWNERS; i++) {
		snprintf(name, sizeof(name), "resp_%u", i);
		owner_learn(standing, slice_of_string(name), &pool, EAST, 10 + i / 1000);
		assert_int_equal(owner_find(standing, slice_of_string(name), &pool), 0);
	}
	for (unsigned i = 0; i < STANDING_OWNERS / 4; i++) {
		snprintf(name, sizeof(name), "resp_%u", 3 * STANDING_OWNERS - 1 - i);
		known += owner_find(standing, slice_of_string(name), &pool) == 0;
	}
	assert_true(known > STANDING_OWNERS / 4 * 99 / 100);
	standing_free(standing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_found_in_pieces_of_any_size),
		cmocka_unit_test(test_the_length_of_a_name),
		cmocka_unit_test(test_the_work_is_linear),
		cmocka_unit_test(test_the_owner_is_found),
		cmocka_unit_test(test_what_was_learned_last_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
