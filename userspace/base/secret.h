/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A secret that is known byte for byte, and the taking of it out of text that others wrote. */
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

/* Whether it stands in the text, or the text ends in its first SECRET_SHORTEST bytes or more: such
 * a text may have been cut. */
bool secret_found(const struct secret *secret, struct slice text);
/* Appends the text with mark in place of all that secret_found means. 0 or -ENOMEM. */
int secret_replace(
	const struct secret *secret, struct slice text, struct slice mark, struct buf *out);

/* The same for text that comes in pieces, each byte of the secret replaced by "*", so that the
 * length of the whole stays. What may yet become the secret is held back until more comes, or fin;
 * *matched is how much that is, 0 before the first piece. The work is linear. 0 or -ENOMEM. */
int secret_mask(const struct secret *secret, size_t *matched, struct slice piece, bool fin,
	struct buf *out);

#endif
