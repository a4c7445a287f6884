// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/forward_leg.h"

#include <errno.h>
#include <openssl/x509v3.h>

#include "base/address.h"
#include "tls/pem.h"

static int leg_authority(SSL_CTX *context, const struct forward_leg_pem *pem, struct why *why)
{
	STACK_OF(X509) *certificates = NULL;
	int error = pem_read_certificates(
		pem->authority, pem->authority_name, &certificates, NULL, why);

	for (int i = 0; !error && i < sk_X509_num(certificates); i++) {
		X509 *certificate = sk_X509_value(certificates, i);

		if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) ||
			!SSL_CTX_add_client_CA(context, certificate))
			error = why_set(why, ENOMEM, "%s: %s", pem->authority_name,
				pem_openssl_reason());
	}
	sk_X509_pop_free(certificates, X509_free);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return error;
}

static int leg_certificate(SSL_CTX *context, const struct forward_leg_pem *pem, struct why *why)
{
	STACK_OF(X509) *chain = NULL;
	X509 *own;
	EVP_PKEY *key = NULL;
	int error = pem_read_certificates(
		pem->certificate, pem->certificate_name, &chain, NULL, why);

	if (error)
		return error;
	own = sk_X509_shift(chain);
	key = pem_read_key(pem->key, pem->key_name, why);
	if (!key)
		error = -EINVAL;
	else if (SSL_CTX_use_cert_and_key(context, own, key, chain, 1) != 1)
		error = why_set(why, EINVAL, "%s and %s: %s", pem->certificate_name, pem->key_name,
			pem_openssl_reason());
	EVP_PKEY_free(key);
	X509_free(own);
	sk_X509_pop_free(chain, X509_free);
	return error;
}

SSL_CTX *forward_leg_new(bool collector, const struct forward_leg_pem *pem, struct why *why)
{
	SSL_CTX *context = SSL_CTX_new(collector ? TLS_server_method() : TLS_client_method());
	int error = 0;

	if (!context) {
		why_set(why, ENOMEM, "TLS: %s", pem_openssl_reason());
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
			SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS);
	/* A record without payload gives the loop back: a flood of them holds nobody up. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	if (pem->authority.len)
		error = leg_authority(context, pem, why);
	if (!error && pem->certificate.len)
		error = leg_certificate(context, pem, why);
	if (!error)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

SSL *forward_leg_connect(SSL_CTX *context, const char *name)
{
	SSL *ssl = SSL_new(context);
	struct address address;
	bool named;

	if (!ssl)
		return NULL;
	SSL_set_connect_state(ssl);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (address_parse(name, &address) == 0)
		named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	else
		named = SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
	if (named)
		return ssl;
	SSL_free(ssl);
	return NULL;
}
