/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An HTTP/1.1 request as this origin reads it (RFC 9112), written apart from the appliance's own
 * reader on purpose: what one of the two lets through, the other shall not. */
#ifndef ORIGIN_MESSAGE_H
#define ORIGIN_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define MESSAGE_HEAD_MAX    (256 * 1024)
#define MESSAGE_HEADERS_MAX 256

struct message_header {
	struct slice name, value;
};

enum message_result {
	MESSAGE_MORE, /* give more bytes */
	MESSAGE_HEAD, /* the head is there */
	MESSAGE_BODY, /* *body is a piece of the body, a span of the input */
	MESSAGE_END,  /* the message is complete */
	MESSAGE_BAD,  /* message->wrong says why; nothing more can be read */
};

struct message {
	enum { AT_HEAD, AT_LENGTH, AT_SIZE, AT_CHUNK, AT_CHUNK_END, AT_TRAILER, AT_END } at;
	struct buf head; /* holds what the slices below point to */
	struct slice method, target, host;
	struct message_header headers[MESSAGE_HEADERS_MAX];
	size_t nheaders;
	unsigned minor; /* HTTP/1.minor */
	bool keep_alive, expect_continue, chunked;
	uint64_t left;	     /* of the body or of the chunk */
	struct buf trailers; /* raw lines */
	const char *wrong;
};

void message_reset(struct message *m);
void message_free(struct message *m);
/* Reads one step of the input; the first *consumed bytes are done with. */
enum message_result message_read(
	struct message *m, struct slice input, size_t *consumed, struct slice *body);
/* The value of the first header of that name; data is NULL when there is none. */
struct slice message_find(const struct message *m, const char *name);

#endif
