// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "audit/forward_handshake.h"

#define HOST SLICE("gate")
#define KEY  SLICE("key")

/* Both sides, each with its key and name: what the sender makes of it. */
static enum forward_pong greet(struct slice sender_key, struct slice receiver_key, struct slice receiver)
{
	struct buf hello = BUF_EMPTY, ping = BUF_EMPTY, pong = BUF_EMPTY;
	struct forward_nonce nonce, salt;
	struct forward_ping read;
	enum forward_pong result;
	struct slice got;

	assert_int_equal(forward_nonce_make(&nonce), 0);
	assert_int_equal(forward_nonce_make(&salt), 0);
	assert_int_equal(forward_hello_write(&hello, &nonce), 0);
	assert_true(forward_hello_read(buf_slice(&hello), &got));
	assert_int_equal(forward_ping_write(&ping, HOST, &salt, got, sender_key), 0);
	assert_true(forward_ping_read(buf_slice(&ping), &nonce, receiver_key, &read));
	assert_int_equal(read.key_right, slice_equal(sender_key, receiver_key));
	assert_int_equal(forward_pong_write(&pong, &read, receiver, &nonce, receiver_key), 0);
	result = forward_pong_read(buf_slice(&pong), HOST, &salt, got, sender_key);
	buf_free(&hello);
	buf_free(&ping);
	buf_free(&pong);
	return result;
}

static void both_prove_the_key(void **state)
{
	(void)state;
	assert_int_equal(greet(KEY, KEY, SLICE("collector")), FORWARD_PONG_OK);
}

static void another_key_is_refused(void **state)
{
	(void)state;
	assert_int_equal(greet(KEY, SLICE("other"), SLICE("collector")), FORWARD_PONG_REFUSED);
}

/* A stranger could send our own PING's digest back under our own name. */
static void a_receiver_of_our_name_is_none(void **state)
{
	(void)state;
	assert_int_equal(greet(KEY, KEY, HOST), FORWARD_PONG_BAD);
}

/* Computed by another program: printf 'salthostnoncekey' | sha512sum. */
static void the_digest_is_that_of_the_protocol(void **state)
{
	static const char ping[] =
		"\x96\xa4PING\xa4host\xc4\x04salt\xd9\x80"
		"22ec4f9c36a2f046a7b4655800a5ddfb182586919b3cd9677fdec97a04c86982"
		"043491985b89d8ad2ca716289d8daf1521a9bd98ef009f54d9db291d83284e98"
		"\xa0\xa0";
	const struct forward_nonce nonce = {"nonce"};
	struct forward_ping read;

	(void)state;
	assert_true(forward_ping_read(
		slice_of(ping, sizeof(ping) - 1), &nonce, KEY, &read));
	assert_true(slice_equal(read.salt, SLICE("salt")));
	assert_true(read.key_right);
}

static void a_pong_without_proof_is_bad(void **state)
{
	static const struct slice cases[] = {SLICE("\x95\xa4PONG\xc3\xa0\xa1r\xa1x"),
		SLICE("\x95\xa4PONG\xc3\xa0\xa1r\xa0"), SLICE("\x94\xa4PONG\xc3\xa0\xa1r"),
		SLICE("\x95\xa4PING\xc3\xa0\xa1r\xa1x"), SLICE("\x80"), SLICE("\xc0"),
		SLICE("\x95\xa4PONG\x01\xa0\xa1r\xa1x")};
	struct forward_nonce salt;

	(void)state;
	assert_int_equal(forward_nonce_make(&salt), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(forward_pong_read(cases[i], HOST, &salt, SLICE("n"), KEY),
			FORWARD_PONG_BAD);
}

static void what_is_no_hello_or_ping_is_refused(void **state)
{
	static const struct slice cases[] = {SLICE("\x80"), SLICE("\x91\xa4HELO"),
		SLICE("\x92\xa4HELO\x80"), SLICE("\x92\xa4HELO\x81\xa5nonce\x01"),
		SLICE("\x94\xa4PING\xa1h\xa1s\x01"), SLICE("\x93\xa1t\x90\x80")};
	const struct forward_nonce nonce = {"n"};
	struct forward_ping ping;
	struct slice got;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(forward_hello_read(cases[i], &got));
		assert_false(forward_ping_read(cases[i], &nonce, KEY, &ping));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_prove_the_key),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(a_receiver_of_our_name_is_none),
		cmocka_unit_test(the_digest_is_that_of_the_protocol),
		cmocka_unit_test(a_pong_without_proof_is_bad),
		cmocka_unit_test(what_is_no_hello_or_ping_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
