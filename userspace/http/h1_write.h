/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the parts of HTTP/1.1 messages (RFC 9112) into a buffer. Each appends all or nothing:
 * 0, -ENOMEM, or -EINVAL for what would change the message's shape (CR, LF, NUL or another control
 * byte in a value; a name, method or target that is not one). */
#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "http/head.h"

int h1_write_request_line(struct buf *b, struct slice method, struct slice target);
/* status: 100 to 999. An empty reason becomes the usual one of that status. */
int h1_write_status_line(struct buf *b, int status, struct slice reason);
int h1_write_header(struct buf *b, struct slice name, struct slice value);
int h1_write_header_number(struct buf *b, struct slice name, uint64_t value);
int h1_write_end_of_head(struct buf *b);

/* A chunk (RFC 9112 section 7.1): head, len bytes of data, tail. len 0 is -EINVAL: an empty chunk
 * would end the body. */
int h1_write_chunk_head(struct buf *b, size_t len);
int h1_write_chunk_tail(struct buf *b);
/* The last chunk, the trailers and the empty line. */
int h1_write_last_chunk(struct buf *b, const struct header *trailers, size_t ntrailers);

/* "Not Found" of 404 (RFC 9110 section 15); "" of a status without one. */
const char *h1_reason(int status);

#endif
