// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/forge.h"
#include "tls/leaf.h"
#include "tls/leaf_message.h"

/* A worker's keys, and what a signer has of them. */
struct scene {
	EVP_PKEY *own[LEAF_KINDS], *bound[LEAF_KINDS];
	struct ca ca;
	struct buf messages[LEAF_KINDS];
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_int_equal(leaf_keys_make(scene->own, NULL), 0);
	scene->ca.key = forge_key(NULL);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		assert_int_equal(leaf_key_write(scene->own, kind, &scene->messages[kind]), 0);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	leaf_keys_free(scene->own);
	leaf_keys_free(scene->bound);
	EVP_PKEY_free(scene->ca.key);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		buf_free(&scene->messages[kind]);
	free(scene);
	return 0;
}

static int take(struct scene *scene, struct slice message)
{
	struct why why = {""};
	int error = leaf_key_bind(scene->bound, &scene->ca, message, &why);

	assert_int_equal(error != 0, why.text[0] != '\0');
	return error;
}

static void both_kinds_come_over_without_their_secret(void **state)
{
	struct scene *scene = *state;

	for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
		assert_int_equal(take(scene, buf_slice(&scene->messages[kind])), 0);
		assert_int_equal(EVP_PKEY_eq(scene->bound[kind], scene->own[kind]), 1);
		assert_true(i2d_PrivateKey(scene->bound[kind], NULL) <= 0);
	}
	assert_true(EVP_PKEY_is_a(scene->bound[LEAF_ECDSA], "EC"));
	assert_true(EVP_PKEY_is_a(scene->bound[LEAF_RSA], "RSA"));
	assert_int_equal(EVP_PKEY_get_bits(scene->bound[LEAF_RSA]), 2048);
}

static void each_making_gives_other_keys(void **state)
{
	struct scene *scene = *state;
	EVP_PKEY *others[LEAF_KINDS];

	assert_int_equal(leaf_keys_make(others, NULL), 0);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++)
		assert_int_equal(EVP_PKEY_eq(others[kind], scene->own[kind]), 0);
	leaf_keys_free(others);
}

static void the_first_key_stays(void **state)
{
	struct scene *scene = *state;
	EVP_PKEY *others[LEAF_KINDS];

	assert_int_equal(leaf_keys_make(others, NULL), 0);
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
		struct buf other = BUF_EMPTY;

		assert_int_equal(take(scene, buf_slice(&scene->messages[kind])), 0);
		assert_int_equal(leaf_key_write(others, kind, &other), 0);
		assert_int_equal(take(scene, buf_slice(&other)), -EEXIST);
		/* Said again it is no second one. */
		assert_int_equal(take(scene, buf_slice(&scene->messages[kind])), 0);
		assert_int_equal(EVP_PKEY_eq(scene->bound[kind], scene->own[kind]), 1);
		buf_free(&other);
	}
	leaf_keys_free(others);
}

static void other_keys_than_of_the_kind_are_refused(void **state)
{
	static const struct {
		const char *key;
		enum leaf_kind kind;
	} rows[] = {{"P-192", LEAF_ECDSA}, {"P-384", LEAF_ECDSA}, {"RSA-2048", LEAF_ECDSA},
		{"ED25519", LEAF_ECDSA}, {"RSA-1024", LEAF_RSA}, {"RSA-3072", LEAF_RSA},
		{"RSA-PSS", LEAF_RSA}, {NULL, LEAF_RSA}, {"DSA", LEAF_RSA}};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		EVP_PKEY *keys[LEAF_KINDS] = {NULL};
		struct buf message = BUF_EMPTY;

		keys[rows[i].kind] = forge_key(rows[i].key);
		assert_int_equal(leaf_key_write(keys, rows[i].kind, &message), 0);
		assert_int_equal(take(scene, buf_slice(&message)), -EPERM);
		assert_null(scene->bound[rows[i].kind]);
		buf_free(&message);
		leaf_keys_free(keys);
	}
}

static void the_cas_key_is_none_for_a_leaf(void **state)
{
	struct scene *scene = *state;
	EVP_PKEY *keys[LEAF_KINDS] = {scene->ca.key, NULL};
	struct buf message = BUF_EMPTY;

	assert_int_equal(leaf_key_write(keys, LEAF_ECDSA, &message), 0);
	assert_int_equal(take(scene, buf_slice(&message)), -EPERM);
	assert_null(scene->bound[LEAF_ECDSA]);
	buf_free(&message);
}

static void what_is_no_message_is_refused(void **state)
{
	struct scene *scene = *state;

	for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
		struct slice whole = buf_slice(&scene->messages[kind]);
		struct leaf_key head = {.kind = kind};
		char changed[1024] = {0};

		assert_in_range(whole.len, 1, sizeof(changed) - 1);
		for (size_t len = 0; len < whole.len; len++)
			assert_int_equal(take(scene, slice_first(whole, len)), -EBADMSG);
		memcpy(changed, whole.data, whole.len);
		assert_int_equal(take(scene, slice_of(changed, whole.len + 1)), -EBADMSG);
		head.reserved = 1;
		memcpy(changed, &head, sizeof(head));
		assert_int_equal(take(scene, slice_of(changed, whole.len)), -EBADMSG);
		head = (struct leaf_key){.kind = LEAF_KINDS};
		memcpy(changed, &head, sizeof(head));
		assert_int_equal(take(scene, slice_of(changed, whole.len)), -EBADMSG);
		assert_null(scene->bound[kind]);
	}
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(both_kinds_come_over_without_their_secret),
		ROW(each_making_gives_other_keys),
		ROW(the_first_key_stays),
		ROW(other_keys_than_of_the_kind_are_refused),
		ROW(the_cas_key_is_none_for_a_leaf),
		ROW(what_is_no_message_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
