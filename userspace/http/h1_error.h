/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wrong with an HTTP/1 message: one table, from which its readers name what they refuse. */
#ifndef HTTP_H1_ERROR_H
#define HTTP_H1_ERROR_H

/* Every way in which a message is refused: X(ID, status, "name", "text"). The status is that of
 * the answer to a bad request; a bad response always becomes a 502. */
/* clang-format off */
#define H1_ERRORS(X)                                                                            \
	X(LEADING_BYTES, 400, "leading_bytes", "bytes before the start line")                   \
	X(START_LINE, 400, "start_line", "malformed start line")                                \
	X(HTTP_0_9, 400, "http_0_9", "request line without a version")                          \
	X(VERSION, 505, "version", "not HTTP/1.0 or HTTP/1.1")                                  \
	X(HTTP_2_PREFACE, 505, "http_2_preface", "HTTP/2 without its negotiation")              \
	X(METHOD, 501, "method", "unknown method")                                              \
	X(CONNECT, 501, "connect", "CONNECT is not served")                                     \
	X(TARGET, 400, "target", "malformed request target")                                    \
	X(TARGET_TOO_LONG, 414, "target_too_long", "request line longer than the limit")        \
	X(TARGET_AUTHORITY, 400, "target_authority", "target and Host name different hosts")    \
	X(STATUS, 400, "status", "malformed status code")                                       \
	X(BARE_CR, 400, "bare_cr", "CR without LF")                                             \
	X(BARE_LF, 400, "bare_lf", "LF without CR")                                             \
	X(CONTROL_BYTE, 400, "control_byte", "control byte")                                    \
	X(OBS_FOLD, 400, "obs_fold", "folded or indented field line")                           \
	X(NO_COLON, 400, "no_colon", "field line without a colon")                              \
	X(NAME_EMPTY, 400, "name_empty", "field without a name")                                \
	X(NAME_SPACE, 400, "name_space", "space before the colon of a field")                   \
	X(NAME_BYTE, 400, "name_byte", "field name is not a token")                             \
	X(HEAD_TOO_LONG, 431, "head_too_long", "head longer than the limit")                    \
	X(TOO_MANY_HEADERS, 431, "too_many_headers", "more fields than the limit")              \
	X(HOST_MISSING, 400, "host_missing", "HTTP/1.1 without Host")                           \
	X(HOST_DUPLICATE, 400, "host_duplicate", "more than one Host")                          \
	X(HOST_BAD, 400, "host_bad", "malformed Host")                                          \
	X(LENGTH_BAD, 400, "length_bad", "malformed Content-Length")                            \
	X(LENGTH_DUPLICATE, 400, "length_duplicate", "more than one Content-Length")            \
	X(LENGTH_AND_CODING, 400, "length_and_coding", "Content-Length and Transfer-Encoding")  \
	X(CODING_BAD, 400, "coding_bad", "Transfer-Encoding other than exactly chunked")        \
	X(CODING_DUPLICATE, 400, "coding_duplicate", "more than one Transfer-Encoding")         \
	X(CODING_HTTP_1_0, 400, "coding_http_1_0", "Transfer-Encoding in HTTP/1.0")             \
	X(CONNECTION_BAD, 400, "connection_bad", "malformed Connection, or one that names a "   \
		"field it must not")                                                             \
	X(EXPECTATION, 417, "expectation", "Expect other than 100-continue")                    \
	X(PARSERS_DIFFER, 400, "parsers_differ", "read differently by llhttp")                  \
	X(CHUNK_SIZE, 400, "chunk_size", "malformed or too large chunk size")                   \
	X(CHUNK_EXTENSION, 400, "chunk_extension", "malformed or too long chunk extension")     \
	X(CHUNK_END, 400, "chunk_end", "no CRLF at the end of a chunk")                         \
	X(TRAILER_FORBIDDEN, 400, "trailer_forbidden", "trailer field that belongs in a head")  \
	X(BODY_TOO_LONG, 413, "body_too_long", "body longer than the limit")                    \
	X(AFTER_CLOSE, 400, "after_close", "bytes after the last message of a connection")      \
	X(UNSOLICITED, 400, "unsolicited", "response that nobody asked for")                    \
	X(TOO_MANY_INTERIM, 400, "too_many_interim", "more 1xx responses than the limit")       \
	X(SWITCHED, 400, "switched", "101 that nobody asked for")                               \
	X(TRUNCATED, 400, "truncated", "connection closed inside a message")                    \
	X(MEMORY, 503, "memory", "out of memory")

enum h1_error_id {
#define H1_ERROR_ID(id, status, name, text) H1_ERROR_##id,
	H1_ERRORS(H1_ERROR_ID)
#undef H1_ERROR_ID
	H1_ERROR_COUNT
};
/* clang-format on */

struct h1_error {
	enum h1_error_id id;
	int status;	  /* to answer with: of the table for a request, 502 for a response */
	const char *name; /* for counters and events; never changes */
	const char *text; /* for a person */
};

/* The table row of an error, its status that of a request. */
struct h1_error h1_error_of(enum h1_error_id id);

#endif
