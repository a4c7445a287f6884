/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads HTTP/1.0 and HTTP/1.1 messages (RFC 9112), one after another, from spans of bytes.
 *
 * A head is read twice: by our own reader, which is as strict as the grammar and names what it
 * refuses, and by llhttp in strict mode. Where the two differ in any span, number or framing, the
 * message is refused: a request that two parsers read differently is what smuggling is made of.
 *
 * Body bytes are never copied. A head is copied once, into memory that the reader keeps for all
 * messages of its connection. What is read does not depend on how the bytes are cut into inputs. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/h1_error.h"
#include "http/h1_head.h"

struct h1_limits {
	size_t head_max;      /* bytes of a head, and of a trailer section */
	uint32_t headers_max; /* fields of a head, and of a trailer section */
	uint64_t body_max;    /* bytes of a body without its framing; 0: no limit */
};

enum h1_result {
	H1_MORE,     /* the input is consumed; more is needed */
	H1_HEAD,     /* event.head; fin: there is no body */
	H1_BODY,     /* event.span: body bytes, inside the input, never empty; fin: the last ones */
	H1_TRAILERS, /* event.trailers, event.ntrailers: a chunked body had some; always fin */
	H1_END,	     /* always fin: a chunked body without trailers, or one until close, is over */
	H1_ERROR,    /* event.error; every later call says the same and consumes nothing */
};

struct h1_event {
	const struct head *head; /* of this message, at every event from H1_HEAD on … */
	const struct h1_head *wire; /* … and all of it */
	/* The message is complete with this event, and the next call starts the next one: its end
	 * is no event of its own, which a reader that stops here would never fetch. */
	bool fin;
	struct slice span;
	const struct header *trailers; /* valid until the next call */
	size_t ntrailers;
	struct h1_error error;
};

struct h1_reader;

/* A reader of requests or responses, or NULL without memory. The limits are copied. */
struct h1_reader *h1_reader_new(enum head_kind kind, const struct h1_limits *limits);
void h1_reader_free(struct h1_reader *reader);

/* Responses: says which method the next response answers (to HEAD there is no body). To be called
 * once per request sent, before its response is read; bytes that come without are
 * H1_ERROR_UNSOLICITED. A 1xx response is an H1_HEAD without fin; the next head follows. */
void h1_reader_expect(struct h1_reader *reader, struct slice request_method);

/* Responses: the request that was told last asks for WebSocket. A 101 that grants it is its final
 * response, and all that follows its body. */
void h1_reader_expect_upgrade(struct h1_reader *reader);

/* Reads until one event. *consumed is how much of the input was used: the caller goes on with the
 * rest. Nothing but H1_MORE comes from an empty input. */
enum h1_result h1_read(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event);

/* The end of the connection's bytes. H1_END: a body that lasts until close is complete; H1_MORE:
 * between messages, nothing was cut off; H1_ERROR: H1_ERROR_TRUNCATED, or an earlier error. */
enum h1_result h1_finish(struct h1_reader *reader, struct h1_event *event);

/* Whether a byte of a message was read and not yet its end. For responses: not
 * whether one is expected. */
bool h1_reader_in_message(const struct h1_reader *reader);

/* Between messages: gives back all memory but the reader itself. The last head is gone. */
void h1_reader_trim(struct h1_reader *reader);

#endif
