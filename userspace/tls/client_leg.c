// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/client_leg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "tls/pem.h"

#define TICKET_LIFE_MAX_S 604800 /* RFC 8446 section 4.6.1 */

struct tls_client_leg {
	SSL_CTX *context;
	const struct ticket_keys *keys;
	/* Fetched once: OpenSSL 3 looks them up by name under locks otherwise. */
	EVP_CIPHER *cipher;
	EVP_PKEY *const *leaf_keys; /* by kind */
	bool h2;		    /* offered */
};

/* RFC 7301 section 3.2: without a protocol in common the handshake ends with an alert. Who speaks
 * HTTP/1.0 alone is served it. */
static int client_leg_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
	const unsigned char *in, unsigned inlen, void *context)
{
	static const unsigned char all[] = "\2h2\10http/1.1\10http/1.0";
	const struct tls_client_leg *leg = context;
	const unsigned char *ours = leg->h2 ? all : all + 3;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, outlen, ours,
		    (unsigned)(sizeof(all) - 1 - (size_t)(ours - all)), in,
		    inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool client_leg_arm(struct tls_client_leg *leg, const struct ticket_key *key,
	const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
					   (void *)(uintptr_t)key->hmac, sizeof(key->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, parameters) == 1 &&
	       EVP_CipherInit_ex2(cipher, leg->cipher, key->aes, iv, seal, NULL) == 1;
}

/* RFC 5077 section 4, with the keys that all workers share. */
static int client_leg_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	struct tls_client_leg *leg = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key;
	int found;

	if (seal) {
		found = ticket_keys_current(leg->keys, &key) &&
			RAND_bytes(iv, EVP_CIPHER_get_iv_length(leg->cipher)) == 1;
		memcpy(name, key.name, found ? sizeof(key.name) : 0);
	} else {
		found = ticket_keys_find(leg->keys, name, &key);
	}
	/* A client uses a ticket of TLS 1.3 once (RFC 8446 appendix C.4): 2 gives it the next. */
	if (found && !seal && SSL_version(ssl) == TLS1_3_VERSION)
		found = 2;
	if (found && !client_leg_arm(leg, &key, iv, cipher, mac, seal))
		found = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return found;
}

static bool client_leg_configure(struct tls_client_leg *leg, const struct config *config)
{
	SSL_CTX *context = leg->context;
	uint64_t life = config->tls.ticket_rotation_ns / NS_PER_S;

	SSL_CTX_set_app_data(context, leg);
	SSL_CTX_set_security_level(context, 2);
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_SINGLE_ECDH_USE);
	SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One SSL_read ends with the record that it handled: what a peer sends must not keep it going. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	/* A record's header and body in one system call, and more of them when they are small. */
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_max_early_data(context, 0);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(context, client_leg_select_alpn, leg);
	if (!SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
		!SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) ||
		!SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
						   "TLS_CHACHA20_POLY1305_SHA256") ||
		!SSL_CTX_set_cipher_list(context,
			"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
			"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:"
			"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"))
		return false;
	if (!leg->keys || !life) {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(context, 0);
	}
	/* Every ticket's key lives at least this long after it was issued. */
	SSL_CTX_set_timeout(context, (long)(life < TICKET_LIFE_MAX_S ? life : TICKET_LIFE_MAX_S));
	leg->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	return leg->cipher && SSL_CTX_set_num_tickets(context, 1) &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, client_leg_ticket);
}

struct tls_client_leg *tls_client_leg_new(const struct config *config, EVP_PKEY *const *leaf_keys,
	const struct ticket_keys *keys, struct why *why)
{
	struct tls_client_leg *leg = calloc(1, sizeof(*leg));

	if (!leg) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	leg->leaf_keys = leaf_keys;
	leg->keys = keys;
	leg->h2 = config->http.h2;
	leg->context = SSL_CTX_new(TLS_server_method());
	if (!leg->context || !client_leg_configure(leg, config)) {
		why_set(why, EINVAL, "OpenSSL refused the settings of the client's leg: %s",
			pem_openssl_reason());
		tls_client_leg_free(leg);
		return NULL;
	}
	return leg;
}

void tls_client_leg_free(struct tls_client_leg *leg)
{
	if (!leg)
		return;
	SSL_CTX_free(leg->context);
	EVP_CIPHER_free(leg->cipher);
	free(leg);
}

SSL *tls_client_leg_accept(struct tls_client_leg *leg, const struct leaf *leaf)
{
	SSL *ssl = SSL_new(leg->context);

	if (ssl && SSL_use_certificate(ssl, leaf->certificate) == 1 &&
		SSL_use_PrivateKey(ssl, leg->leaf_keys[leaf->kind]) == 1 &&
		SSL_check_private_key(ssl) == 1 && SSL_set1_chain(ssl, leaf->chain) == 1 &&
		SSL_set_session_id_context(ssl, leaf->context, sizeof(leaf->context)) == 1) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	ERR_clear_error();
	SSL_free(ssl);
	return NULL;
}

/* ---- failures ---- */

bool tls_client_leg_is_h2(const SSL *ssl)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &name, &len);
	return len == 2 && memcmp(name, "h2", len) == 0;
}

static const struct client_failure {
	int reason; /* of OpenSSL's error */
	const char *name, *text;
} client_failures[] = {
	{SSL_R_TLSV1_ALERT_UNKNOWN_CA, "client_rejected_certificate",
		"the client does not trust our CA (unknown_ca): install the CA there"},
	{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "client_rejected_certificate",
		"the client refused our certificate (bad_certificate): install the CA there"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "client_rejected_certificate",
		"the client refused our certificate (certificate_unknown): install the CA there, "
		"or the "
		"client pins its certificates"},
	{SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "client_rejected_certificate",
		"the client refused our certificate (unsupported_certificate)"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "client_rejected_certificate",
		"the client finds our certificate expired: is its clock right?"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "client_rejected_certificate",
		"the client finds our certificate revoked"},
	{SSL_R_TLSV1_ALERT_ACCESS_DENIED, "client_rejected_certificate",
		"the client denied access after it saw our certificate"},
	{SSL_R_NO_SHARED_CIPHER, "no_common_cipher",
		"the client offers no cipher suite with ECDHE and AEAD"},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no_common_cipher",
		"the client does not accept signatures with ECDSA on P-256 or RSA"},
	{SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no_common_cipher",
		"the client does not accept signatures with ECDSA on P-256 or RSA"},
	{SSL_R_NO_SHARED_GROUPS, "no_common_group",
		"the client offers no key exchange that we know"},
	{SSL_R_NO_SUITABLE_KEY_SHARE, "no_common_group",
		"the client offers no key exchange that we know"},
	{SSL_R_UNSUPPORTED_PROTOCOL, "protocol_version",
		"the client does not offer TLS 1.2 or 1.3"},
	{SSL_R_VERSION_TOO_LOW, "protocol_version", "the client does not offer TLS 1.2 or 1.3"},
	{SSL_R_INAPPROPRIATE_FALLBACK, "protocol_version",
		"the client fell back to an older version although we know a newer one"},
	{SSL_R_NO_APPLICATION_PROTOCOL, "no_common_application_protocol",
		"the client offers ALPN without a protocol that is spoken here (http.h2?)"},
	{SSL_R_UNEXPECTED_EOF_WHILE_READING, "client_closed", "the client closed the connection"},
};

/* Whether our certificate was the last thing that the client saw: who does not trust it may as
 * well close without an alert. */
static bool client_saw_certificate(SSL *ssl)
{
	if (SSL_session_reused(ssl))
		return false;
	switch (SSL_get_state(ssl)) {
	case TLS_ST_SW_SRVR_DONE:
	case TLS_ST_SR_KEY_EXCH:
	case TLS_ST_SR_CHANGE:
	case TLS_ST_SR_FINISHED:
	case TLS_ST_SW_FINISHED:
	case TLS_ST_EARLY_DATA:
		return true;
	default:
		return false;
	}
}

const char *tls_client_leg_failure(SSL *ssl, int ssl_error, int error_number, struct why *why)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
	bool closed = ssl_error == SSL_ERROR_ZERO_RETURN || ssl_error == SSL_ERROR_SYSCALL ||
		      reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;

	if (closed && client_saw_certificate(ssl)) {
		ERR_clear_error();
		why_set(why, EKEYREJECTED,
			"the client closed the connection when it saw our certificate: is the CA "
			"installed there?");
		return "client_closed_at_certificate";
	}
	for (size_t i = 0; reason && i < sizeof(client_failures) / sizeof(*client_failures); i++) {
		if (client_failures[i].reason != reason)
			continue;
		ERR_clear_error();
		why_set(why, EPROTO, "%s", client_failures[i].text);
		return client_failures[i].name;
	}
	if (closed) {
		ERR_clear_error();
		why_set(why, ECONNRESET, "the client closed the connection: %s",
			error_number ? strerror(error_number) : "end of file");
		return "client_closed";
	}
	why_set(why, EPROTO, "the client's TLS handshake failed: %s", pem_openssl_reason());
	return "protocol_error";
}
