/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The authority that clients are told to trust: read, judged, made. */
#ifndef TLS_CA_H
#define TLS_CA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

struct ca {
	X509 *certificate;     /* issues the leaves */
	EVP_PKEY *key;	       /* its private key; NULL when read without one */
	STACK_OF(X509) *chain; /* the certificates above it in the file; may be empty */
};

/* Reads the PEM text of the certificates (the issuing one first, then each one's issuer) and, when
 * key_pem is not empty, of the unencrypted private key, which must belong to the first one. Does
 * not lint. 0, or -EINVAL with why; ca_free frees it, and wipes the key. */
int ca_read(struct slice certificate_pem, struct slice key_pem, struct ca **ca, struct why *why);
/* As ca_read, from descriptors, which stay the caller's with their offset; key_fd -1: no key. */
int ca_read_fd(int certificate_fd, int key_fd, struct ca **ca, struct why *why);
void ca_free(struct ca *ca);

/* Who refuses the leaves of an authority that has a problem. */
enum ca_refused {
	CA_REFUSED,	    /* many: RFC 5280, Python >= 3.13's VERIFY_X509_STRICT */
	CA_REFUSED_BY_SOME, /* Go, Chromium, rustls or all of them; the others go on */
};
typedef void ca_told(void *context, enum ca_refused refused, const char *problem);

/* Names everything for which a strict client would refuse leaves of this authority at that time:
 * calls told with one sentence per problem and returns how many there are. */
size_t ca_lint(const struct ca *ca, uint64_t realtime_ns, ca_told *told, void *context);
/* ca_lint as one verdict on an authority that is in use: 0, or -EINVAL and the first CA_REFUSED in
 * why. A CA_REFUSED_BY_SOME is told to warned, with its cure. */
int ca_check(const struct ca *ca, uint64_t realtime_ns,
	void (*warned)(void *context, const char *problem), void *context, struct why *why);

struct ca_options {
	const char *name; /* the common name */
	unsigned days;	  /* 1 .. 7300 */
	const char *const
		*permitted; /* domains of a critical nameConstraints; none: unconstrained */
	size_t npermitted;
};

/* A new self-signed authority with an ECDSA P-256 key. 0, -EINVAL (options, with why) or -EIO. */
int ca_make(
	const struct ca_options *options, uint64_t realtime_ns, struct ca **ca, struct why *why);
/* The same authority with a fresh certificate, valid for so many days from now: name, key, key
 * identifier, constraints and what else its certificate says stay, so that clients that have the
 * old one go on. Of a self-signed authority with its key only. 0, -EINVAL (with why) or -EIO. */
int ca_renew(const struct ca *ca, unsigned days, uint64_t realtime_ns, struct ca **renewed,
	struct why *why);
/* Append PEM; the certificates are the issuing one and its chain. 0 or -ENOMEM. A buf with a key
 * in it is to be freed by buf_wipe. */
int ca_write_certificates(const struct ca *ca, struct buf *pem);
int ca_write_key(const struct ca *ca, struct buf *pem);

#endif
