/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP/1 message: start line and fields, as h1 has read and accepted it. All slices
 * point into the reader that made the head; they live until it reads the next head. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum head_kind { HEAD_REQUEST, HEAD_RESPONSE };

/* How the body is delimited (RFC 9112 section 6.3). A head with HEAD_LENGTH has length > 0: a
 * message of "Content-Length: 0" is HEAD_NO_BODY. */
enum head_framing { HEAD_NO_BODY, HEAD_LENGTH, HEAD_CHUNKED, HEAD_UNTIL_CLOSE };

struct header {
	struct slice name;  /* as sent: letters of any case */
	struct slice value; /* without the spaces and tabs around it; may be empty */
	/* A forwarder leaves it out (RFC 9110 section 7.6.1): Connection, Keep-Alive,
	 * Proxy-Connection, TE, Transfer-Encoding, Upgrade, and what Connection names. */
	bool hop_by_hop;
};

struct head {
	enum head_kind kind;
	struct slice method; /* requests */
	struct slice target; /* requests: as sent */
	struct slice path;   /* requests: target in origin-form, from the first '/' on; "*" for
			      * "OPTIONS *" */
	int status;	     /* responses: 100 to 999 */
	struct slice reason; /* responses: may be empty */
	uint8_t minor;	     /* of the version: HTTP/1.0 or HTTP/1.1 */
	struct header *headers;
	size_t nheaders;
	enum head_framing framing;
	uint64_t length;	  /* bytes, of HEAD_LENGTH */
	bool has_length;	  /* the head has a Content-Length, of value declared_length */
	uint64_t declared_length; /* what a response to HEAD, or a 304, says that GET would have */
	bool keep_alive;	  /* the sender lets the connection go on after this message */
	bool expect_continue;	  /* the client waits for a 100 before its body */
	bool upgrade;		  /* Upgrade is there and Connection names it */
	size_t bytes;		  /* of the whole head, the empty line included */
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

#endif
