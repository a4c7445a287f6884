/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is demanded of an origin's chain: OpenSSL's strict verification, and what it leaves out. */
#ifndef TLS_ORIGIN_VERIFY_H
#define TLS_ORIGIN_VERIFY_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "base/why.h"

/* Our own results of a verification, beside OpenSSL's X509_V_ERR_…, from which they keep away. */
enum origin_rule {
	ORIGIN_RULE_OWN_CA = 0x5a00,
	ORIGIN_RULE_LEAF_IS_CA,
	ORIGIN_RULE_NO_SERVER_AUTH,
	ORIGIN_RULE_KEY_KIND,
	ORIGIN_RULE_NAME_CONSTRAINTS,
	ORIGIN_RULE_NO_STAPLE,
};

/* Verifies the chain of the store context (whose parameters name the host) and leaves the result in
 * its error: X509_V_OK, X509_V_ERR_… or enum origin_rule. own_ca may be NULL. True: verified;
 * false: why says of which certificate. */
bool origin_verify_chain(X509_STORE_CTX *store, const char *host, X509 *own_ca, struct why *why);

/* Judges the OCSP response that the server stapled (RFC 6066 section 8, RFC 6960), after the chain
 * was verified. X509_V_OK; X509_V_ERR_CERT_REVOKED: its authority says so, however old the response
 * is; ORIGIN_RULE_NO_STAPLE: the certificate demands a staple (RFC 7633) and there is none that is
 * signed rightly, current and good. Without that demand an absent or unusable staple is passed
 * over: who holds a revoked key would just leave it out, and the network cannot be asked at this
 * point. */
long origin_verify_staple(SSL *ssl, struct why *why);

#endif
