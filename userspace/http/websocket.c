// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/websocket.h"

#include "base/utf8.h"

struct websocket_refusal websocket_refusal(enum websocket_error error)
{
	static const struct websocket_refusal rows[WEBSOCKET_ERROR_COUNT] = {
#define WEBSOCKET_ERROR_ROW(id, code, name, text) [WEBSOCKET_ERROR_##id] = {code, name, text},
		WEBSOCKET_ERRORS(WEBSOCKET_ERROR_ROW)
#undef WEBSOCKET_ERROR_ROW
	};

	return rows[error];
}

void websocket_open(struct websocket_reader *reader, bool masked)
{
	*reader = (struct websocket_reader){.masked = masked, .between = true};
}

bool websocket_between_frames(const struct websocket_reader *reader)
{
	return reader->between && !reader->head_len && !reader->error;
}

bool websocket_between_messages(const struct websocket_reader *reader)
{
	return websocket_between_frames(reader) && !reader->message;
}

static enum websocket_result refuse(
	struct websocket_reader *r, struct websocket_event *event, enum websocket_error error)
{
	r->error = event->error = error;
	return WEBSOCKET_REFUSED;
}

/* ---- heads of frames ---- */

/* Bytes that the head has, as far as its first two say. */
static size_t head_size(const struct websocket_reader *r)
{
	unsigned length = r->head[1] & 0x7f;

	return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (r->masked ? 4u : 0u);
}

static bool is_control(uint8_t opcode)
{
	return opcode & 8;
}

static uint64_t big_endian(const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

static enum websocket_error read_length(struct websocket_reader *r)
{
	unsigned length = r->head[1] & 0x7f;

	r->left = length;
	if (length == 126) {
		r->left = big_endian(r->head + 2, 2);
		return r->left < 126 ? WEBSOCKET_ERROR_LENGTH : WEBSOCKET_ERROR_NONE;
	}
	if (length == 127) {
		r->left = big_endian(r->head + 2, 8);
		return r->left <= UINT16_MAX || r->left > INT64_MAX ? WEBSOCKET_ERROR_LENGTH
								     : WEBSOCKET_ERROR_NONE;
	}
	return WEBSOCKET_ERROR_NONE;
}

/* What the first two bytes say. */
static enum websocket_error head_check(const struct websocket_reader *r)
{
	uint8_t opcode = r->head[0] & 0xf;

	if (r->closed)
		return WEBSOCKET_ERROR_CLOSE;
	if (r->head[0] & 0x70)
		return WEBSOCKET_ERROR_RESERVED;
	if (opcode > WEBSOCKET_PONG || (opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE))
		return WEBSOCKET_ERROR_OPCODE;
	if (!!(r->head[1] & 0x80) != r->masked)
		return WEBSOCKET_ERROR_MASK;
	if (is_control(opcode))
		return !(r->head[0] & 0x80) || (r->head[1] & 0x7f) > WEBSOCKET_CONTROL_MAX
			       ? WEBSOCKET_ERROR_CONTROL
			       : WEBSOCKET_ERROR_NONE;
	return (opcode == WEBSOCKET_CONTINUATION) != (r->message != 0) ? WEBSOCKET_ERROR_CONTINUATION
									: WEBSOCKET_ERROR_NONE;
}

static void frame_begin(struct websocket_reader *r)
{
	r->opcode = r->head[0] & 0xf;
	r->fin = r->head[0] & 0x80;
	r->between = false;
	r->mask_at = 0;
	if (r->masked)
		memcpy(r->mask, r->head + r->head_len - 4, sizeof(r->mask));
	r->head_len = 0;
	r->control_len = 0;
	if (r->opcode == WEBSOCKET_TEXT || r->opcode == WEBSOCKET_BINARY) {
		r->message = r->opcode;
		r->begun = false;
		r->utf8_left = 0;
	}
}

/* True: the head is whole, or wrong. */
static bool read_head(struct websocket_reader *r, struct slice *input)
{
	while (input->len) {
		r->head[r->head_len++] = (uint8_t)input->data[0];
		*input = slice_after(*input, 1);
		if (r->head_len == 2)
			r->error = head_check(r);
		if (r->error)
			return true;
		if (r->head_len < 2 || r->head_len < head_size(r))
			continue;
		r->error = read_length(r);
		if (!r->error)
			frame_begin(r);
		return true;
	}
	return false;
}

/* ---- payloads ---- */

/* RFC 3629 section 4, over pieces. */
static bool utf8_next(struct websocket_reader *r, uint8_t c)
{
	if (r->utf8_left) {
		if (c < r->utf8_low || c > r->utf8_high)
			return false;
		r->utf8_left--;
		r->utf8_low = 0x80;
		r->utf8_high = 0xbf;
		return true;
	}
	if (c < 0x80)
		return true;
	r->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	r->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	r->utf8_left = c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
	return r->utf8_left;
}

static bool text_is_valid(struct websocket_reader *r, const struct websocket_event *event)
{
	const char *data = event->span.data;

	for (size_t i = 0; i < event->span.len; i++)
		if (!utf8_next(r, (uint8_t)data[i] ^ event->mask[(event->mask_at + i) & 3]))
			return false;
	return !event->last || !r->utf8_left;
}

int websocket_unmask(const struct websocket_event *event, struct buf *out)
{
	char *at = buf_reserve(out, event->span.len + 1);

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < event->span.len; i++)
		at[i] = (char)((uint8_t)event->span.data[i] ^ event->mask[(event->mask_at + i) & 3]);
	buf_commit(out, event->span.len);
	return 0;
}

static enum websocket_result read_piece(
	struct websocket_reader *r, struct slice *input, struct websocket_event *event)
{
	event->span = slice_first(*input, r->left > SIZE_MAX ? SIZE_MAX : (size_t)r->left);
	*input = slice_after(*input, event->span.len);
	r->left -= event->span.len;
	if (r->masked)
		memcpy(event->mask, r->mask, sizeof(event->mask));
	event->mask_at = r->mask_at;
	r->mask_at = (unsigned)(r->mask_at + event->span.len) & 3;
	event->opcode = r->message;
	event->first = !r->begun;
	event->last = r->fin && !r->left;
	r->begun = true;
	r->between = !r->left;
	if (r->message == WEBSOCKET_TEXT && !text_is_valid(r, event))
		return refuse(r, event, WEBSOCKET_ERROR_UTF8);
	if (event->last)
		r->message = 0;
	return WEBSOCKET_PIECE;
}

/* RFC 6455 sections 5.5.1 and 7.4. */
static bool close_is_valid(struct slice payload)
{
	unsigned code;

	if (!payload.len)
		return true;
	if (payload.len < 2)
		return false;
	code = (unsigned)big_endian((const uint8_t *)payload.data, 2);
	return code >= 1000 && code < 5000 && code != 1004 && code != 1005 && code != 1006 &&
	       (code < 1015 || code >= 3000) && utf8_valid(slice_after(payload, 2));
}

static enum websocket_result read_control(
	struct websocket_reader *r, struct slice *input, struct websocket_event *event)
{
	while (input->len && r->left) {
		r->control[r->control_len++] =
			(char)((uint8_t)input->data[0] ^ (r->masked ? r->mask[r->mask_at] : 0));
		r->mask_at = (r->mask_at + 1) & 3;
		r->left--;
		*input = slice_after(*input, 1);
	}
	if (r->left)
		return WEBSOCKET_MORE;
	r->between = true;
	event->opcode = r->opcode;
	event->control = slice_of(r->control, r->control_len);
	if (r->opcode == WEBSOCKET_CLOSE) {
		if (!close_is_valid(event->control))
			return refuse(r, event, WEBSOCKET_ERROR_CLOSE);
		r->closed = true;
	}
	return WEBSOCKET_CONTROL;
}

enum websocket_result websocket_read(
	struct websocket_reader *r, struct slice *input, struct websocket_event *event)
{
	*event = (struct websocket_event){0};
	if (r->error)
		return refuse(r, event, r->error);
	if (r->between) {
		if (!read_head(r, input))
			return WEBSOCKET_MORE;
		if (r->error)
			return refuse(r, event, r->error);
	}
	if (is_control(r->opcode))
		return read_control(r, input, event);
	/* A frame may be empty, and may be the end of its message. */
	if (!input->len && r->left)
		return WEBSOCKET_MORE;
	return read_piece(r, input, event);
}

/* ---- what a server writes ---- */

static int write_frame(struct buf *out, enum websocket_opcode opcode, struct slice payload)
{
	uint8_t head[10] = {(uint8_t)(0x80 | opcode)};
	size_t len = 2;

	if (payload.len < 126) {
		head[1] = (uint8_t)payload.len;
	} else if (payload.len <= UINT16_MAX) {
		head[1] = 126;
		head[2] = (uint8_t)(payload.len >> 8);
		head[3] = (uint8_t)payload.len;
		len = 4;
	} else {
		head[1] = 127;
		for (int i = 0; i < 8; i++)
			head[2 + i] = (uint8_t)((uint64_t)payload.len >> (56 - 8 * i));
		len = 10;
	}
	if (!buf_reserve(out, len + payload.len))
		return -ENOMEM;
	(void)buf_append(out, head, len);
	return buf_append_slice(out, payload);
}

int websocket_write_close(struct buf *out, unsigned code, struct slice reason)
{
	char payload[WEBSOCKET_CONTROL_MAX] = {(char)(code >> 8), (char)code};

	reason = utf8_cut(reason, sizeof(payload) - 2);
	if (reason.len)
		memcpy(payload + 2, reason.data, reason.len);
	return write_frame(out, WEBSOCKET_CLOSE, slice_of(payload, 2 + reason.len));
}

int websocket_write_text(struct buf *out, struct slice text)
{
	return write_frame(out, WEBSOCKET_TEXT, text);
}
