/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An authority as people hand it over: certificates and a key, in one file or several, in PEM, DER,
 * PKCS#12 or PKCS#7, the key encrypted or not. Here it becomes what the appliance keeps. */
#ifndef TLS_CA_PARTS_H
#define TLS_CA_PARTS_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/slice.h"
#include "base/why.h"
#include "tls/ca.h"

#define CA_PASSWORD_SIZE 1024

struct ca_parts {
	STACK_OF(X509) *certificates; /* NULL: none yet */
	EVP_PKEY *key;
};

/* Fills in the password of that file, NUL-terminated. 0, or negative errno with why. Called at most
 * once for a file, and only for one that is encrypted with a password that is not empty. */
typedef int ca_password(
	void *context, const char *path, char password[CA_PASSWORD_SIZE], struct why *why);

/* Adds all certificates of the file's content, and its private key; further keys are passed over.
 * path is for messages. 0, or -EINVAL with why: what the file is, and what to do with it. */
int ca_parts_read(struct ca_parts *parts, struct slice content, const char *path,
	ca_password *password, void *context, struct why *why);
/* Makes the authority of the certificate that the key belongs to, with the certificates above it
 * as its chain, in whatever order they came; left_out is told of each that is none of these. 0, or
 * -EINVAL with why; the parts stay the caller's. */
int ca_parts_join(const struct ca_parts *parts, void (*left_out)(const X509 *certificate),
	struct ca **ca, struct why *why);
void ca_parts_free(struct ca_parts *parts);

#endif
