// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "tls/clienthello.h"
#include "tls/host_name.h"

/* The first flight of OpenSSL's own client. */
static struct buf openssl_hello(const char *name, bool tls13, const char *alpn, size_t alpn_len)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct buf bytes = BUF_EMPTY;
	char *data;
	long len;

	assert_non_null(context);
	SSL_CTX_set_max_proto_version(context, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	ssl = SSL_new(context);
	assert_non_null(ssl);
	if (name)
		SSL_set_tlsext_host_name(ssl, name);
	if (alpn)
		SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)alpn_len);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	assert_int_equal(SSL_do_handshake(ssl), -1);
	len = BIO_get_mem_data(out, &data);
	assert_int_equal(buf_append(&bytes, data, (size_t)len), 0);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return bytes;
}

static void append_number(struct buf *b, size_t number, unsigned bytes)
{
	while (bytes--) {
		char c = (char)(number >> 8 * bytes);

		assert_int_equal(buf_append(b, &c, 1), 0);
	}
}

/* One handshake record per n bytes of the message inside a single-record hello. */
static struct buf split(struct slice hello, size_t n)
{
	struct slice message = slice_after(hello, 5);
	struct buf out = BUF_EMPTY;

	while (message.len) {
		struct slice part = slice_first(message, n);

		append_number(&out, 0x160301, 3);
		append_number(&out, part.len, 2);
		buf_append_slice(&out, part);
		message = slice_after(message, n);
	}
	return out;
}

/* A hello with only these extensions. */
static struct buf hello_with(struct slice extensions, size_t version)
{
	struct buf out = BUF_EMPTY;
	size_t body = 2 + 32 + 1 + 4 + 2 + 2 + extensions.len;

	append_number(&out, 0x160301, 3);
	append_number(&out, body + 4, 2);
	append_number(&out, 1, 1);
	append_number(&out, body, 3);
	append_number(&out, version, 2);
	for (int i = 0; i < 33; i++)
		append_number(&out, 0, 1);
	append_number(&out, 2, 2);
	append_number(&out, 0x1301, 2);
	append_number(&out, 0x0100, 2);
	append_number(&out, extensions.len, 2);
	buf_append_slice(&out, extensions);
	return out;
}

static void append_sni(struct buf *b, struct slice name)
{
	append_number(b, 0, 2);
	append_number(b, name.len + 5, 2);
	append_number(b, name.len + 3, 2);
	append_number(b, 0, 1);
	append_number(b, name.len, 2);
	buf_append_slice(b, name);
}

static void reads_what_openssl_offers(void **state)
{
	struct buf b = openssl_hello("API.openai.COM", true, "\2h2\10http/1.1", 12);
	struct clienthello hello;

	(void)state;
	assert_int_equal(clienthello_parse(buf_slice(&b), &hello), CLIENTHELLO_OK);
	assert_true(hello.has_sni && hello.sni_valid);
	assert_string_equal(hello.sni, "api.openai.com");
	assert_true(hello.alpn_present && hello.alpn_h1 && hello.alpn_h2);
	assert_int_equal(hello.version_max, 0x0304);
	assert_false(hello.has_ech);
	buf_free(&b);
}

static void reads_tls12_without_sni_and_alpn(void **state)
{
	struct buf b = openssl_hello(NULL, false, NULL, 0);
	struct clienthello hello;

	(void)state;
	assert_int_equal(clienthello_parse(buf_slice(&b), &hello), CLIENTHELLO_OK);
	assert_false(hello.has_sni || hello.sni_valid || hello.alpn_present);
	assert_string_equal(hello.sni, "");
	assert_int_equal(hello.version_max, 0x0303);
	buf_free(&b);
}

/* The hello of a client of OpenSSL that was told these: NULL is its default. */
static bool takes_ecdsa(long version_max, const char *suites, const char *signatures)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct clienthello hello;
	SSL *ssl;
	char *data;
	long len;

	SSL_CTX_set_max_proto_version(context, version_max);
	if (suites)
		assert_int_equal(SSL_CTX_set_cipher_list(context, suites), 1);
	if (signatures)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(context, signatures), 1);
	ssl = SSL_new(context);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	len = BIO_get_mem_data(out, &data);
	assert_int_equal(clienthello_parse(slice_of(data, (size_t)len), &hello), CLIENTHELLO_OK);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return hello.ecdsa;
}

static void knows_who_takes_rsa_only(void **state)
{
	static const char rsa[] = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";

	(void)state;
	assert_true(takes_ecdsa(TLS1_3_VERSION, NULL, NULL));
	assert_true(takes_ecdsa(TLS1_2_VERSION, NULL, NULL));
	/* The suites of TLS 1.2 say nothing where 1.3 is offered too. */
	assert_true(takes_ecdsa(TLS1_3_VERSION, rsa, NULL));
	assert_false(takes_ecdsa(TLS1_2_VERSION, rsa, NULL));
	assert_false(takes_ecdsa(TLS1_3_VERSION, NULL, "rsa_pss_rsae_sha256:RSA+SHA256"));
	assert_false(takes_ecdsa(TLS1_2_VERSION, NULL, "rsa_pss_rsae_sha256:RSA+SHA256"));
	assert_true(takes_ecdsa(TLS1_2_VERSION, NULL, "ECDSA+SHA384"));
	assert_false(takes_ecdsa(TLS1_3_VERSION, NULL, "ECDSA+SHA384:rsa_pss_rsae_sha256"));
	assert_true(takes_ecdsa(TLS1_3_VERSION, NULL, "ECDSA+SHA256:rsa_pss_rsae_sha256"));
}

static void asks_for_more_at_every_cut_and_split(void **state)
{
	static const size_t parts[] = {1, 2, 3, 64, 500, 16384};
	struct buf whole = openssl_hello("chat.openai.azure.com", true, NULL, 0);
	struct clienthello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		struct buf b = split(buf_slice(&whole), parts[i]);
		struct slice bytes = buf_slice(&b);

		for (size_t cut = 0; cut < bytes.len; cut++)
			assert_int_equal(clienthello_parse(slice_first(bytes, cut), &hello),
				CLIENTHELLO_MORE);
		assert_int_equal(clienthello_parse(bytes, &hello), CLIENTHELLO_OK);
		assert_string_equal(hello.sni, "chat.openai.azure.com");
		buf_free(&b);
	}
	buf_free(&whole);
}

static void ignores_what_follows_the_hello(void **state)
{
	struct buf b = openssl_hello("api.openai.com", true, NULL, 0);
	struct clienthello hello;

	(void)state;
	append_number(&b, 0x140303000101, 6); /* early data is preceded by this */
	assert_int_equal(clienthello_parse(buf_slice(&b), &hello), CLIENTHELLO_OK);
	buf_free(&b);
}

static void tells_what_is_not_tls(void **state)
{
	static const struct slice inputs[] = {{"GET / HTTP/1.1\r\n\r\n", 18}, {"SSH-2.0-x\r\n", 11},
		{"\x80\x2e\x01\x03\x01", 5}, {"\x16\x02\x01", 3},
		{"\x15\x03\x01\x00\x02\x01\x00", 7}, {"\0", 1}};
	struct clienthello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++)
		assert_int_equal(clienthello_parse(inputs[i], &hello), CLIENTHELLO_NOT_TLS);
	assert_int_equal(clienthello_parse(SLICE_NONE, &hello), CLIENTHELLO_MORE);
	assert_int_equal(clienthello_parse(SLICE("\x16"), &hello), CLIENTHELLO_MORE);
}

static void refuses_malformed_records(void **state)
{
	static const struct slice inputs[] = {{"\x16\x03\x01\x00\x00", 5}, /* empty record */
		{"\x16\x03\x01\x40\x01", 5},				   /* over 2^14 */
		{"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9},		   /* a ServerHello */
		{"\x16\x03\x01\x00\x09\x01\x00\x00\x04\x03", 10}, /* two messages in a record */
		{"\x16\x03\x01\x00\x01\x01\x15\x03\x01", 9},	  /* an alert in the middle */
		{"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", 11} /* too short to be one */};
	struct clienthello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++)
		assert_int_equal(clienthello_parse(inputs[i], &hello), CLIENTHELLO_MALFORMED);
}

static void refuses_what_never_ends(void **state)
{
	struct slice announced = SLICE("\x16\x03\x01\x40\x00\x01\x00\x40\x00\x03\x03");
	struct buf b = BUF_EMPTY;
	struct clienthello hello;

	(void)state;
	assert_int_equal(clienthello_parse(announced, &hello), CLIENTHELLO_TOO_LONG);
	/* Six bytes on the wire for each byte of a message that would be short enough. */
	append_number(&b, 0x1603010004, 5);
	append_number(&b, 0x01000f00, 4);
	while (buf_len(&b) < CLIENTHELLO_MAX) {
		append_number(&b, 0x1603010001, 5);
		append_number(&b, 3, 1);
	}
	assert_int_equal(clienthello_parse(slice_first(buf_slice(&b), CLIENTHELLO_MAX - 1), &hello),
		CLIENTHELLO_MORE);
	assert_int_equal(clienthello_parse(buf_slice(&b), &hello), CLIENTHELLO_TOO_LONG);
	buf_free(&b);
}

static void keeps_a_name_that_is_no_host_name_out(void **state)
{
	static const struct slice names[] = {{"a\0.openai.com", 13}, {"a,DNS:b.com", 11},
		{"192.0.2.1", 9}, {"-a.com", 6}, {"a..com", 6}, {"*.openai.com", 12},
		{"a_b.com", 7}, {"\xc3\xa4.com", 6}};
	struct clienthello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct buf extensions = BUF_EMPTY, b;

		append_sni(&extensions, names[i]);
		b = hello_with(buf_slice(&extensions), 0x0303);
		assert_int_equal(clienthello_parse(buf_slice(&b), &hello), CLIENTHELLO_OK);
		assert_true(hello.has_sni);
		assert_false(hello.sni_valid);
		assert_string_equal(hello.sni, "");
		buf_free(&b);
		buf_free(&extensions);
	}
}

static void refuses_malformed_extensions(void **state)
{
	static const struct slice extensions[] = {{"\0\0\0\0", 4}, /* server_name without a list */
		{"\0\0\0\2\0\0", 6},				   /* an empty list */
		{"\0\0\0\6\0\4\1\0\1a", 10},			   /* a name type nobody knows */
		{"\0\0\0\5\0\3\0\0\0", 9},			   /* an empty name */
		{"\0\0\0\12\0\10\0\0\1a\0\0\1b", 14},		   /* two names */
		{"\0\0\0\7\0\4\0\0\1ax", 11},			   /* a byte behind the list */
		{"\0\0\0\6\0\4\0\0\1a\0\0\0\6\0\4\0\0\1b", 20},	   /* server_name twice */
		{"\0\20\0\2\0\0", 6},				   /* ALPN without a protocol */
		{"\0\20\0\3\0\1\0", 7},				   /* an empty protocol */
		{"\0\53\0\2\1\3", 6},				   /* half a version */
		{"\0\53\0\3\2\3\4\0\53\0\3\2\3\3", 14},		   /* versions twice */
		{"\0\53\0\3\2\3", 6},				   /* over the end */
		{"\0", 1}};
	struct clienthello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
		struct buf b = hello_with(extensions[i], 0x0303);

		if (clienthello_parse(buf_slice(&b), &hello) != CLIENTHELLO_MALFORMED)
			fail_msg("extension %zu was not refused", i);
		buf_free(&b);
	}
}

static void sees_ech_and_skips_grease(void **state)
{
	struct buf b = hello_with(SLICE("\x0a\x0a\0\0"
					"\0\x2b\0\7\6\x7a\x7a\3\4\3\3"
					"\xfe\x0d\0\2\0\1"),
		0x0303);
	struct clienthello hello;

	(void)state;
	assert_int_equal(clienthello_parse(buf_slice(&b), &hello), CLIENTHELLO_OK);
	assert_true(hello.has_ech);
	assert_int_equal(hello.version_max, 0x0304);
	buf_free(&b);
}

static void judges_host_names(void **state)
{
	static const struct {
		const char *input, *name; /* NULL: refused */
	} rows[] = {{"API.OpenAI.com", "api.openai.com"}, {"a.b.", "a.b"},
		{"localhost", "localhost"}, {"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"1.example", "1.example"}, {"", NULL}, {".", NULL}, {".a", NULL}, {"a..b", NULL},
		{"a-.b", NULL}, {"a.b-", NULL}, {"a.-b", NULL}, {"a.1", NULL}, {"10.0.0.1", NULL},
		{"::1", NULL}, {"a b", NULL}, {"a/b", NULL}, {"a.b..", NULL}};
	char name[HOST_NAME_SIZE], longest[260];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool valid = host_name_read(slice_of_string(rows[i].input), name);

		if (valid != !!rows[i].name)
			fail_msg("\"%s\"", rows[i].input);
		assert_string_equal(name, valid ? rows[i].name : "");
	}
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 64 == 63 ? '.' : 'a';
	assert_true(host_name_read(slice_of(longest, 253), name));
	assert_false(host_name_read(slice_of(longest, 254), name));
	longest[63] = 'a';
	assert_false(host_name_read(slice_of(longest, 100), name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_openssl_offers),
		cmocka_unit_test(reads_tls12_without_sni_and_alpn),
		cmocka_unit_test(knows_who_takes_rsa_only),
		cmocka_unit_test(asks_for_more_at_every_cut_and_split),
		cmocka_unit_test(ignores_what_follows_the_hello),
		cmocka_unit_test(tells_what_is_not_tls),
		cmocka_unit_test(refuses_malformed_records),
		cmocka_unit_test(refuses_what_never_ends),
		cmocka_unit_test(keeps_a_name_that_is_no_host_name_out),
		cmocka_unit_test(refuses_malformed_extensions),
		cmocka_unit_test(sees_ech_and_skips_grease),
		cmocka_unit_test(judges_host_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
