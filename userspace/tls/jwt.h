/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signatures of tokens (RFC 7515), checked with the published keys of who has issued them (RFC 7517).
 * Which algorithms are taken, and what the claims must say, policy/token.h knows. */
#ifndef TLS_JWT_H
#define TLS_JWT_H

#include "base/slice.h"

struct jwt_keys;

/* The keys of a set, as JSON: those that cannot be used are left out. NULL: there is none, or no memory. */
struct jwt_keys *jwt_keys_new(struct slice json);
void jwt_keys_free(struct jwt_keys *keys);

enum jwt_verdict {
	JWT_GOOD,
	JWT_KEY_UNKNOWN, /* there is no such key, or it is not one of that algorithm */
	JWT_BAD,
};

/* Whether the token, in its compact form, is signed by that key with that algorithm ("RS256"). */
enum jwt_verdict jwt_verify(const struct jwt_keys *keys, struct slice kid, const char *algorithm,
	struct slice token);

#endif
