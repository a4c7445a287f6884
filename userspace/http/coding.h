/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes content codings (RFC 9110 section 8.4) from spans, with bounded memory and output: for
 * reading a copy, while the original bytes go to the client. */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/work.h"

enum coding_kind {
	CODING_IDENTITY,
	CODING_GZIP,	/* RFC 1952, more than one member allowed; also "x-gzip" */
	CODING_DEFLATE, /* RFC 1950, and the raw RFC 1951 that some servers send instead */
	CODING_BROTLI,	/* RFC 7932 */
	CODING_ZSTD,	/* RFC 8878, window of at most 8 MiB (RFC 9659) */
};

struct coding;
struct head;

/* A decoder for the value of Content-Encoding: empty, one coding, or a list of two. out_max bounds
 * the decoded bytes in all (0: no bound). NULL and *error: -ENOTSUP for another coding or a longer
 * list, -ENOMEM. */
struct coding *coding_new(struct slice content_encoding, size_t out_max, int *error);
/* The same for all Content-Encoding fields of the head, which are one list (RFC 9110 section 5.3).
 * NULL with *error 0: there is none, or all of it changes nothing. */
struct coding *coding_of(const struct head *head, int *error);
/* Output is refused that grows beyond 1 MiB plus ratio times the input, at every stage: of 1,032
 * where this is not called, the most that deflate can reach. */
void coding_bound(struct coding *coding, unsigned ratio);
void coding_free(struct coding *coding);

/* Decodes from the front of *in, which it advances, as far as the work goes, and gives the output,
 * in pieces, to out; each is valid during the call only.
 * 0: all was decoded. -EAGAIN: the work is spent before all was decoded; to be called again with
 * the rest of in, which may be empty. -EPROTO: not of that coding, or bytes after its end;
 * -EFBIG: beyond a bound; -ENOMEM; or what out returned when that was not 0. Every later call
 * repeats such an error. */
int coding_decode_some(struct coding *coding, struct slice *in, struct work *work,
	int (*out)(void *context, struct slice), void *context);
/* All of in, whatever work that is. */
int coding_decode(struct coding *coding, struct slice in, int (*out)(void *context, struct slice),
	void *context);
/* The end of the input: 0, -ENODATA when it was cut off, or the earlier error. No input at all is
 * complete. */
int coding_finish(const struct coding *coding);

/* Whether decoding changes nothing. */
bool coding_is_identity(const struct coding *coding);
/* What such an error says of a body, one of a fixed set. */
const char *coding_problem(int error);

#endif
