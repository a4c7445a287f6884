// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/credential_message.h"
#include "backend/credentials.h"
#include "base/buf.h"

static int told(struct credentials *c, uint32_t index, uint32_t version, uint64_t expires_ns,
	const char *text)
{
	struct credential_head head = {index, version, expires_ns};
	struct buf message = BUF_EMPTY;
	size_t renewed = 99;
	int error;

	assert_int_equal(buf_append(&message, &head, sizeof(head)), 0);
	assert_int_equal(buf_append(&message, text, strlen(text)), 0);
	error = credentials_take(c, buf_slice(&message), &renewed);
	buf_free(&message);
	return error;
}

static void assert_value(struct credentials *c, size_t index, uint64_t now_ns, const char *value)
{
	const char *why = NULL;
	struct secret *secret = credentials_value(c, index, now_ns, &why);

	assert_non_null(secret);
	assert_true(slice_equal(secret_text(secret), slice_of_string(value)));
}

static const char *why_none(struct credentials *c, size_t index, uint64_t now_ns)
{
	const char *why = NULL;

	assert_null(credentials_value(c, index, now_ns, &why));
	assert_non_null(why);
	return why;
}

static void the_latest_value_is_the_one(void **state)
{
	struct credentials *c = credentials_new(2);

	(void)state;
	assert_string_equal(why_none(c, 1, 5), "it has not come yet");
	assert_int_equal(told(c, 1, 1, 0, "first-value"), 0);
	assert_value(c, 1, 5, "first-value");
	assert_int_equal(told(c, 1, 2, 0, "second-value"), 1); /* another one than before */
	assert_value(c, 1, 5, "second-value");
	assert_int_equal(told(c, 1, 3, 0, "second-value"), 0);
	assert_string_equal(why_none(c, 0, 5), "it has not come yet");
	credentials_free(c);
}

static void that_there_is_none_does_not_replace_a_value(void **state)
{
	struct credentials *c = credentials_new(1);

	(void)state;
	assert_int_equal(told(c, 0, 0, 0, "nobody answers"), 0);
	assert_string_equal(why_none(c, 0, 5), "nobody answers");
	assert_int_equal(told(c, 0, 1, 10, "a-token"), 0);
	assert_value(c, 0, 9, "a-token");
	assert_string_equal(why_none(c, 0, 10), "it has expired, and no other has come yet");
	assert_int_equal(told(c, 0, 0, 0, "another keeper has none"), 0);
	assert_value(c, 0, 9, "a-token");
	assert_string_equal(why_none(c, 0, 10), "another keeper has none");
	/* The same value, good for longer. */
	assert_int_equal(told(c, 0, 2, 20, "a-token"), 0);
	assert_value(c, 0, 19, "a-token");
	credentials_free(c);
}

/* An exchange that began with it still goes on, and what comes back may hold it. */
static void the_value_before_stays_known_and_whoever_shares_it_has_it(void **state)
{
	struct credentials *c = credentials_new(1);
	const char *why = NULL;
	struct secret *shared;
	struct secret *const *all;
	size_t n, found = 0;

	(void)state;
	told(c, 0, 1, 0, "first-value");
	shared = secret_share(credentials_value(c, 0, 5, &why));
	told(c, 0, 2, 0, "second-value");
	all = credentials_all(c, &n);
	for (size_t i = 0; i < n; i++)
		found += all[i] && slice_equal(secret_text(all[i]), SLICE("first-value"));
	assert_int_equal(found, 1);
	told(c, 0, 3, 0, "third-value");
	assert_ptr_equal(credentials_all(c, &n), all);
	assert_true(slice_equal(secret_text(shared), SLICE("first-value")));
	credentials_free(c);
	assert_true(slice_equal(secret_text(shared), SLICE("first-value")));
	secret_free(shared);
}

static void what_is_no_message_of_the_keepers_is_refused(void **state)
{
	struct credentials *c = credentials_new(1);
	struct credential_head head = {0, 1, 0};
	char *long_one = calloc(1, sizeof(head) + CREDENTIAL_TEXT_MAX + 1);
	size_t index;

	(void)state;
	assert_int_equal(credentials_take(c, SLICE_NONE, &index), -EBADMSG);
	for (size_t n = 0; n <= sizeof(head); n++)
		assert_int_equal(credentials_take(c, slice_of((const char *)&head, n), &index),
			-EBADMSG);
	assert_int_equal(told(c, 1, 1, 0, "value"), -EBADMSG);
	assert_int_equal(told(c, UINT32_MAX, 1, 0, "value"), -EBADMSG);
	memcpy(long_one, &head, sizeof(head));
	memset(long_one + sizeof(head), 'k', CREDENTIAL_TEXT_MAX + 1);
	assert_int_equal(credentials_take(c,
				 slice_of(long_one, sizeof(head) + CREDENTIAL_TEXT_MAX + 1), &index),
		-EBADMSG);
	assert_int_equal(
		credentials_take(c, slice_of(long_one, sizeof(head) + CREDENTIAL_TEXT_MAX), &index),
		0);
	free(long_one);
	credentials_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_latest_value_is_the_one),
		cmocka_unit_test(that_there_is_none_does_not_replace_a_value),
		cmocka_unit_test(the_value_before_stays_known_and_whoever_shares_it_has_it),
		cmocka_unit_test(what_is_no_message_of_the_keepers_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
