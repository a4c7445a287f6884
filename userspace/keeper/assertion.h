/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The proof that a client of Entra has the key of its certificate: a signed JWT in place of a client
 * secret (RFC 7523 section 2.2; PS256 and x5t#S256, as Entra asks for: RFC 7518, RFC 7515). */
#ifndef KEEPER_ASSERTION_H
#define KEEPER_ASSERTION_H

#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

struct assertion_claims {
	const char *client;   /* who proves it: iss and sub */
	const char *audience; /* whom to: the URL of the token endpoint */
	uint64_t now_s;	      /* since 1970 */
};

/* pem: the certificate and its RSA key, 2048 bits or more, unencrypted. Appends the JWT. 0; or
 * -EINVAL, -ENOMEM with why. */
int assertion_make(struct slice pem, const struct assertion_claims *claims, struct buf *jwt,
	struct why *why);
/* Whether the PEM has what it takes. 0; or -EINVAL with why. */
int assertion_check(struct slice pem, struct why *why);

#endif
