/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP message, whatever the wire (RFC 9110): as a reader has read and accepted it. All
 * slices point into the reader that made the head; they live until it reads the next head. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum head_kind { HEAD_REQUEST, HEAD_RESPONSE };

/* Whether there is a body, and what is known of its length beforehand. */
enum head_framing {
	HEAD_NO_BODY,	  /* or one of 0 bytes */
	HEAD_LENGTH,	  /* of `length` bytes, more than 0 */
	HEAD_STREAMED,	  /* its end is said when it comes */
	HEAD_UNTIL_CLOSE, /* its end is that of the connection, and not told from a loss */
};

struct header {
	struct slice name;  /* as sent: letters of any case */
	struct slice value; /* without the spaces and tabs around it; may be empty */
};

struct head {
	enum head_kind kind;
	struct slice method; /* requests */
	struct slice target; /* requests: as sent */
	struct slice path;   /* requests: target in origin-form, from the first '/' on; "*" for
			      * "OPTIONS *" */
	int status;	     /* responses: 100 to 999 */
	struct slice reason; /* responses: may be empty */
	struct header *headers;
	size_t nheaders;
	enum head_framing framing;
	uint64_t length;	  /* bytes, of HEAD_LENGTH */
	bool has_length;	  /* the head has a Content-Length, of value declared_length */
	uint64_t declared_length; /* what a response to HEAD, or a 304, says that GET would have */
	bool expect_continue;	  /* the client waits for a 100 before its body */
	bool upgrade;		  /* the client asks for another protocol */
	bool websocket;		  /* likewise, or a 101 tells of it: for WebSocket and none else */
};

/* The first field of that name, compared without case, or NULL. */
const struct header *head_find(const struct head *head, struct slice name);
/* How many fields have that name. */
size_t head_count(const struct head *head, struct slice name);
/* The host of the Host field, without port; an IPv6 literal keeps its brackets. SLICE_NONE when
 * there is no Host (HTTP/1.0). */
struct slice head_host(const struct head *head);
/* The port of the Host field, or 0 when it names none. */
uint16_t head_port(const struct head *head);

/* Iterates over a comma-separated list (RFC 9110 section 5.6.1): cuts the next element off *list
 * and trims it. False at the end; empty elements are skipped. Quoted strings are not understood:
 * for lists of tokens. */
bool head_list_next(struct slice *list, struct slice *element);

/* The value of a Content-Length: 1*DIGIT (RFC 9110 section 8.6); a length beyond 2^63-1 is nobody's
 * body. False: it is malformed. */
bool head_length_read(struct slice text, uint64_t *length);

#endif
