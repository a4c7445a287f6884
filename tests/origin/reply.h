/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answer as bytes of HTTP/1.1: head, framing, content coding, and what a test wants broken. */
#ifndef ORIGIN_REPLY_H
#define ORIGIN_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "call.h"
#include "coding.h"
#include "message.h"

enum reply_result {
	REPLY_MORE,  /* a piece was appended */
	REPLY_END,   /* the answer is complete */
	REPLY_CUT,   /* drop the connection after what was appended */
	REPLY_STALL, /* nothing more will come */
};

struct reply {
	enum { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE } framing;
	bool streamed; /* pieces come from completion_next */
	bool has_body;
	bool close;	  /* the connection ends after the answer */
	struct buf body;  /* not streamed: what is left to send */
	struct buf piece; /* scratch */
	struct encoder *encoder;
	uint64_t sent; /* body bytes, before framing and after coding */
	int status;
};

/* Begins the answer: appends its head. The call must be read; m is its request. */
void reply_start(struct reply *r, struct call *call, const struct service *service,
	const struct message *m, struct buf *out);
/* Appends the next piece of the body. */
enum reply_result reply_next(struct reply *r, struct call *call, struct buf *out);
/* Forgets the answer and keeps the memory. */
void reply_reset(struct reply *r);
void reply_free(struct reply *r);

#endif
