// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/origin_leg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/file.h"
#include "tls/ca.h"
#include "tls/certificate.h"
#include "tls/host_name.h"
#include "tls/origin_sessions.h"
#include "tls/origin_verdict.h"
#include "tls/origin_verify.h"
#include "tls/pem.h"

#define SYSTEM_ROOTS	"/etc/ssl/certs/ca-certificates.crt"
#define ROOTS_BYTES_MAX (16 * 1048576)
#define CHAIN_DEPTH_MAX 8
#define SESSIONS_MAX	1024

struct tls_origin_leg {
	SSL_CTX *context;
	X509 *own_ca;
	struct origin_sessions *sessions;
	int why_index; /* of an SSL: struct why of a refused certificate, or NULL */
};

static struct tls_origin_leg *leg_of(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* ---- roots ---- */

static int origin_add_roots(X509_STORE *store, const char *path, bool *crls, struct why *why)
{
	STACK_OF(X509) *certificates = NULL;
	STACK_OF(X509_CRL) *lists = NULL;
	struct buf pem = BUF_EMPTY;
	int error = file_read(path, ROOTS_BYTES_MAX, &pem, why);

	if (!error)
		error = pem_read_certificates(buf_slice(&pem), path, &certificates, &lists, why);
	for (int i = 0; !error && i < sk_X509_num(certificates); i++)
		if (!X509_STORE_add_cert(store, sk_X509_value(certificates, i)))
			error = why_set(why, ENOMEM, "%s: %s", path, pem_openssl_reason());
	for (int i = 0; !error && i < sk_X509_CRL_num(lists); i++)
		if (!X509_STORE_add_crl(store, sk_X509_CRL_value(lists, i)))
			error = why_set(why, ENOMEM, "%s: %s", path, pem_openssl_reason());
	if (!error && sk_X509_CRL_num(lists) > 0)
		*crls = true;
	sk_X509_pop_free(certificates, X509_free);
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	buf_free(&pem);
	return error;
}

/* By what origins are verified. */
struct roots {
	bool system;
	char *const *files;
	size_t n;
	const char *key; /* of the configuration, where the files are named */
};

static int origin_load_roots(
	SSL_CTX *context, const struct roots *roots, bool *crls, struct why *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	struct why inner;
	int error = 0;

	if (!roots->system && !roots->n)
		return why_set(why, EINVAL,
			"no origin can be verified: tls.system_roots is false and tls.origin_roots "
			"is "
			"empty");
	if (roots->system) {
		error = origin_add_roots(store, SYSTEM_ROOTS, crls, &inner);
		if (error)
			return why_set(why, -error,
				"the system's roots: %s (install ca-certificates, or set "
				"tls.system_roots: false)",
				inner.text);
	}
	for (size_t i = 0; !error && i < roots->n; i++) {
		error = origin_add_roots(store, roots->files[i], crls, &inner);
		if (error)
			why_set(why, -error, "%s: %s", roots->key, inner.text);
	}
	return error;
}

/* ---- what OpenSSL calls during the handshake ---- */

static void origin_keep_why(SSL *ssl, const struct why *why)
{
	struct tls_origin_leg *leg = leg_of(ssl);
	struct why *kept = malloc(sizeof(*kept));

	if (!kept)
		return;
	*kept = *why;
	free(SSL_get_ex_data(ssl, leg->why_index));
	if (!SSL_set_ex_data(ssl, leg->why_index, kept))
		free(kept);
}

static void origin_free_why(
	void *parent, void *kept, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	free(kept);
}

static int origin_verify(X509_STORE_CTX *store, void *context)
{
	struct tls_origin_leg *leg = context;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct why why = {""};

	if (host && origin_verify_chain(store, host, leg->own_ca, &why))
		return 1;
	if (X509_STORE_CTX_get_error(store) == X509_V_OK)
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
	origin_keep_why(ssl, &why);
	return 0;
}

/* Called once the chain is verified, with or without a response. In a resumption nothing of it is
 * sent: the session is one whose chain and staple were good within the hour. */
static int origin_staple(SSL *ssl, void *context)
{
	struct why why = {""};
	long result;

	(void)context;
	if (SSL_session_reused(ssl))
		return 1;
	result = origin_verify_staple(ssl, &why);
	if (result == X509_V_OK)
		return 1;
	SSL_set_verify_result(ssl, result);
	origin_keep_why(ssl, &why);
	return 0;
}

static int origin_keep_session(SSL *ssl, SSL_SESSION *session)
{
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (host && SSL_get_verify_result(ssl) == X509_V_OK)
		origin_sessions_put(leg_of(ssl)->sessions, host, session,
			SSL_get0_verified_chain(ssl), clock_realtime_ns());
	return 0; /* the session stays OpenSSL's */
}

static int origin_configure(struct tls_origin_leg *leg, bool crls)
{
	static const unsigned char protocols[] = "\10http/1.1";
	SSL_CTX *context = leg->context;
	X509_VERIFY_PARAM *verify = SSL_CTX_get0_param(context);

	SSL_CTX_set_app_data(context, leg);
	SSL_CTX_set_security_level(context, 2);
	SSL_CTX_clear_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* as on the client's leg */
	SSL_CTX_set_read_ahead(context, 1);

	X509_VERIFY_PARAM_set_flags(
		verify, X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST |
				(crls ? X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL : 0));
	X509_VERIFY_PARAM_set_depth(verify, CHAIN_DEPTH_MAX);
	X509_VERIFY_PARAM_set_hostflags(
		verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context, origin_verify, leg);
	SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp);
	SSL_CTX_set_tlsext_status_cb(context, origin_staple);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, origin_keep_session);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) &&
	       SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
						 "TLS_CHACHA20_POLY1305_SHA256") &&
	       SSL_CTX_set_cipher_list(context,
		       "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
		       "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
		       "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305") &&
	       SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1) == 0;
}

static int origin_read_own_ca(struct tls_origin_leg *leg, int fd, struct why *why)
{
	struct ca *ca;
	int error;

	/* Another leg may have read it. */
	(void)lseek(fd, 0, SEEK_SET);
	error = ca_read_fd(fd, -1, &ca, why);
	if (error)
		return error;
	leg->own_ca = ca->certificate;
	ca->certificate = NULL;
	ca_free(ca);
	return 0;
}

static struct tls_origin_leg *origin_leg_make(
	const struct roots *roots, int own_ca_certificate_fd, struct why *why)
{
	struct tls_origin_leg *leg = calloc(1, sizeof(*leg));
	bool crls = false;

	if (!leg) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	leg->why_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, origin_free_why);
	leg->sessions = origin_sessions_new(SESSIONS_MAX);
	leg->context = SSL_CTX_new(TLS_client_method());
	if (leg->why_index < 0 || !leg->sessions || !leg->context) {
		why_set(why, ENOMEM, "out of memory: %s", pem_openssl_reason());
		goto failed;
	}
	if (own_ca_certificate_fd >= 0 && origin_read_own_ca(leg, own_ca_certificate_fd, why))
		goto failed;
	if (origin_load_roots(leg->context, roots, &crls, why))
		goto failed;
	if (!origin_configure(leg, crls)) {
		why_set(why, EINVAL, "OpenSSL refused the settings of the origin's leg: %s",
			pem_openssl_reason());
		goto failed;
	}
	return leg;
failed:
	tls_origin_leg_free(leg);
	return NULL;
}

struct tls_origin_leg *tls_origin_leg_new(
	const struct config *config, int own_ca_certificate_fd, struct why *why)
{
	const struct roots roots = {config->tls.system_roots, config->tls.origin_roots,
		config->tls.norigin_roots, "tls.origin_roots"};

	return origin_leg_make(&roots, own_ca_certificate_fd, why);
}

struct tls_origin_leg *tls_origin_leg_of_backend(
	const struct config_backend *backend, int own_ca_certificate_fd, struct why *why)
{
	const struct roots roots = {false, backend->roots, backend->nroots, "backends.roots"};

	return origin_leg_make(&roots, own_ca_certificate_fd, why);
}

void tls_origin_leg_free(struct tls_origin_leg *leg)
{
	if (!leg)
		return;
	SSL_CTX_free(leg->context);
	if (leg->why_index >= 0)
		CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, leg->why_index);
	origin_sessions_free(leg->sessions);
	X509_free(leg->own_ca);
	free(leg);
}

SSL *tls_origin_leg_connect(struct tls_origin_leg *leg, const char *host)
{
	char name[HOST_NAME_SIZE];
	SSL_SESSION *session;
	SSL *ssl;

	if (!host_name_read(slice_of_string(host), name))
		return NULL;
	ssl = SSL_new(leg->context);
	session = ssl ? origin_sessions_get(leg->sessions, name, clock_realtime_ns()) : NULL;
	if (ssl && SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1 &&
		(!session || SSL_set_session(ssl, session) == 1)) {
		SSL_set_connect_state(ssl);
	} else {
		ERR_clear_error();
		SSL_free(ssl);
		ssl = NULL;
	}
	SSL_SESSION_free(session);
	return ssl;
}

/* ---- the verdict ---- */

/* A finished handshake is a verified one: this is the second look, which costs little, of
 * what would be fatal if it were ever not so. */
static bool origin_is_verified(SSL *ssl)
{
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	X509 *leaf = SSL_get0_peer_certificate(ssl);

	return SSL_is_init_finished(ssl) && SSL_get_verify_result(ssl) == X509_V_OK &&
	       (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) && host && leaf &&
	       SSL_version(ssl) >= TLS1_2_VERSION &&
	       (!SSL_session_reused(ssl) || X509_check_host(leaf, host, 0,
						    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
							    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
						    NULL) == 1);
}

static int origin_handshake_verdict(int error_number, struct why *why, const char **name)
{
	unsigned long error = ERR_peek_error();
	const char *text;

	if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
		*name = origin_verdict_of_handshake(ERR_GET_REASON(error), &text);
		why_set(why, EPROTO, "%s", text ? text : ERR_reason_error_string(error));
		ERR_clear_error();
		return !strcmp(*name, ORIGIN_VERDICT_CLOSED) ? -ECONNRESET : -EPROTO;
	}
	ERR_clear_error();
	if (error) {
		*name = ORIGIN_VERDICT_HANDSHAKE;
		return why_set(why, EPROTO, "%s", ERR_reason_error_string(error));
	}
	*name = ORIGIN_VERDICT_CLOSED;
	return why_set(why, ECONNRESET, "the connection ended during the TLS handshake: %s",
		error_number ? strerror(error_number) : "closed by the origin");
}

int tls_origin_verdict(SSL *ssl, int error_number, struct why *why, const char **name)
{
	long result = SSL_get_verify_result(ssl);
	const struct why *kept;

	*name = NULL;
	if (origin_is_verified(ssl)) {
		ERR_clear_error();
		return 0;
	}
	if (!SSL_is_init_finished(ssl) && result == X509_V_OK)
		return origin_handshake_verdict(error_number, why, name);
	ERR_clear_error();
	kept = SSL_get_ex_data(ssl, leg_of(ssl)->why_index);
	*name = origin_verdict_of_certificate(result);
	return why_set(
		why, EKEYREJECTED, "%s", kept ? kept->text : X509_verify_cert_error_string(result));
}

const char *tls_origin_verdict_name(size_t n)
{
	return origin_verdict_name(n);
}
