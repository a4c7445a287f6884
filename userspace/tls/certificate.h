/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What authorities, leaves and the origin's judge all need to do with an X.509 certificate. */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* A certificate's time in ns since 1970; times before that are 0, later than 2500 UINT64_MAX.
 * False: not a valid time (RFC 5280 section 4.1.2.5). */
bool certificate_time(const ASN1_TIME *time, uint64_t *realtime_ns);
/* Both in whole seconds. False without memory. */
bool certificate_set_validity(X509 *certificate, uint64_t from_ns, uint64_t until_ns);
/* A random positive serial number of 127 bits. False when the random source failed. */
bool certificate_set_serial(X509 *certificate);
/* Adds one extension; value is of the type that X509V3 has for nid. False without memory. */
bool certificate_add(X509 *certificate, int nid, bool critical, void *value);
/* The same with keyUsage's bits, KU_…, always critical. */
bool certificate_add_key_usage(X509 *certificate, uint32_t bits);
/* 160 bits of SHA-256 of the public key (RFC 7093 section 2, method 1); NULL on failure. */
ASN1_OCTET_STRING *certificate_key_id(X509 *certificate);
bool certificate_same_key(const X509 *a, const X509 *b);
/* Signs with the digest that suits the key. False: OpenSSL refused. */
bool certificate_sign(X509 *certificate, EVP_PKEY *key);

/* NULL: the key is RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521. Else what is wrong
 * with it, to follow "its key is ". */
const char *certificate_key_problem(EVP_PKEY *key);
/* Whether the signature on it uses MD5 or SHA-1 (or something older). */
bool certificate_weak_signature(X509 *certificate);
/* Whether all of it is DER to the byte, as Go and Chromium demand (X.690 section 11). If not,
 * problem is a sentence: which part, and what about it. */
bool certificate_is_der(const X509 *certificate, char *problem, size_t size);
/* "CN = …" on one line with everything but printable ASCII escaped. Use as
 * certificate_subject(c).text within one full expression. */
struct certificate_name {
	char text[160];
};
struct certificate_name certificate_subject(const X509 *certificate);
struct certificate_name certificate_issuer(const X509 *certificate);

#endif
