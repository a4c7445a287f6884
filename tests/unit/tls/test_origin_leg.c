// SPDX-License-Identifier: GPL-2.0-or-later
/* Every rule of the origin's side, with a real handshake against a forged chain: the verdict has
 * the expected name, and no byte of the application reaches the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/support/forge.h"
#include "tls/origin_leg.h"

#define HOST "chat.openai.azure.com"

enum other { THE_ROOT, SAME_NAME, OTHER_NAME };
enum own { NOT_OWN, OWN_ROOT, OWN_MIDDLE };
enum staple { NO_STAPLE, GOOD, REVOKED, OLD_REVOKED, OLD_GOOD, FOREIGN_REVOKED };

/* What is not said is as a good origin has it. */
struct row {
	const char *title;
	const char *verdict; /* NULL: verified */
	struct forge root, middle, leaf;
	bool no_middle;	       /* the root issues the leaf */
	bool self_signed;      /* nobody issues it */
	enum other other_root; /* which one is trusted instead */
	bool nothing_sent;     /* the middle is not sent along */
	enum own own;	       /* which authority is our own */
	bool crl;	       /* the middle's CRL is configured, and names the leaf */
	bool old_crl;
	enum staple staple;
	int most;	     /* the server's highest version */
	const char *ciphers; /* the server's, for TLS 1.2 */
	const char *host;
};

/* ---- the server ---- */

struct chain {
	struct forged root, other_root, middle, leaf;
};

static struct forge with_defaults(struct forge f, bool authority, const char *name)
{
	f.authority = authority;
	if (!f.name)
		f.name = name;
	if (!authority && !f.alternative && !f.raw_name.len)
		f.alternative = "DNS:" HOST;
	return f;
}

static struct chain forge_chain(const struct row *row)
{
	struct forge root = with_defaults(row->root, true, "Root");
	struct forge middle = with_defaults(row->middle, true, "Middle");
	struct forge leaf = with_defaults(row->leaf, false, "leaf");
	struct forge stranger = {.authority = true, .name = "Stranger"};
	struct chain chain = {.root = forge(&root, NULL)};

	if (row->other_root)
		chain.other_root = forge(row->other_root == SAME_NAME ? &root : &stranger, NULL);
	if (!row->no_middle)
		chain.middle = forge(&middle, &chain.root);
	chain.leaf = forge(&leaf, row->self_signed ? NULL
				  : row->no_middle ? &chain.root
						   : &chain.middle);
	return chain;
}

static void free_chain(struct chain *chain)
{
	forged_free(&chain->root);
	forged_free(&chain->other_root);
	forged_free(&chain->middle);
	forged_free(&chain->leaf);
}

static int make_staple(SSL *ssl, void *context)
{
	const struct row *row = ((void **)context)[0];
	struct chain *chain = ((void **)context)[1];
	bool old = row->staple == OLD_REVOKED || row->staple == OLD_GOOD;
	bool good = row->staple == GOOD || row->staple == OLD_GOOD;
	struct forged *issuer = row->no_middle ? &chain->root : &chain->middle;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), chain->leaf.certificate, issuer->certificate);
	ASN1_TIME *from = X509_gmtime_adj(NULL, old ? -9 * 86400 : -3600);
	ASN1_TIME *until = X509_gmtime_adj(NULL, old ? -8 * 86400 : 86400);
	EVP_PKEY *stranger = forge_key(NULL);
	struct forged other = {NULL, NULL};
	OCSP_RESPONSE *response;
	unsigned char *der = NULL;
	int len;

	OCSP_basic_add1_status(basic, id, good ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED,
		0, good ? NULL : from, from, until);
	if (row->staple == FOREIGN_REVOKED) {
		other = forge(&(struct forge){.authority = true, .name = "stranger"}, NULL);
		issuer = &other;
	}
	assert_int_equal(
		OCSP_basic_sign(basic, issuer->certificate, issuer->key, EVP_sha256(), NULL, 0), 1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	len = i2d_OCSP_RESPONSE(response, &der);
	SSL_set_tlsext_status_ocsp_resp(ssl, der, len);
	OCSP_RESPONSE_free(response);
	OCSP_CERTID_free(id);
	OCSP_BASICRESP_free(basic);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	EVP_PKEY_free(stranger);
	forged_free(&other);
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_server(const struct row *row, struct chain *chain, void **context)
{
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(server, 0);
	SSL_CTX_set_min_proto_version(server, 0);
	SSL_CTX_set_max_proto_version(server, row->most ? row->most : TLS1_3_VERSION);
	SSL_CTX_set_dh_auto(server, 1);
	if (row->ciphers)
		assert_int_equal(SSL_CTX_set_cipher_list(server, row->ciphers), 1);
	assert_int_equal(SSL_CTX_use_certificate(server, chain->leaf.certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, chain->leaf.key), 1);
	if (chain->middle.certificate && !row->nothing_sent)
		SSL_CTX_add1_chain_cert(server, chain->middle.certificate);
	SSL_CTX_set_session_id_context(server, (const unsigned char *)"t", 1);
	if (row->staple) {
		context[0] = (void *)(uintptr_t)row;
		context[1] = chain;
		SSL_CTX_set_tlsext_status_cb(server, make_staple);
		SSL_CTX_set_tlsext_status_arg(server, context);
	}
	return server;
}

/* ---- the appliance ---- */

static void append_crl(struct buf *pem, struct chain *chain, bool old)
{
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, old ? -9 * 86400 : -3600);
	ASN1_TIME *until = X509_gmtime_adj(NULL, old ? -8 * 86400 : 86400);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(chain->middle.certificate));
	X509_CRL_set1_lastUpdate(crl, from);
	X509_CRL_set1_nextUpdate(crl, until);
	X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(chain->leaf.certificate));
	X509_REVOKED_set_revocationDate(revoked, from);
	if (!old)
		X509_CRL_add0_revoked(crl, revoked);
	else
		X509_REVOKED_free(revoked);
	assert_true(X509_CRL_sign(crl, chain->middle.key, EVP_sha256()) > 0);
	PEM_write_bio_X509_CRL(bio, crl);
	len = BIO_get_mem_data(bio, &text);
	buf_append(pem, text, (size_t)len);
	BIO_free(bio);
	X509_CRL_free(crl);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
}

static struct tls_origin_leg *make_leg(const struct row *row, struct chain *chain)
{
	const X509 *trusted =
		row->other_root ? chain->other_root.certificate : chain->root.certificate;
	const X509 *own =
		row->own == OWN_ROOT ? chain->root.certificate : chain->middle.certificate;
	struct forge_file own_file = {.fd = -1}, file;
	struct config config = {0};
	struct tls_origin_leg *leg;
	struct buf pem = BUF_EMPTY;
	struct why why = {""};
	char *paths[1];
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	PEM_write_bio_X509(bio, trusted);
	len = BIO_get_mem_data(bio, &text);
	buf_append(&pem, text, (size_t)len);
	BIO_free(bio);
	if (row->crl || row->old_crl)
		append_crl(&pem, chain, row->old_crl);
	file = forge_file(buf_slice(&pem));
	if (row->own)
		own_file = forge_certificates(&own, 1);
	paths[0] = file.path;
	config.tls.origin_roots = paths;
	config.tls.norigin_roots = 1;
	leg = tls_origin_leg_new(&config, own_file.fd, &why);
	if (!leg)
		fail_msg("%s: %s", row->title, why.text);
	close(file.fd);
	if (own_file.fd >= 0)
		close(own_file.fd);
	buf_free(&pem);
	return leg;
}

/* ---- one connection ---- */

struct outcome {
	int verdict;
	const char *name;
	struct why why;
	int bytes; /* of the application, that the server saw */
	bool reused;
	bool offered; /* a session */
};

static bool shake(SSL *ssl, int *error)
{
	int result;

	if (*error != SSL_ERROR_WANT_READ)
		return false;
	ERR_clear_error();
	result = SSL_do_handshake(ssl);
	*error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);
	return true;
}

/* What the worker does: handshake, verdict, and bytes only after it. */
static struct outcome call(struct tls_origin_leg *leg, SSL_CTX *server_context, const char *host)
{
	struct outcome o = {.verdict = 1};
	int fds[2], client_error = SSL_ERROR_WANT_READ, server_error = SSL_ERROR_WANT_READ, n;
	SSL *client, *server = SSL_new(server_context);
	char memory[64];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client = tls_origin_leg_connect(leg, host, fds[0]);
	assert_non_null(client);
	o.offered = SSL_get_session(client);
	SSL_set_fd(server, fds[1]);
	SSL_set_accept_state(server);
	for (int i = 0; i < 10; i++) {
		if (shake(client, &client_error) && client_error != SSL_ERROR_WANT_READ)
			o.verdict = tls_origin_verdict(client, errno, &o.why, &o.name);
		if (client_error != SSL_ERROR_WANT_READ && client_error != SSL_ERROR_NONE) {
			/* A worker that would write in spite of the verdict does not get anywhere.
			 */
			assert_true(SSL_write(client, "secret", 6) <= 0);
			shutdown(fds[0], SHUT_WR);
		}
		shake(server, &server_error);
		ERR_clear_error();
	}
	assert_int_not_equal(o.verdict, 1);
	o.reused = SSL_session_reused(client);
	if (o.verdict == 0) {
		assert_int_equal(SSL_write(client, "hello", 5), 5);
		if (SSL_write(server, "answer", 6) == 6)
			assert_int_equal(SSL_read(client, memory, sizeof(memory)), 6);
	}
	while ((n = SSL_read(server, memory, sizeof(memory))) > 0)
		o.bytes += n;
	ERR_clear_error();
	/* Without close_notify, as connections end in practice. */
	SSL_free(client);
	SSL_free(server);
	close(fds[0]);
	close(fds[1]);
	return o;
}

static void judge(const struct row *row)
{
	struct chain chain = forge_chain(row);
	void *context[2];
	SSL_CTX *server = make_server(row, &chain, context);
	struct tls_origin_leg *leg = make_leg(row, &chain);
	struct outcome o = call(leg, server, row->host ? row->host : HOST);

	if (!row->verdict && o.verdict)
		fail_msg("%s: %s: %s", row->title, o.name, o.why.text);
	if (row->verdict && !o.verdict)
		fail_msg("%s: was accepted", row->title);
	if (row->verdict && strcmp(row->verdict, o.name))
		fail_msg(
			"%s: expected %s, is %s: %s", row->title, row->verdict, o.name, o.why.text);
	if (o.bytes != (row->verdict ? 0 : 5))
		fail_msg("%s: %d bytes were sent", row->title, o.bytes);
	if (row->verdict && !*o.why.text)
		fail_msg("%s: no reason", row->title);
	tls_origin_leg_free(leg);
	SSL_CTX_free(server);
	free_chain(&chain);
}

static void judge_all(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		judge(&rows[i]);
}

#define JUDGE(rows) judge_all(rows, sizeof(rows) / sizeof(*(rows)))

/* ---- the rules, in the order of their numbers ---- */

static void good_origins_are_accepted(void **state)
{
	static const struct row rows[] = {
		{"TLS 1.3", NULL, .most = TLS1_3_VERSION},
		{"TLS 1.2", NULL, .most = TLS1_2_VERSION},
		{"RSA", NULL, .leaf.key = "RSA-2048", .middle.key = "RSA-2048",
			.root.key = "RSA-2048"},
		{"RSA, TLS 1.2", NULL, .leaf.key = "RSA-2048", .most = TLS1_2_VERSION},
		{"P-384", NULL, .leaf.key = "P-384", .root.key = "P-521"},
		{"Ed25519", NULL, .leaf.key = "ED25519"},
		{"wildcard", NULL, .leaf.alternative = "DNS:*.openai.azure.com"},
		{"one name of several", NULL, .leaf.alternative = "DNS:a.example,DNS:" HOST},
		{"issued by the root", NULL, .no_middle = true},
		{"two usages", NULL, .leaf.extended = "clientAuth,serverAuth"},
		{"within permitted names", NULL,
			.middle.constraints = "critical,permitted;DNS:azure.com"},
		{"beside excluded names", NULL,
			.middle.constraints = "critical,excluded;DNS:example.com"},
		{"no subject", NULL, .leaf.name = "", .leaf.alternative = "critical,DNS:" HOST},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_1_somebody_we_trust_issued_it(void **state)
{
	static const struct row rows[] = {
		{"self-signed", "self_signed", .self_signed = true, .no_middle = true},
		{"unknown CA", "unknown_ca", .other_root = OTHER_NAME},
		{"unknown CA, nothing sent", "unknown_ca", .nothing_sent = true},
		{"same name and key id, another key", "bad_signature", .other_root = SAME_NAME,
			.root.subject_id = "01:02:03:04:05:06:07:08", .no_middle = true},
		{"same name, another key", "unknown_ca", .other_root = SAME_NAME,
			.no_middle = true},
		{"bad signature on the leaf", "bad_signature", .leaf.other_key = true},
		{"bad signature on the intermediate", "bad_signature", .middle.other_key = true},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_2_it_is_of_that_name(void **state)
{
	static const struct row rows[] = {
		{"wrong name", "name_mismatch", .leaf.alternative = "DNS:api.openai.com"},
		{"parent domain", "name_mismatch", .leaf.alternative = "DNS:openai.azure.com"},
		{"name only in CN", "name_mismatch", .leaf.name = HOST,
			.leaf.alternative = "email:a@example.com"},
		{"name only in CN, no SAN", "name_mismatch", .leaf.name = HOST,
			.leaf.alternative = ""},
		{"NUL in a name", "name_mismatch",
			.leaf.raw_name = {HOST "\0.example.com", sizeof(HOST) + 12}},
		{"NUL at the end", "name_mismatch", .leaf.raw_name = {HOST "\0", sizeof(HOST)}},
		{"partial wildcard", "name_mismatch",
			.leaf.alternative = "DNS:ch*.openai.azure.com"},
		{"wildcard over two labels", "name_mismatch",
			.leaf.alternative = "DNS:*.azure.com"},
		{"wildcard in the middle", "name_mismatch",
			.leaf.alternative = "DNS:chat.*.azure.com"},
		{"bare wildcard", "name_mismatch", .leaf.alternative = "DNS:*"},
		{"an address", "name_mismatch", .leaf.alternative = "IP:10.0.0.1"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_3_it_is_valid_now(void **state)
{
	static const struct row rows[] = {
		{"leaf expired", "expired", .leaf.from_days = -9, .leaf.until_days = -1},
		{"leaf not yet valid", "not_yet_valid", .leaf.from_days = 1, .leaf.until_days = 9},
		{"intermediate expired", "expired", .middle.from_days = -9,
			.middle.until_days = -1},
		{"intermediate not yet valid", "not_yet_valid", .middle.from_days = 1,
			.middle.until_days = 9},
		{"root expired", "expired", .root.from_days = -9, .root.until_days = -1},
		{"root not yet valid", "not_yet_valid", .root.from_days = 1, .root.until_days = 9},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_4_its_issuers_may_issue(void **state)
{
	static const struct row rows[] = {
		{"CA:FALSE", "issuer_not_ca", .middle.basic = "critical,CA:FALSE"},
		{"no basicConstraints", "issuer_not_ca", .middle.basic = ""},
		{"version 1", "issuer_not_ca", .middle.version = 1},
		{"version 1 root", "issuer_not_ca", .root.version = 1},
		{"no keyCertSign", "issuer_not_ca", .middle.usage = "critical,cRLSign"},
		{"no keyUsage", "not_strict", .middle.usage = ""},
		{"basicConstraints not critical", "not_strict", .middle.basic = "CA:TRUE"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_5_it_is_a_servers(void **state)
{
	static const struct row rows[] = {
		{"EKU without serverAuth", "purpose", .leaf.extended = "clientAuth"},
		{"any EKU", "purpose", .leaf.extended = "anyExtendedKeyUsage"},
		{"no EKU", "purpose", .leaf.extended = ""},
		{"intermediate's EKU without serverAuth", "purpose",
			.middle.extended = "emailProtection"},
		{"unknown critical extension", "critical_extension", .leaf.unknown = "1.2.3.4"},
		{"unknown critical extension of the issuer", "critical_extension",
			.middle.unknown = "1.2.3.4"},
		{"CA:TRUE leaf", "leaf_is_ca", .leaf.basic = "critical,CA:TRUE"},
		{"CA:TRUE leaf with keyCertSign", "leaf_is_ca", .leaf.basic = "critical,CA:TRUE",
			.leaf.usage = "critical,digitalSignature,keyCertSign"},
		{"keyCertSign of no CA", "leaf_is_ca",
			.leaf.usage = "critical,digitalSignature,keyCertSign"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_6_its_names_are_within_constraints(void **state)
{
	static const struct row rows[] = {
		{"not permitted", "name_constraints",
			.middle.constraints = "critical,permitted;DNS:example.com"},
		{"excluded", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:azure.com"},
		{"excluded by the root", "name_constraints",
			.root.constraints = "critical,excluded;DNS:" HOST},
		{"wildcard over an excluded name", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:" HOST,
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"wildcard over another excluded name", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:secret.openai.azure.com",
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"wildcard over an excluded name, by a dot", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:.secret.openai.azure.com",
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"wildcard beside an excluded name", NULL,
			.middle.constraints = "critical,excluded;DNS:a.secret.openai.azure.com",
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"another name outside", "name_constraints",
			.middle.constraints = "critical,permitted;DNS:azure.com",
			.leaf.alternative = "DNS:" HOST ",DNS:example.com"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_7_its_keys_and_signatures_are_strong(void **state)
{
	const struct row rows[] = {
		{"RSA-1024 leaf", "weak_key", .leaf.key = "RSA-1024"},
		{"RSA-1024 intermediate", "weak_key", .middle.key = "RSA-1024"},
		{"RSA-1024 root", "weak_key", .root.key = "RSA-1024"},
		{"RSA-2047 leaf", "weak_key", .leaf.key = "RSA-2040"},
		{"DSA intermediate", "weak_key", .middle.key = "DSA"},
		{"DSA root", "weak_key", .root.key = "DSA"},
		{"secp256k1 intermediate", "weak_key", .middle.key = "secp256k1"},
		{"SHA-1 leaf", "weak_signature", .leaf.digest = EVP_sha1()},
		{"SHA-1 intermediate", "weak_signature", .middle.digest = EVP_sha1()},
		{"MD5 leaf", "weak_signature", .leaf.digest = EVP_md5(), .middle.key = "RSA-2048"},
		{"MD5 intermediate", "weak_signature", .middle.digest = EVP_md5(),
			.root.key = "RSA-2048"},
		{"SHA-1 root, which nobody needs to believe", NULL, .root.digest = EVP_sha1()},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_8_it_is_not_ours(void **state)
{
	static const struct row rows[] = {
		{"our CA, trusted", "own_ca", .own = OWN_ROOT, .no_middle = true},
		{"our CA above an intermediate", "own_ca", .own = OWN_ROOT},
		{"our CA below an enterprise root", "own_ca", .own = OWN_MIDDLE},
		{"our CA, not sent and not trusted", "own_ca", .own = OWN_MIDDLE,
			.nothing_sent = true},
		{"our CA, not trusted", "own_ca", .own = OWN_ROOT, .other_root = SAME_NAME},
		{"our own CA as the server", "own_ca", .own = OWN_ROOT,
			.leaf.basic = "critical,CA:TRUE"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_9_it_is_not_revoked(void **state)
{
	static const struct row rows[] = {
		{"by a staple", "revoked", .staple = REVOKED},
		{"by a staple, TLS 1.2", "revoked", .staple = REVOKED, .most = TLS1_2_VERSION},
		{"by an old staple", "revoked", .staple = OLD_REVOKED},
		{"by a CRL", "revoked", .crl = true},
		{"an expired CRL", "crl_unusable", .old_crl = true},
		{"must-staple without a staple", "no_staple", .leaf.feature = "status_request"},
		{"must-staple without a staple, TLS 1.2", "no_staple",
			.leaf.feature = "status_request", .most = TLS1_2_VERSION},
		{"must-staple with an old one", "no_staple", .leaf.feature = "status_request",
			.staple = OLD_GOOD},
		{"must-staple with a stranger's", "no_staple", .leaf.feature = "status_request",
			.staple = FOREIGN_REVOKED},
		{"must-staple with a good one", NULL, .leaf.feature = "status_request",
			.staple = GOOD},
		{"a good staple", NULL, .staple = GOOD},
		{"an old staple that was good", NULL, .staple = OLD_GOOD},
		{"a stranger's revocation", NULL, .staple = FOREIGN_REVOKED},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_10_the_protocol_is_strong(void **state)
{
	static const struct row rows[] = {
		{"TLS 1.1", "protocol_version", .most = TLS1_1_VERSION},
		{"TLS 1.0", "protocol_version", .most = TLS1_VERSION},
		{"CBC", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "ECDHE-ECDSA-AES128-SHA"},
		{"RSA key exchange", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "AES128-GCM-SHA256", .leaf.key = "RSA-2048"},
		{"DHE", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "DHE-RSA-AES128-GCM-SHA256", .leaf.key = "RSA-2048"},
		{"anonymous", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "ADH-AES128-GCM-SHA256:@SECLEVEL=0"},
		{"NULL", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"},
	};

	(void)state;
	JUDGE(rows);
}

/* ---- servers that OpenSSL would not play: the first bytes of their answer ---- */

/* A ServerHello without a session id, or nothing of TLS at all. */
static struct outcome answer_by_hand(const void *bytes, size_t len)
{
	static const struct row plain = {.title = "by hand"};
	struct chain chain = forge_chain(&plain);
	struct tls_origin_leg *leg = make_leg(&plain, &chain);
	struct outcome o = {.verdict = 1};
	char memory[4096];
	SSL *client;
	int fds[2], result;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client = tls_origin_leg_connect(leg, HOST, fds[0]);
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
	free_chain(&chain);
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
		struct outcome o;

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
	struct outcome o = answer_by_hand("HTTP/1.1 400 Bad Request\r\n\r\n", 28);

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
		const struct row row = {.title = "sessions",
			.most = versions[i],
			.leaf.alternative = "DNS:*.openai.azure.com"};
		struct chain chain = forge_chain(&row);
		SSL_CTX *server = make_server(&row, &chain, NULL);
		struct tls_origin_leg *leg = make_leg(&row, &chain);
		struct outcome o = call(leg, server, "a.openai.azure.com");

		if (o.verdict)
			fail_msg("%s: %s", o.name, o.why.text);
		assert_false(o.reused);
		for (int again = 0; again < 3; again++) {
			o = call(leg, server, "A.openai.azure.com");
			if (o.verdict)
				fail_msg("%s: %s", o.name, o.why.text);
			assert_true(o.reused);
			assert_int_equal(o.bytes, 5);
		}
		o = call(leg, server, "b.openai.azure.com");
		assert_int_equal(o.verdict, 0);
		assert_false(o.offered || o.reused);
		tls_origin_leg_free(leg);
		SSL_CTX_free(server);
		free_chain(&chain);
	}
}

static void a_refused_origin_leaves_no_session(void **state)
{
	const struct row row = {.title = "refused", .leaf.extended = "clientAuth"};
	struct chain chain = forge_chain(&row);
	SSL_CTX *server = make_server(&row, &chain, NULL);
	struct tls_origin_leg *leg = make_leg(&row, &chain);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct outcome o = call(leg, server, HOST);

		assert_string_equal(o.name, "purpose");
		assert_false(o.offered);
	}
	tls_origin_leg_free(leg);
	SSL_CTX_free(server);
	free_chain(&chain);
}

/* ---- the leg itself ---- */

static void no_connection_to_what_is_no_host(void **state)
{
	static const struct row plain = {.title = "plain"};
	struct chain chain = forge_chain(&plain);
	struct tls_origin_leg *leg = make_leg(&plain, &chain);

	(void)state;
	assert_null(tls_origin_leg_connect(leg, "10.0.0.1", 0));
	assert_null(tls_origin_leg_connect(leg, "*.openai.azure.com", 0));
	assert_null(tls_origin_leg_connect(leg, ".openai.azure.com", 0));
	assert_null(tls_origin_leg_connect(leg, "", 0));
	tls_origin_leg_free(leg);
	free_chain(&chain);
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
		cmocka_unit_test(good_origins_are_accepted),
		cmocka_unit_test(rule_1_somebody_we_trust_issued_it),
		cmocka_unit_test(rule_2_it_is_of_that_name),
		cmocka_unit_test(rule_3_it_is_valid_now),
		cmocka_unit_test(rule_4_its_issuers_may_issue),
		cmocka_unit_test(rule_5_it_is_a_servers),
		cmocka_unit_test(rule_6_its_names_are_within_constraints),
		cmocka_unit_test(rule_7_its_keys_and_signatures_are_strong),
		cmocka_unit_test(rule_8_it_is_not_ours),
		cmocka_unit_test(rule_9_it_is_not_revoked),
		cmocka_unit_test(rule_10_the_protocol_is_strong),
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
