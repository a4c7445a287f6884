/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The chunked transfer coding (RFC 9112 section 7.1) up to and including the line of the last
 * chunk; trailers are not read here. */
#ifndef HTTP_H1_CHUNK_H
#define HTTP_H1_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/h1_error.h"

#define H1_CHUNK_EXTENSION_MAX	1024		  /* bytes of one chunk's extensions */
#define H1_CHUNK_EXTENSIONS_MAX 16384		  /* … of all of a body */
#define H1_CHUNK_SIZE_MAX	(UINT64_MAX >> 1) /* bytes of data */

struct h1_chunk {
	uint8_t state;
	uint8_t digits;	     /* of the size, so far */
	uint16_t extension;  /* bytes of this chunk's */
	uint32_t extensions; /* … of all */
	uint64_t left;	     /* data bytes to come */
	uint64_t total;	     /* data bytes announced, this chunk included */
	uint64_t body_max;   /* 0: no limit */
};

enum h1_chunk_result { H1_CHUNK_MORE, H1_CHUNK_DATA, H1_CHUNK_LAST, H1_CHUNK_ERROR };

void h1_chunk_start(struct h1_chunk *chunk, uint64_t body_max);
/* Reads until data (*span, inside input), the last chunk's line or an error. */
enum h1_chunk_result h1_chunk_read(struct h1_chunk *chunk, struct slice input, size_t *consumed,
	struct slice *span, enum h1_error_id *error);

#endif
