/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes content codings (RFC 9110 section 8.4) from spans, with bounded memory and output: for
 * reading a copy, while the original bytes go to the client. */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum coding_kind {
	CODING_IDENTITY,
	CODING_GZIP,	/* RFC 1952, more than one member allowed; also "x-gzip" */
	CODING_DEFLATE, /* RFC 1950, and the raw RFC 1951 that some servers send instead */
	CODING_BROTLI,	/* RFC 7932 */
	CODING_ZSTD,	/* RFC 8878, window of at most 8 MiB (RFC 9659) */
};

struct coding;

/* A decoder for the value of Content-Encoding: empty, one coding, or a list of two. out_max bounds
 * the decoded bytes in all (0: no bound); besides, output is refused that grows beyond 1 MiB plus
 * 1,032 times the input. NULL and *error: -ENOTSUP for another coding or a longer list, -ENOMEM. */
struct coding *coding_new(struct slice content_encoding, size_t out_max, int *error);
void coding_free(struct coding *coding);

/* Decodes in and gives the output, in pieces, to out; each is valid during the call only.
 * 0; -EPROTO: not of that coding, or bytes after its end; -EFBIG: beyond a bound; -ENOMEM; or what
 * out returned when that was not 0. Every later call repeats the error. */
int coding_decode(struct coding *coding, struct slice in, int (*out)(void *context, struct slice),
	void *context);
/* The end of the input: 0, -ENODATA when it was cut off, or the earlier error. No input at all is
 * complete. */
int coding_finish(const struct coding *coding);

/* Whether decoding changes nothing. */
bool coding_is_identity(const struct coding *coding);

#endif
