// SPDX-License-Identifier: GPL-2.0-or-later
/* The origin's leg beside the rules: servers that are none, sessions, its settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>

#include "tests/support/origin_scene.h"

/* ---- servers that OpenSSL would not play: the first bytes of their answer ---- */

/* A ServerHello without a session id, or nothing of TLS at all. */
static struct origin_outcome answer_by_hand(const void *bytes, size_t len)
{
	static const struct origin_row plain = {.title = "by hand"};
	struct origin_chain chain = origin_scene_forge(&plain);
	struct tls_origin_leg *leg = origin_scene_leg(&plain, &chain);
	struct origin_outcome o = {.verdict = 1};
	char memory[4096];
	SSL *client;
	int fds[2], result;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client = tls_origin_leg_connect(leg, ORIGIN_HOST);
	assert_false(SSL_get_mode(client) & SSL_MODE_AUTO_RETRY);
	SSL_set_fd(client, fds[0]);
	assert_int_equal(SSL_do_handshake(client), -1);
	if (len)
		assert_int_equal(write(fds[1], bytes, len), (ssize_t)len);
	shutdown(fds[1], SHUT_WR);
	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(client);
	assert_true(result <= 0);
	o.verdict = tls_origin_verdict(client, errno, &o.why, &o.name);
	assert_true(SSL_write(client, "secret", 6) <= 0);
	ERR_clear_error();
	/* Nothing but handshake records and alerts came. */
	n = read(fds[1], memory, sizeof(memory));
	for (ssize_t at = 0; at + 5 <= n;) {
		assert_int_not_equal(memory[at], 23);
		at += 5 + ((unsigned char)memory[at + 3] << 8 | (unsigned char)memory[at + 4]);
	}
	SSL_free(client);
	close(fds[0]);
	close(fds[1]);
	tls_origin_leg_free(leg);
	origin_scene_free(&chain);
	return o;
}

static void rule_10_what_was_not_offered_is_not_taken(void **state)
{
	static const struct {
		const char *title, *verdict;
		uint16_t version, cipher;
		uint8_t compression;
		bool renegotiation_info;
	} rows[] = {
		{"TLS 1.1", "protocol_version", 0x0302, 0xc009, 0, true},
		{"SSL 3.0", "protocol_version", 0x0300, 0x0005, 0, true},
		{"RC4", "no_common_cipher", 0x0303, 0xc011, 0, true},
		{"3DES", "no_common_cipher", 0x0303, 0xc012, 0, true},
		{"NULL", "no_common_cipher", 0x0303, 0xc010, 0, true},
		{"export", "no_common_cipher", 0x0303, 0x0003, 0, true},
		{"anonymous", "no_common_cipher", 0x0303, 0xc018, 0, true},
		{"DHE", "no_common_cipher", 0x0303, 0x009e, 0, true},
		{"CBC", "no_common_cipher", 0x0303, 0xc013, 0, true},
		{"compression", "compression", 0x0303, 0xc02f, 1, true},
		{"no secure renegotiation", "no_secure_renegotiation", 0x0303, 0xc02f, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned char hello[] = {22, 3, 3, 0, 0, 2, 0, 0, 0, 3, 3, [43] = 0, 0, 0,
			0, [47] = 0, 5, 0xff, 1, 0, 1, 0};
		size_t len = rows[i].renegotiation_info ? sizeof(hello) : 47;
		struct origin_outcome o;

		hello[4] = (unsigned char)(len - 5);
		hello[8] = (unsigned char)(len - 9);
		hello[9] = (unsigned char)(rows[i].version >> 8);
		hello[10] = (unsigned char)rows[i].version;
		hello[44] = (unsigned char)(rows[i].cipher >> 8);
		hello[45] = (unsigned char)rows[i].cipher;
		hello[46] = rows[i].compression;
		o = answer_by_hand(hello, len);
		assert_true(o.verdict < 0);
		if (strcmp(o.name, rows[i].verdict))
			fail_msg("%s: %s: %s", rows[i].title, o.name, o.why.text);
	}
}

static void what_is_not_tls_has_its_names(void **state)
{
	struct origin_outcome o = answer_by_hand("HTTP/1.1 400 Bad Request\r\n\r\n", 28);

	(void)state;
	assert_string_equal(o.name, "not_tls");
	assert_int_equal(o.verdict, -EPROTO);
	o = answer_by_hand("", 0);
	assert_string_equal(o.name, "closed");
	assert_int_equal(o.verdict, -ECONNRESET);
	/* An alert: handshake_failure. */
	o = answer_by_hand("\x15\x03\x03\x00\x02\x02\x28", 7);
	assert_string_equal(o.name, "no_common_cipher");
}

/* ---- sessions ---- */

static void sessions_are_resumed_at_the_same_host_only(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct origin_row row = {.title = "sessions",
			.most = versions[i],
			.leaf.alternative = "DNS:*.openai.azure.com"};
		struct origin_chain chain = origin_scene_forge(&row);
		SSL_CTX *server = origin_scene_server(&row, &chain, NULL);
		struct tls_origin_leg *leg = origin_scene_leg(&row, &chain);
		struct origin_outcome o = origin_scene_call(leg, server, "a.openai.azure.com");

		if (o.verdict)
			fail_msg("%s: %s", o.name, o.why.text);
		assert_false(o.reused);
		for (int again = 0; again < 3; again++) {
			o = origin_scene_call(leg, server, "A.openai.azure.com");
			if (o.verdict)
				fail_msg("%s: %s", o.name, o.why.text);
			assert_true(o.reused);
			assert_int_equal(o.bytes, 5);
		}
		o = origin_scene_call(leg, server, "b.openai.azure.com");
		assert_int_equal(o.verdict, 0);
		assert_false(o.offered || o.reused);
		tls_origin_leg_free(leg);
		SSL_CTX_free(server);
		origin_scene_free(&chain);
	}
}

static void a_refused_origin_leaves_no_session(void **state)
{
	const struct origin_row row = {.title = "refused", .leaf.extended = "clientAuth"};
	struct origin_chain chain = origin_scene_forge(&row);
	SSL_CTX *server = origin_scene_server(&row, &chain, NULL);
	struct tls_origin_leg *leg = origin_scene_leg(&row, &chain);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct origin_outcome o = origin_scene_call(leg, server, ORIGIN_HOST);

		assert_string_equal(o.name, "purpose");
		assert_false(o.offered);
	}
	tls_origin_leg_free(leg);
	SSL_CTX_free(server);
	origin_scene_free(&chain);
}

/* ---- the leg itself ---- */

static void no_connection_to_what_is_no_host(void **state)
{
	static const struct origin_row plain = {.title = "plain"};
	struct origin_chain chain = origin_scene_forge(&plain);
	struct tls_origin_leg *leg = origin_scene_leg(&plain, &chain);

	(void)state;
	assert_null(tls_origin_leg_connect(leg, "10.0.0.1"));
	assert_null(tls_origin_leg_connect(leg, "*.openai.azure.com"));
	assert_null(tls_origin_leg_connect(leg, ".openai.azure.com"));
	assert_null(tls_origin_leg_connect(leg, ""));
	tls_origin_leg_free(leg);
	origin_scene_free(&chain);
}

static void bad_roots_are_refused_with_a_reason(void **state)
{
	struct forge_file empty = forge_file(SLICE("nothing\n"));
	char *paths[] = {empty.path}, absent[] = "/nonexistent/roots.pem";
	struct config config = {0};
	struct why why = {""};

	(void)state;
	assert_null(tls_origin_leg_new(&config, -1, &why));
	assert_non_null(strstr(why.text, "tls.system_roots"));
	config.tls.origin_roots = paths;
	config.tls.norigin_roots = 1;
	assert_null(tls_origin_leg_new(&config, -1, &why));
	assert_non_null(strstr(why.text, "no certificate"));
	paths[0] = absent;
	assert_null(tls_origin_leg_new(&config, -1, &why));
	assert_non_null(strstr(why.text, "/nonexistent/roots.pem"));
	close(empty.fd);
}

static void the_systems_roots_are_read(void **state)
{
	struct config config = {.tls.system_roots = true};
	struct tls_origin_leg *leg;
	struct why why = {""};

	(void)state;
	if (access("/etc/ssl/certs/ca-certificates.crt", R_OK))
		skip();
	leg = tls_origin_leg_new(&config, -1, &why);
	if (!leg)
		fail_msg("%s", why.text);
	tls_origin_leg_free(leg);
}

static void verdicts_have_names(void **state)
{
	size_t n = 0;

	(void)state;
	while (tls_origin_verdict_name(n))
		assert_true(strlen(tls_origin_verdict_name(n++)) > 0);
	assert_true(n > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_10_what_was_not_offered_is_not_taken),
		cmocka_unit_test(what_is_not_tls_has_its_names),
		cmocka_unit_test(sessions_are_resumed_at_the_same_host_only),
		cmocka_unit_test(a_refused_origin_leaves_no_session),
		cmocka_unit_test(no_connection_to_what_is_no_host),
		cmocka_unit_test(bad_roots_are_refused_with_a_reason),
		cmocka_unit_test(the_systems_roots_are_read),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
