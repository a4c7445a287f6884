/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames of one direction of a WebSocket (RFC 6455 section 5), without extensions: spans in, pieces
 * of messages and control frames out. What is not as the RFC has it is refused. No memory but its own. */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Every way in which frames are refused: X(ID, code, "name", "text"). The code is that of the Close
 * frame for who sent them (section 7.4.1). */
/* clang-format off */
#define WEBSOCKET_ERRORS(X)                                                                     \
	X(RESERVED, 1002, "websocket_reserved", "reserved bits without an extension")           \
	X(OPCODE, 1002, "websocket_opcode", "unknown opcode")                                   \
	X(CONTROL, 1002, "websocket_control", "control frame in pieces, or longer than 125 "    \
		"bytes")                                                                         \
	X(MASK, 1002, "websocket_mask", "frame of a client without a mask, or of a server "     \
		"with one")                                                                      \
	X(LENGTH, 1002, "websocket_length", "length that is not written as short as it can be") \
	X(CONTINUATION, 1002, "websocket_continuation", "continuation of nothing, or a message " \
		"inside of another")                                                             \
	X(UTF8, 1007, "websocket_utf8", "text that is not UTF-8")                               \
	X(CLOSE, 1002, "websocket_close", "malformed Close, or bytes behind it")                \
	X(TOO_LONG, 1009, "websocket_too_long", "message longer than the limit")                \
	/* end */

enum websocket_error {
	WEBSOCKET_ERROR_NONE,
#define WEBSOCKET_ERROR_ID(id, code, name, text) WEBSOCKET_ERROR_##id,
	WEBSOCKET_ERRORS(WEBSOCKET_ERROR_ID)
#undef WEBSOCKET_ERROR_ID
	WEBSOCKET_ERROR_COUNT
};
/* clang-format on */

struct websocket_refusal {
	unsigned code;
	const char *name, *text;
};

struct websocket_refusal websocket_refusal(enum websocket_error error);

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

#define WEBSOCKET_CONTROL_MAX 125

struct websocket_reader {
	bool masked;		/* frames are a client's */
	bool between;		/* the next byte begins a frame */
	bool closed;		/* a Close was read */
	uint8_t head[14];
	size_t head_len;
	/* the frame */
	uint8_t opcode;
	bool fin;
	uint64_t left;		/* bytes of its payload */
	uint8_t mask[4];
	unsigned mask_at;
	char control[WEBSOCKET_CONTROL_MAX];
	size_t control_len;
	/* the message */
	uint8_t message;	/* its opcode; 0: between two messages */
	bool begun;		/* a piece of it was told */
	unsigned utf8_left;	/* of a character */
	uint8_t utf8_low, utf8_high;
	enum websocket_error error;
};

enum websocket_result {
	WEBSOCKET_MORE,	   /* the input is consumed */
	WEBSOCKET_PIECE,   /* of a message */
	WEBSOCKET_CONTROL, /* a whole control frame */
	WEBSOCKET_REFUSED, /* event.error; every later call says the same and consumes nothing */
};

struct websocket_event {
	uint8_t opcode;	   /* of the message, or the control frame */
	bool first, last;  /* of the message */
	struct slice span; /* of a PIECE: in the input, as it came. May be empty */
	uint8_t mask[4];   /* that websocket_unmask takes off */
	unsigned mask_at;
	struct slice control; /* the payload of a control frame: valid until the next call */
	enum websocket_error error;
};

void websocket_open(struct websocket_reader *reader, bool masked);
/* Reads from the front of *input, which it advances, until one event. */
enum websocket_result websocket_read(
	struct websocket_reader *reader, struct slice *input, struct websocket_event *event);
/* Appends the span as it was before it was masked. 0 or -ENOMEM. */
int websocket_unmask(const struct websocket_event *event, struct buf *out);
/* Whether a frame may come next, and whether a message may begin. */
bool websocket_between_frames(const struct websocket_reader *reader);
bool websocket_between_messages(const struct websocket_reader *reader);

/* Frames of a server. The reason is cut to what a Close can hold. 0 or -ENOMEM. */
int websocket_write_close(struct buf *out, unsigned code, struct slice reason);
int websocket_write_text(struct buf *out, struct slice text);

#endif
