/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wrong with an HTTP/2 message: one table, from which its reader names what it refuses. */
#ifndef HTTP_H2_ERROR_H
#define HTTP_H2_ERROR_H

#include "http/message.h"

/* Every way in which a message is refused: X(ID, status, "name", "text"). The status is that of
 * the answer to a bad request; a bad response always becomes a 502. */
/* clang-format off */
#define H2_ERRORS(X)                                                                            \
	X(PSEUDO, 400, "pseudo_field", "pseudo-header field missing, repeated, unknown or "     \
		"behind another field")                                                          \
	X(METHOD, 501, "method", "unknown method")                                              \
	X(CONNECT, 501, "connect", "CONNECT is not served")                                     \
	X(SCHEME, 400, "scheme", "scheme other than https")                                     \
	X(TARGET, 400, "target", "malformed :path")                                             \
	X(STATUS, 400, "status", "malformed :status")                                           \
	X(AUTHORITY, 400, "authority", "malformed :authority or Host")                          \
	X(HOST_MISSING, 400, "host_missing", "neither :authority nor Host")                     \
	X(HOST_DUPLICATE, 400, "host_duplicate", "more than one Host")                          \
	X(HOST_DIFFERS, 400, "host_differs", ":authority and Host name different hosts")        \
	X(NAME, 400, "name_byte", "field name is not a token in lower case")                    \
	X(VALUE, 400, "value_byte", "control byte in a field, or spaces around its value")      \
	X(CONNECTION_FIELD, 400, "connection_field", "field that belongs to a connection of "   \
		"HTTP/1")                                                                        \
	X(LENGTH_BAD, 400, "length_bad", "malformed content-length")                            \
	X(LENGTH_DUPLICATE, 400, "length_duplicate", "more than one content-length")            \
	X(LENGTH_DIFFERS, 400, "length_differs", "body of another length than content-length")  \
	X(EXPECTATION, 417, "expectation", "expect other than 100-continue")                    \
	X(HEAD_TOO_LONG, 431, "head_too_long", "head longer than the limit")                    \
	X(TOO_MANY_HEADERS, 431, "too_many_headers", "more fields than the limit")              \
	X(BODY_TOO_LONG, 413, "body_too_long", "body longer than the limit")                    \
	X(TRAILER_FORBIDDEN, 400, "trailer_forbidden", "trailer field that belongs in a head")  \
	X(TRAILERS_OPEN, 400, "trailers_open", "fields behind the head that do not end the "    \
		"message")                                                                       \
	X(CHECKERS_DIFFER, 400, "checkers_differ", "judged differently by nghttp2")             \
	X(MEMORY, 503, "memory", "out of memory")

enum h2_error_id {
	H2_ERROR_NONE,
#define H2_ERROR_ID(id, status, name, text) H2_ERROR_##id,
	H2_ERRORS(H2_ERROR_ID)
#undef H2_ERROR_ID
	H2_ERROR_COUNT
};
/* clang-format on */

/* The table row of an error, as of a message of that kind. */
struct message_fault h2_error_of(enum h2_error_id id, enum head_kind kind);

#endif
