/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A secret that is known byte for byte, and the taking of it out of text that others wrote. It is
 * found as it is, and where any of its bytes are escaped as in a JSON string (RFC 8259 section 7),
 * also one in another, or percent-encoded (RFC 3986 section 2.1). */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

/* What is shorter is no secret, and would be found in any text: it is never taken out. */
#define SECRET_SHORTEST 8

struct secret;

/* Copies the text, at least one byte. NULL without memory. */
struct secret *secret_new(struct slice text);
/* The same, to be freed once more: who still needs it keeps it while others go on to a newer one. */
struct secret *secret_share(struct secret *secret);
/* The last one wipes it. NULL is fine. */
void secret_free(struct secret *secret);
struct slice secret_text(const struct secret *secret);

/* Whether it stands in the text; or SECRET_SHORTEST bytes of it do where the text was cut: its
 * first ones before the text's end, a quote or a "…", its last ones behind a "…", or both around
 * one. */
bool secret_found(const struct secret *secret, struct slice text);
/* Appends the text with mark in place of all that secret_found means. The work is linear. 0 or
 * -ENOMEM. */
int secret_replace(
	const struct secret *secret, struct slice text, struct slice mark, struct buf *out);

/* --- text that comes in pieces --- */

/* What of the text may yet become the secret is held back, in each of the ways of writing it. Empty
 * at first: {0}. */
struct secret_pass {
	struct buf held;
	size_t at;	/* of held, up to where it was looked at */
	size_t matched; /* bytes of the secret that the part before that stands for */
};
struct secret_masking {
	struct secret_pass literal, written;
};

/* The same for text that comes in pieces, each byte that the secret is written with replaced by
 * "*", so that the length of the whole stays; but not what was cut. fin: nothing follows, and
 * nothing is held any more. The work is linear. 0 or -ENOMEM. */
int secret_mask(const struct secret *secret, struct secret_masking *masking, struct slice piece,
	bool fin, struct buf *out);
/* Forgets what is held back. */
void secret_masking_free(struct secret_masking *masking);

#endif
