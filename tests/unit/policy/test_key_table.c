// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys that are issued here: what is kept, what is presented, and a file that is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/key_table.h"
#include "policy/subject.h"
#include "tls/issue.h"

#define NOW 1000

/* A key of that name, in the table. */
static void issue(struct key_table *table, const char *name, char text[KEY_TEXT + 1])
{
	char *groups[] = {(char *)"dev", (char *)"ops"};
	struct issued_key key = {.created_s = 1, .groups = groups, .ngroups = 2};
	struct slice id;

	assert_true(issue_text(text));
	assert_true(key_text_read(slice_of_string(text), &id));
	memcpy(key.id, id.data, KEY_ID);
	snprintf(key.name, sizeof(key.name), "%s", name);
	assert_true(issue_digest(key_table_salt(table), slice_of_string(text), key.digest));
	assert_int_equal(key_table_add(table, &key), 0);
	assert_int_equal(key_table_add(table, &key), -EEXIST);
}

static struct key_table *fresh(void)
{
	uint8_t salt[KEY_SALT];

	assert_true(issue_salt(salt));
	return key_table_new(salt);
}

static enum key_state check(const struct key_table *table, const char *text)
{
	const struct issued_key *key;

	return key_table_check(table, slice_of_string(text), issue_digest, NOW, &key);
}

static void a_key_opens_and_no_other(void **state)
{
	struct key_table *table = fresh(), *other = fresh();
	char text[KEY_TEXT + 1], second[KEY_TEXT + 1], changed[KEY_TEXT + 1];
	const struct issued_key *key;

	(void)state;
	issue(table, "ana", text);
	issue(table, "ben", second);
	issue(other, "eva", changed);
	assert_int_equal(check(table, changed), KEY_UNKNOWN);
	assert_int_equal(
		key_table_check(table, slice_of_string(text), issue_digest, NOW, &key), KEY_VALID);
	assert_string_equal(key->name, "ana");
	for (size_t i = 0; i < KEY_TEXT; i++) {
		snprintf(changed, sizeof(changed), "%s", text);
		changed[i] = changed[i] == 'a' ? 'b' : 'a';
		assert_true(check(table, changed) == (i > 3 + KEY_ID ? KEY_WRONG : KEY_UNKNOWN));
	}
	/* The id of one with the secret of another. */
	snprintf(changed, sizeof(changed), "%.15s%s", second, text + 15);
	assert_int_equal(check(table, changed), KEY_WRONG);
	key_table_free(table);
	key_table_free(other);
}

static void keys_end(void **state)
{
	struct key_table *table = fresh();
	char text[KEY_TEXT + 1];
	struct issued_key *key;

	(void)state;
	issue(table, "ana", text);
	key = key_table_at(table, 0);
	key->expires_s = NOW + 1;
	assert_int_equal(check(table, text), KEY_VALID);
	key->expires_s = NOW;
	assert_int_equal(check(table, text), KEY_EXPIRED);
	key->expires_s = 0;
	key->revoked_s = 1;
	assert_int_equal(check(table, text), KEY_REVOKED);
	key_table_free(table);
}

static void what_is_written_is_read_again(void **state)
{
	struct key_table *table = fresh(), *again;
	char text[3][KEY_TEXT + 1];
	struct buf first = BUF_EMPTY, second = BUF_EMPTY;
	struct why why;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		issue(table, "a.B_c-d@e", text[i]);
	assert_int_equal(key_table_print(table, &first), 0);
	assert_int_equal(key_table_parse("f", buf_slice(&first), &again, &why), 0);
	assert_int_equal(key_table_print(again, &second), 0);
	assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(check(again, text[i]), KEY_VALID);
		assert_null(memmem(buf_slice(&first).data, buf_len(&first), text[i] + 16, KEY_SECRET));
	}
	assert_string_equal(key_table_at(again, 2)->groups[1], "ops");
	buf_free(&first);
	buf_free(&second);
	key_table_free(table);
	key_table_free(again);
}

/* No cut, and no byte that differs, leaves a file that is taken for another. */
static void damage_is_found(void **state)
{
	struct key_table *table = fresh(), *again = NULL;
	char text[KEY_TEXT + 1];
	struct buf all = BUF_EMPTY;
	struct slice whole;
	char *copy;

	(void)state;
	issue(table, "ana", text);
	issue(table, "ben", text);
	assert_int_equal(key_table_print(table, &all), 0);
	whole = buf_slice(&all);
	for (size_t len = 0; len < whole.len; len++) {
		struct why why = {""};

		assert_int_equal(
			key_table_parse("f", slice_first(whole, len), &again, &why), -EINVAL);
		assert_null(again);
		assert_non_null(strstr(why.text, "restore"));
	}
	copy = malloc(whole.len + 1);
	for (size_t at = 0; at < whole.len; at++) {
		memcpy(copy, whole.data, whole.len);
		copy[at] ^= 1;
		assert_int_equal(
			key_table_parse("f", slice_of(copy, whole.len), &again, NULL), -EINVAL);
	}
	memcpy(copy, whole.data, whole.len);
	copy[whole.len] = '\n';
	assert_int_equal(key_table_parse("f", slice_of(copy, whole.len + 1), &again, NULL), -EINVAL);
	free(copy);
	buf_free(&all);
	key_table_free(table);
}

static void ten_thousand_keys_are_found(void **state)
{
	struct key_table *table = fresh();
	char (*texts)[KEY_TEXT + 1] = calloc(10000, sizeof(*texts));

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		issue(table, "k", texts[i]);
	assert_int_equal(key_table_count(table), 10000);
	for (size_t i = 0; i < 10000; i += 97)
		assert_int_equal(check(table, texts[i]), KEY_VALID);
	free(texts);
	key_table_free(table);
}

/* ---- who a request is from ---- */

static struct subject found(const struct key_table *table, struct header *headers, size_t n, const char *path)
{
	struct rule_set set = {.nrules = 0};
	struct subject_means means = {policy_new(&set), table, issue_digest, NULL, NULL, NULL};
	struct head head = {.headers = headers, .nheaders = n, .path = slice_of_string(path)};
	struct credentials credentials;
	struct subject subject;
	struct address address = {{0}};

	credentials_read(&head, &credentials);
	subject_find(&means, &address, &credentials, NOW, &subject);
	policy_free(means.policy);
	return subject;
}

static void wherever_a_credential_stands(void **state)
{
	struct key_table *table = fresh();
	char text[KEY_TEXT + 1], other[KEY_TEXT + 1], bearer[80], path[120];
	struct subject s;

	(void)state;
	issue(table, "ana", text);
	issue(table, "ben", other);
	snprintf(bearer, sizeof(bearer), "Bearer %s", text);
	snprintf(path, sizeof(path), "/v1/x?a=b&subscription-key=%s", text);
	{
		struct header headers[] = {{SLICE("API-Key"), slice_of_string(text)},
			{SLICE("authorization"), slice_of_string(bearer)},
			{SLICE("x-other"), slice_of_string(other)}};

		/* Twice the same is one; a field that is no credential is none. */
		s = found(table, headers, 3, "/");
		assert_non_null(s.key);
		assert_string_equal(s.key->name, "ana");
		assert_int_equal(s.credential, RULE_CREDENTIAL_ISSUED);
		assert_int_equal(s.ngroups, 2);
		headers[2].name = SLICE("Ocp-Apim-Subscription-Key");
		s = found(table, headers, 3, "/");
		assert_true(s.refused && s.state == KEY_SEVERAL && !s.key);
		s = found(table, headers + 1, 1, path);
		assert_non_null(s.key);
		s = found(table, headers, 1, "/?subscription-key=sk-x");
		assert_non_null(s.key);
	}
	s = found(table, NULL, 0, path);
	assert_non_null(s.key);
	assert_true(credentials_issued_query(slice_of_string(path)));
	/* Encoded it is the same to the service. */
	snprintf(path, sizeof(path), "/v1/x?api%%2Dkey=sp%%2D%s", text + 3);
	s = found(table, NULL, 0, path);
	assert_non_null(s.key);
	assert_true(credentials_issued_query(slice_of_string(path)));
	s = found(NULL, NULL, 0, path);
	assert_true(!s.key && !s.refused && s.credential == RULE_CREDENTIAL_OTHER);
	s = found(table, NULL, 0, "/?a=b");
	assert_int_equal(s.credential, RULE_CREDENTIAL_NONE);
	key_table_free(table);
}

static bool is_service(void *context, struct slice text)
{
	return slice_equal(text, slice_of_string(context));
}

/* What comes behind more credentials than are looked at is not taken for none. */
static void too_many_credentials_are_refused(void **state)
{
	struct rule_set set = {.nrules = 0};
	char service[] = "key-of-a-backend";
	struct subject_means means = {policy_new(&set), NULL, issue_digest, NULL, is_service,
		service};
	struct header headers[SUBJECT_CREDENTIALS + 1];
	struct address address = {{0}};

	(void)state;
	for (size_t i = 0; i < SUBJECT_CREDENTIALS; i++)
		headers[i] = (struct header){SLICE("x-api-key"), SLICE("junk")};
	headers[SUBJECT_CREDENTIALS] =
		(struct header){SLICE("api-key"), slice_of_string(service)};
	for (size_t first = 0; first < 2; first++) {
		struct head head = {.headers = headers + first,
			.nheaders = SUBJECT_CREDENTIALS + 1 - first,
			.path = SLICE("/")};
		struct credentials credentials;
		struct subject s;

		credentials_read(&head, &credentials);
		subject_find(&means, &address, &credentials, NOW, &s);
		assert_true(first ? !s.refused && s.credential == RULE_CREDENTIAL_SERVICE
				  : s.refused && s.state == KEY_SEVERAL);
	}
	policy_free(means.policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_opens_and_no_other),
		cmocka_unit_test(keys_end),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(ten_thousand_keys_are_found),
		cmocka_unit_test(wherever_a_credential_stands),
		cmocka_unit_test(too_many_credentials_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
