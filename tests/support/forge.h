/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates as nobody should issue them, and proper ones: every field can be said, what is not
 * said is as it should be. */
#ifndef SUPPORT_FORGE_H
#define SUPPORT_FORGE_H

#include <stdbool.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/slice.h"
#include "tls/ca.h"

/* Of an extension's text in openssl-x509v3_config(5): NULL is the default, "" leaves it out. */
struct forge {
	const char *name;	 /* common name; "": an empty subject */
	const char *alternative; /* subjectAltName, default none; leaves need one */
	struct slice raw_name;	 /* another dNSName in it, byte for byte */
	bool authority;		 /* the defaults are those of a CA */
	const char *basic, *usage, *extended, *constraints, *subject_id, *authority_id, *feature;
	const char *unknown; /* the OID of an extension that is critical and that nobody knows */
	int from_days, until_days; /* from now; both 0: -1 and 30 */
	const EVP_MD *digest;	   /* SHA-256 */
	long version;		   /* 3 */
	const char *key;	   /* "P-256"; else as in "RSA-1024", "RSA-PSS", "P-192", "ED25519", "DSA" */
	bool other_key;		   /* signed with a key that is not the issuer's */
};

struct forged {
	X509 *certificate;
	EVP_PKEY *key;
};

/* Stops the test when OpenSSL refuses. issuer NULL: self-signed. */
struct forged forge(const struct forge *wanted, const struct forged *issuer);
void forged_free(struct forged *forged);
EVP_PKEY *forge_key(const char *kind);

/* A memfd with that content, and its path, which is valid as long as the descriptor. */
struct forge_file {
	int fd;
	char path[32];
};
struct forge_file forge_file(struct slice content);
struct forge_file forge_certificates(const X509 *const *certificates, size_t n);

#endif
