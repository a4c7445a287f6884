// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/origin_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

/* ---- the server ---- */

static struct forge with_defaults(struct forge f, bool authority, const char *name)
{
	f.authority = authority;
	if (!f.name)
		f.name = name;
	if (!authority && !f.alternative && !f.raw_name.len)
		f.alternative = "DNS:" ORIGIN_HOST;
	return f;
}

struct origin_chain origin_scene_forge(const struct origin_row *row)
{
	struct forge root = with_defaults(row->root, true, "Root");
	struct forge middle = with_defaults(row->middle, true, "Middle");
	struct forge leaf = with_defaults(row->leaf, false, "leaf");
	struct forge stranger = {.authority = true, .name = "Stranger"};
	struct origin_chain chain = {.root = forge(&root, NULL)};

	if (row->other_root)
		chain.other_root = forge(row->other_root == SAME_NAME ? &root : &stranger, NULL);
	if (!row->no_middle)
		chain.middle = forge(&middle, &chain.root);
	chain.leaf = forge(&leaf, row->self_signed ? NULL
				  : row->no_middle ? &chain.root
						   : &chain.middle);
	return chain;
}

void origin_scene_free(struct origin_chain *chain)
{
	forged_free(&chain->root);
	forged_free(&chain->other_root);
	forged_free(&chain->middle);
	forged_free(&chain->leaf);
}

static int make_staple(SSL *ssl, void *context)
{
	const struct origin_row *row = ((void **)context)[0];
	struct origin_chain *chain = ((void **)context)[1];
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

SSL_CTX *origin_scene_server(
	const struct origin_row *row, struct origin_chain *chain, void **context)
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

static void append_crl(struct buf *pem, struct origin_chain *chain, bool old)
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

struct tls_origin_leg *origin_scene_leg(const struct origin_row *row, struct origin_chain *chain)
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

struct origin_outcome origin_scene_call(
	struct tls_origin_leg *leg, SSL_CTX *server_context, const char *host)
{
	struct origin_outcome o = {.verdict = 1};
	int fds[2], client_error = SSL_ERROR_WANT_READ, server_error = SSL_ERROR_WANT_READ, n;
	SSL *client, *server = SSL_new(server_context);
	char memory[64];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client = tls_origin_leg_connect(leg, host);
	assert_non_null(client);
	SSL_set_fd(client, fds[0]);
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
