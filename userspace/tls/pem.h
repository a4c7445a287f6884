/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PEM text (RFC 7468) to OpenSSL's objects, with messages for a person. */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

/* Appends the whole file from its first byte on, without moving the offset, which is shared with
 * every process that was handed the descriptor. 0, or negative errno (-EFBIG over max). */
int pem_read_fd(int fd, size_t max, struct buf *content, struct why *why);

/* All certificates of the text, in its order, and the CRLs when crls is not NULL (*crls may become
 * empty); text between the blocks and blocks of other kinds are passed over. what names the text in
 * why. 0, -EINVAL (a broken block, no certificate at all), -ENOMEM. */
int pem_read_certificates(struct slice pem, const char *what, STACK_OF(X509) **certificates,
	STACK_OF(X509_CRL) **crls, struct why *why);
/* The first private key of the text; an encrypted one is refused. NULL and why. */
EVP_PKEY *pem_read_key(struct slice pem, const char *what, struct why *why);

/* Append one object. 0 or -ENOMEM. */
int pem_write_certificate(const X509 *certificate, struct buf *pem);
int pem_write_key(const EVP_PKEY *key, struct buf *pem);

/* What OpenSSL last complained about in this thread; empties its queue. Never NULL. */
const char *pem_openssl_reason(void);

#endif
